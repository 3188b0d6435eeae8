"""Every key of every page and dialog: it has an id, a description, an entry in the palette, and an equal command line.

What has none of the latter two has a reason here.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

import screens.dialogs
import screens.pages
from opsconsole.cache.filters import ClearFilter
from opsconsole.core.keys import DEFAULTS
from opsconsole.service.snapshot import Snapshot
from screens import command_lines, keymap
from screens.dialogs.dialog import Dialog
from screens.dialogs.text_dialog import TypeToConfirm
from screens.files import Installation
from screens.pages.keys import commands_of
from screens.pages.page import Page
from screens.panels import clear
from tests.screens import backfill_pages, fakes, past, past_alerts, samples
from tests.screens.console import Console, run_console

for package in (screens.dialogs, screens.pages):
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")

EVERYWHERE = "it shows something about the console itself"
CURSOR = "it only moves the cursor or what is shown"
DIALOG = "its dialog has the command line, once it is filled in"

NO_COMMAND = {
    **dict.fromkeys(
        ("help", "palette", "copy", "command", "export", "zone", "redraw", "quit", "quit_anywhere", "back", "maximise"),
        EVERYWHERE,
    ),
    **dict.fromkeys(("up", "down", "left", "right", "next_panel", "previous_panel"), CURSOR),
    **dict.fromkeys(("page_up", "page_down", "first", "last", "previous_year", "next_year"), CURSOR),
    **dict.fromkeys(("previous_job", "next_job", "filter", "worst"), CURSOR),
    **dict.fromkeys(("mark", "only", "order", "at_once", "add"), "it changes the command line of `plan`"),
    **dict.fromkeys(("clear", "try_schedule", "schedule"), DIALOG),
}
"""Why keys of pages have no command line."""
NO_DIALOG_COMMAND = {
    "CommandsDialog": "it shows command lines",
    "ExportDialog": "what it writes is the screen",
}
"""Why dialogs have no command line."""
NO_PALETTE_COMMAND = {"wall display": EVERYWHERE, "try a schedule": DIALOG}
"""Why entries of the palette have no command line; themes have none either."""
NOT_IN_PALETTE = dict.fromkeys(
    ("up", "down", "left", "right", "next_panel", "previous_panel", "page_up", "page_down", "first", "last"), CURSOR
) | dict.fromkeys(("previous_year", "next_year"), CURSOR)

PAGES: dict[str, tuple[str, ...]] = {
    "Dashboard": ("down",),
    "HelpScreen": ("question_mark",),
    "JobsScreen": ("2", "down"),
    "RunsScreen": ("3", "down"),
    "BackfillScreen": ("4",),
    "CalendarScreen": ("4", "enter"),
    "BackfillPage": ("4", "tab", "enter"),
    "CacheScreen": ("5",),
    "AlertsScreen": ("6",),
    "PacksScreen": ("7",),
    "AuditScreen": ("8",),
    "KeysScreen": ("5", "enter"),
    "DocumentScreen": ("6", "i", "enter"),
    "WallScreen": ("ctrl+p", *"wall display", "enter"),
    "RunScreen": ("down", "down", "down", "enter"),
}
"""The keys that open each page from the Dashboard."""
DIALOGS: dict[str, tuple[str, ...]] = {
    "AcknowledgeDialog": ("6", "a"),
    "SilenceDialog": ("6", "s"),
    "ClearDialog": ("c", *"asha"),
    "CommandsDialog": ("down", "equals_sign"),
    "Confirm": ("down", "x"),
    "CronDialog": ("2", "down", "asterisk"),
    "ScheduleDialog": ("2", "down", "S"),
    "ExportDialog": ("e",),
    "Palette": ("ctrl+p", *"trigger game"),
    "PauseDialog": ("down", "p"),
    "TriggerDialog": ("t",),
    "TypeToConfirm": (),
    "WhyDialog": ("down", "w"),
}
"""The keys that open each dialog from the Dashboard."""


ROWS = 12
"""How many rows of a page are looked at: each has the command lines that fit it."""


def concrete(kind: type[Screen[Any]]) -> set[str]:
    """The names of the classes of this kind that no other class extends, and that are the console's."""
    found: set[str] = set()
    for each in kind.__subclasses__():
        if each.__module__.startswith("screens."):
            found |= concrete(each) or {each.__name__}
    return found


def test_this_file_opens_every_page_and_every_dialog() -> None:
    assert concrete(Page) == set(PAGES)
    assert concrete(Dialog) | {"CronDialog"} == set(DIALOGS)  # which the dialog of schedules extends


async def page_of(console: Console, name: str) -> Page:
    """Opens a page."""
    await console.press(*PAGES[name])
    await console.until(lambda: type(console.app.screen).__name__ == name)
    assert isinstance(console.app.screen, Page)
    return console.app.screen


async def dialog_of(console: Console, name: str) -> Dialog[Any]:
    """Opens a dialog."""
    await console.press(*DIALOGS[name])
    if name == "TypeToConfirm":
        question = clear.question(ClearFilter(user="asha"), samples.COUNTED, "production")
        console.app.open_dialog(TypeToConfirm(console.app, question, "production"), lambda _: None)
    await console.until(lambda: type(console.app.screen).__name__ == name)
    assert isinstance(console.app.screen, Dialog)
    return console.app.screen


def with_a_running_run() -> Snapshot:
    """A Snapshot in which every key has something to act on: the run of an alert has not ended."""
    first, *others = past_alerts.SOME.live
    running = replace(first, run=replace(first.run, id=past_alerts.ITEMS.run or 0))
    ended = tuple(run for run in past_alerts.SOME.recent if run.id != running.run.id)
    return replace(past_alerts.SOME, live=(running, *others), recent=ended)


