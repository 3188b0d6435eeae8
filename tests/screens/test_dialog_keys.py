"""Keys of dialogs and pages that no other test presses: each does what the help says, or refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from screens.dialogs.commands import CommandsDialog
from screens.dialogs.cron import CronDialog
from screens.dialogs.export import ExportDialog
from screens.files import EXPORTS, Installation
from screens.pages.page import Page
from screens.panels.clear import NOTHING_SELECTED
from screens.widgets.panel import Panel
from tests.screens import fakes, past_alerts, samples
from tests.screens.console import Console, run_console
from tests.screens.test_every_key import DIALOGS, NO_DIALOG_COMMAND, dialog_of, page_of, service


@pytest.mark.parametrize("name", sorted(set(DIALOGS) - set(NO_DIALOG_COMMAND)))
def test_the_command_of_a_dialog_is_shown_above_it(name: str) -> None:
    async def scenario(console: Console) -> None:
        dialog = await dialog_of(console, name)
        await console.until(dialog.command_lines)
        before = console.service.calls_of("trigger", "retry", "cancel", "pause", "clear", "acknowledge", "silence")
        await console.press("ctrl+e")
        assert isinstance(console.app.screen, CommandsDialog)
        words = console.app.command_text(dialog.command_lines()[0]).split()
        assert all(word in console.text for word in words[:2])
        await console.press("escape")
        assert console.app.screen is dialog
        after = console.service.calls_of("trigger", "retry", "cancel", "pause", "clear", "acknowledge", "silence")
        assert after == before, "showing a command carries nothing out"

    run_console(scenario, past_alerts.SOME)


def test_a_dialog_without_a_command_reports_it(tmp_path: Path) -> None:
    async def scenario(console: Console) -> None:
        await console.press("c", "ctrl+e")
        assert console.notice == "no command line does this"
        assert NOTHING_SELECTED.split(";")[0] in console.text
        await console.press("escape", "e", "equals_sign")
        assert isinstance(console.app.screen, ExportDialog)

    run_console(scenario, installation=Installation(data=tmp_path))


def test_buttons_of_an_export_are_chosen_with_arrows(tmp_path: Path) -> None:
    async def scenario(console: Console) -> None:
        await console.press("e", "right", "right", "left", "enter")
        await console.until(lambda: ".csv" in console.notice)
        await console.press("e", "left", "enter")
        assert isinstance(console.app.screen, Page), "the last button cancels"

    run_console(scenario, installation=Installation(data=tmp_path))
    assert [file.suffix for file in (tmp_path / EXPORTS).iterdir()] == [".csv"]


def test_the_list_of_commands_can_be_closed_by_its_button() -> None:
    async def scenario(console: Console) -> None:
        await console.press("down", "equals_sign", "down", "up", "right", "enter")
        assert isinstance(console.app.screen, Page)
        assert console.app.clipboard == ""

    run_console(scenario)


def test_an_acknowledgement_keeps_its_only_target_and_its_note_can_be_erased() -> None:
    async def scenario(console: Console) -> None:
        await console.press("6", "a", "up", "down", *"ab", "backspace", "enter")
        await console.until(lambda: console.service.calls_of("acknowledge") == [("acknowledge", 7, None, "a")])

    run_console(scenario, past_alerts.SOME)


def test_a_silence_is_chosen_shorter_or_longer_and_can_be_left() -> None:
    async def scenario(console: Console) -> None:
        await console.press("6", "s", "left")
        assert "[4 h]" in console.text
        await console.press("right", "right", *"x", "backspace")
        assert "[24 h]" in console.text
        await console.press("shift+tab", "enter", "s", "escape")
        assert isinstance(console.app.screen, Page)
        assert console.service.calls_of("silence") == []

    run_console(scenario, past_alerts.SOME)


def test_pages_of_backfills_trigger_their_job() -> None:
    async def scenario(console: Console) -> None:
        for keys in (("4",), ("enter",)):
            await console.press(*keys, "t")
            assert "Trigger a job" in console.text
            assert "reporting.daily_report" in console.text
            await console.press("escape")

    run_console(scenario)


def test_w_explains_the_alert_under_the_cursor() -> None:
    async def scenario(console: Console) -> None:
        await console.press("6", "down", "w")
        await console.until(lambda: "Why reporting.daily_report" in console.text)
        await console.press("w")
        assert isinstance(console.app.screen, Page)

    run_console(scenario, past_alerts.SOME)


def test_the_help_scrolls_by_lines_and_stops_at_both_ends() -> None:
    async def scenario(console: Console) -> None:
        await console.press("question_mark")
        first = console.text
        await console.press("up")
        assert console.text == first
        await console.press("down")
        assert console.text != first
        await console.press("pagedown", "pagedown", "pagedown")
        last = console.text
        await console.press("down")
        assert console.text == last
        await console.press("pageup", "pageup", "pageup")
        assert console.text == first

    run_console(scenario)


def test_a_run_opens_the_calendar_of_its_job() -> None:
    async def scenario(console: Console) -> None:
        console.app.open_run(4811)
        await console.until(lambda: "Run 4,811" in console.text)
        await console.press("b")
        assert console.app.front_page is not None
        assert console.app.front_page.presence_name().startswith("backfill")

    run_console(scenario, samples.QUIET, fakes.FakeService())


@pytest.mark.parametrize("name", ["BackfillPage", "CalendarScreen", "DocumentScreen", "HelpScreen", "KeysScreen"])
def test_a_panel_takes_the_whole_page_and_gives_it_back(name: str) -> None:
    async def scenario(console: Console) -> None:
        page = await page_of(console, name)
        await console.until(lambda: "loading" not in console.text)
        before = [panel.size for panel in page.query(Panel) if panel.is_on_screen]
        await console.press("v")
        assert console.app.screen is page
        await console.press("v")
        assert [panel.size for panel in page.query(Panel) if panel.is_on_screen] == before

    run_console(scenario, past_alerts.SOME, service())


def test_another_zone_is_tried_for_a_schedule() -> None:
    async def scenario(console: Console) -> None:
        dialog = await dialog_of(console, "CronDialog")
        assert isinstance(dialog, CronDialog)
        await console.until(lambda: dialog._zone.choices)
        first = dialog.request[1]
        await console.press("right")
        assert dialog.request[1] == first, "the cursor is on the schedule"
        await console.press("down", "right")
        assert dialog.request[1] != first
        await console.press("left", "shift+tab", "escape")
        assert dialog.request[1] == first
        assert isinstance(console.app.screen, Page)

    run_console(scenario)


def test_the_page_of_a_backfill_pauses_it_and_explains_its_windows() -> None:
    async def scenario(console: Console) -> None:
        await page_of(console, "BackfillPage")
        await console.until(lambda: "loading" not in console.text)
        first = console.text
        await console.press("pagedown")
        assert console.text != first
        await console.press("pageup")
        assert console.text == first
        await console.press("w")
        await console.until(lambda: "Why " in console.text)
        await console.press("escape", "p")
        await console.until(lambda: console.service.calls_of("pause_backfill"))

    run_console(scenario, past_alerts.SOME, service())


def test_the_wall_has_one_panel() -> None:
    async def scenario(console: Console) -> None:
        await page_of(console, "WallScreen")
        before = console.text
        await console.press("v", "v")
        assert console.text.splitlines()[:20] == before.splitlines()[:20]

    run_console(scenario)