def service() -> fakes.FakeService:
    """A service in which every page has rows."""
    fake = backfill_pages.service_with(past.ACTIVE_BACKFILL, *past.PAST_BACKFILLS)
    fake.plan = past.ACTIVE_BACKFILL
    fake.pages = {number: replace(samples.PAGE, progress=samples.running(number)) for number in range(4000, 5000)}
    return fake


def bindings_of(screen: Screen[Any]) -> dict[str, str]:
    """The ids of the keys of a page or dialog, each with its description."""
    own = [
        active.binding
        for active in screen.active_bindings.values()
        if active.node is screen or active.node is screen.app
        if not active.binding.action.startswith(("screen.", "app.focus"))
    ]
    for binding in own:
        assert binding.id in DEFAULTS, f"{binding} has no id; use bind(), and add the id to opsconsole/core/keys.py"
        assert binding.description, f"{binding} has no description for the help"
    return {binding.id or "": binding.description for binding in own}


@pytest.mark.parametrize("name", PAGES)
def test_every_key_of_a_page_has_help_an_entry_in_the_palette_and_a_command_line(name: str) -> None:
    async def scenario(console: Console) -> None:
        page = await page_of(console, name)
        keys = bindings_of(page)
        equal = {line.action for line in command_lines.PAGES}
        for key in (*["down"] * ROWS, "tab", "down"):
            equal |= {line.action for line in page.command_lines()}
            entries, refused = {command.name for command in commands_of(page)}, page.refused()
            for action, description in keys.items():
                listed = action in NOT_IN_PALETTE or description in entries or action in refused
                assert listed, f"{action} of {name} is not in the palette, and NOT_IN_PALETTE has no reason"
            await console.press(key)
        for action in keys:
            assert action in NO_COMMAND or action in equal, f"{action} of {name} has no command line, and no reason"

    run_console(scenario, with_a_running_run(), service())


@pytest.mark.parametrize("name", DIALOGS)
def test_every_key_of_a_dialog_is_described_and_the_dialog_has_a_command_line(name: str) -> None:
    async def scenario(console: Console) -> None:
        dialog = await dialog_of(console, name)
        bindings_of(dialog)
        if name in NO_DIALOG_COMMAND:
            assert not dialog.command_lines()
        else:
            await console.until(dialog.command_lines)

    run_console(scenario, past_alerts.SOME, service(), installation=Installation(data=Path("/nowhere")))


def test_every_entry_of_the_palette_has_a_command_line_or_a_reason() -> None:
    async def scenario(console: Console) -> None:
        page = await page_of(console, "Dashboard")
        without = {command.name for command in commands_of(page) if command.command is None and not command.key}
        assert {name for name in without if not name.startswith("theme: ")} <= set(NO_PALETTE_COMMAND)

    run_console(scenario, past_alerts.SOME, service())


@pytest.mark.parametrize("name", PAGES)
def test_z_shows_every_time_of_a_page_in_utc(name: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press("z")
        await page_of(console, name)
        await console.until(lambda: "loading" not in console.text)
        assert "IST" not in console.text

    run_console(scenario, past_alerts.SOME, service(), (120, 40))


# --- keys that the configuration rebinds --------------------------------------------------------------------------


def test_a_rebound_key_works_and_help_and_footer_show_it() -> None:
    installation = Installation(keys={"trigger": "T", "quit": "f10,Q", "help": "f1"})

    async def scenario(console: Console) -> None:
        assert console.text.count(" T trigger") == 5, "the verdict, the job, its details, its alert, and the footer"
        assert "t trigger" not in console.text
        assert " f1 help " in console.text
        assert console.text.endswith(" f10 quit")
        await console.press("t")
        assert isinstance(console.app.screen, Page)
        await console.press("T")
        assert type(console.app.screen).__name__ == "TriggerDialog"
        await console.press("escape", "f1")
        assert "T             trigger the job" in console.text

    run_console(scenario, past_alerts.SOME, installation=installation, size=(120, 40))


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (("2", "f", *"zzz"), "no job matches; f9 clears the filter"),
        (("4", "enter"), "M stale, failed, not fresh, all"),
        (("4", "enter"), "m marks the start of a range"),
        (("T",), "f9 back"),
        (("ctrl+p",), "f9 goes back"),
    ],
)
def test_sentences_name_the_keys_of_the_configuration(keys: tuple[str, ...], sentence: str) -> None:
    rebound = {"back": "f9", "filter": "f", "follow": "F", "next_panel": "n", "only": "M", "mark": "m", "trigger": "T"}

    async def scenario(console: Console) -> None:
        await console.press(*keys)
        await console.until(lambda: sentence in console.text or sentence in console.notice)

    run_console(scenario, service=service(), installation=Installation(keys=rebound), size=(120, 40))


def test_two_keys_that_change_places_do_what_the_other_did() -> None:
    installation = Installation(keys={"up": "down,j", "down": "up,k"})

    async def scenario(console: Console) -> None:
        await console.press("k", "k")
        second = console.app.front_page and console.app.front_page.cursor
        await console.press("j", "k")
        assert console.app.front_page is not None
        assert console.app.front_page.cursor == second

    run_console(scenario, installation=installation)


def test_keys_are_shown_as_people_read_them() -> None:
    assert [keymap.readable(key) for key in ("question_mark", "ctrl+p", "escape", "t")] == ["?", "^p", "esc", "t"]
    assert keymap.first_key("trigger", {"trigger": "f5,T"}) == "f5"
    assert keymap.last_key("command", {}) == "^e"
    assert keymap.first_key("of_a_later_version", {}) == ""
    assert keymap.rebound_key("t", {"trigger": "T"}, frozenset({"trigger"})) == "T"
    assert keymap.rebound_key("t", {"trigger": "T"}, frozenset({"retry"})) == "t"
