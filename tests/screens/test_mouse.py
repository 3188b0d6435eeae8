"""What the mouse reaches: keys that are drawn, buttons and commands of dialogs, and the segments of lists."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual import events

from screens.dialogs.clear import ClearDialog
from screens.dialogs.dialog import Dialog
from screens.dialogs.trigger import TriggerDialog
from screens.dialogs.why import WhyDialog
from screens.pages.alerts import AlertsScreen
from screens.pages.dashboard import Dashboard
from screens.pages.help import HelpScreen
from screens.pages.packs import PacksScreen
from screens.panels import alert_detail, alerts
from screens.widgets.lines import Piece, key_at
from screens.widgets.paint import Lines
from tests.screens import fakes, past_alerts, samples
from tests.screens.console import Console, run_console
from tests.waiting import PATIENCE_SECONDS


async def click(console: Console, words: str, *, line: int) -> None:
    """Clicks on words in a line of the page; the last one is -1."""
    lines = console.text.split("\n")
    y = line % len(lines)
    assert words in lines[y], lines[y]
    await console.pilot.click(offset=(lines[y].index(words), y))
    await console.pilot.pause()


def place_of_button(console: Console, word: str) -> tuple[int, int]:
    """Where a button of the dialog is drawn."""
    dialog = console.app.screen
    assert isinstance(dialog, Dialog)
    region, lines = dialog.query_one(Lines).content_region, console.text.split("\n")
    return region.x + lines[-1].index(word), region.y + len(lines) - 1


async def click_button(console: Console, word: str, *, button: int = 1) -> None:
    """Clicks on a button of the dialog, with a button of the mouse."""
    await console.pilot.click(offset=place_of_button(console, word), button=button)
    await console.pilot.pause()


async def double_click(console: Console, x: int, y: int) -> None:
    """Clicks twice at one place, as a terminal reports it, also if the first click opens a dialog there."""
    for kind in (events.MouseDown, events.MouseUp) * 2:
        console.app.post_message(kind(None, x, y, 0, 0, 1, False, False, False, x, y))
        await console.pilot.pause()


def test_the_mouse_presses_the_keys_of_footer_and_verdict() -> None:
    async def scenario(console: Console) -> None:
        await click(console, "w why", line=-1)
        await console.until(lambda: isinstance(console.app.screen, WhyDialog))
        await console.press("escape")
        await click(console, "t trigger", line=1)
        await console.until(lambda: isinstance(console.app.screen, TriggerDialog))
        await click_button(console, "Cancel")
        await console.until(lambda: isinstance(console.app.screen, Dashboard))
        await click(console, "? help", line=-1)
        await console.until(lambda: isinstance(console.app.screen, HelpScreen))

    run_console(scenario, replace(samples.BUSY, findings=(samples.OVERDUE,)), size=(120, 40))


def test_the_mouse_resumes_all_jobs_in_the_verdict() -> None:
    everything = replace(samples.BUSY, pauses=(samples.paused("all"),))

    async def scenario(console: Console) -> None:
        await console.select(None)
        await click(console, "u resume", line=1)
        await console.until(lambda: isinstance(console.app.screen, Dialog))
        assert "Resume all jobs?" in console.text

    run_console(scenario, everything, size=(120, 40))


def test_the_mouse_presses_the_key_that_fixes_an_alert() -> None:
    card = next(each for each in past_alerts.SOME.alerts if each.remedy is not None and each.alert.is_open)
    effect = alert_detail.EFFECTS[card.remedy] if card.remedy is not None else ""

    async def scenario(console: Console) -> None:
        await console.press("6")
        await console.select(alerts.key(card))
        await console.until(lambda: f" {effect}" in console.text)
        lines = console.text.split("\n")
        await click(console, effect, line=next(n for n, each in enumerate(lines) if effect in each))
        await console.until(lambda: not isinstance(console.app.screen, AlertsScreen))

    run_console(scenario, past_alerts.SOME, size=(120, 40))


def test_the_mouse_presses_buttons_and_chooses_in_the_palette() -> None:
    async def scenario(console: Console) -> None:
        await console.select(("running", "4812"))
        await console.press("x")
        await click_button(console, "No")
        assert isinstance(console.app.screen, Dashboard)
        await console.press("x")
        await click_button(console, "Cancel the run")
        await console.until(lambda: console.service.calls_of("cancel"))
        await console.press("ctrl+p", *"packs")
        await console.pilot.click("#frame", offset=(8, 4))
        await console.until(lambda: isinstance(console.app.screen, PacksScreen))

    run_console(scenario)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_a_double_click_in_the_palette_only_opens_the_dialog(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.app.ConsoleApp.CLICK_CHAIN_TIME_THRESHOLD", PATIENCE_SECONDS)
    card = samples.BUSY.jobs[0]
    many = replace(samples.BUSY, jobs=tuple(replace(card, name=f"game.job_{n:02}") for n in range(18)))

    async def scenario(console: Console) -> None:
        await console.press("t")
        await console.until(lambda: isinstance(console.app.screen, TriggerDialog))
        place = place_of_button(console, "OK")
        await console.press("escape", "ctrl+p", *"trigger game")
        await double_click(console, *place)
        await console.until(lambda: isinstance(console.app.screen, TriggerDialog))
        await console.pilot.pause()
        assert console.service.calls_of("trigger") == []
        assert place_of_button(console, "OK") == place
        await click_button(console, "OK")
        await console.until(lambda: console.service.calls_of("trigger"))

    run_console(scenario, many, size=size)


@pytest.mark.parametrize("button", [2, 3], ids=["middle", "right"])
def test_other_buttons_of_the_mouse_press_and_select_nothing(button: int) -> None:
    async def scenario(console: Console) -> None:
        await console.press("t")
        await click_button(console, "OK", button=button)
        assert isinstance(console.app.screen, TriggerDialog)
        await console.press("escape")
        y = len(console.text.split("\n")) - 1
        await console.pilot.click(offset=(console.text.split("\n")[y].index("? help"), y), button=button)
        await console.pilot.pause()
        assert isinstance(console.app.screen, Dashboard)
        assert console.service.calls_of("trigger") == []

    run_console(scenario)


def test_a_click_at_cancel_clears_nothing_when_the_other_button_has_just_been_renamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = fakes.FakeService()
    service.counting.clear()

    async def scenario(console: Console) -> None:
        await console.press("c", *"asha")
        await console.until(lambda: "counting: 12,000" in console.text)
        cancel = place_of_button(console, "Cancel")
        service.counting.set()
        await console.until(lambda: "[ Clear 940 keys ]" in console.text)
        assert place_of_button(console, "Cancel") == cancel
        monkeypatch.setattr("screens.dialogs.dialog.RENAMED_SECONDS", PATIENCE_SECONDS)
        await click_button(console, "Clear 940 keys")
        assert isinstance(console.app.screen, ClearDialog)
        await console.pilot.click(offset=cancel)
        await console.until(lambda: isinstance(console.app.screen, Dashboard))
        assert service.calls_of("clear") == []

    run_console(scenario, service=service)


def test_the_button_that_was_renamed_a_while_ago_clears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.dialogs.dialog.RENAMED_SECONDS", 0.0)

    async def scenario(console: Console) -> None:
        await console.press("c", *"asha")
        await console.until(lambda: "[ Clear 940 keys ]" in console.text)
        await click_button(console, "Clear 940 keys")
        await console.until(lambda: console.service.calls_of("clear"))

    run_console(scenario)


def test_the_key_of_a_word_is_pressed_as_well() -> None:
    footer = (Piece(" "), Piece("^p", "key"), Piece(" find ", "quiet"), Piece(" "), Piece("q", "key"), Piece(" quit"))
    drawn = "".join(piece.text for piece in footer)
    found = [key_at(footer, drawn.index(word)) for word in ("^p", "find", "q", "quit")]
    assert found == ["^p", "^p", "q", "q"]
    assert key_at(footer, 0) == key_at(footer, len(drawn)) == ""


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize(("key", "line", "words"), [("2", 2, "failed"), ("3", 2, "failed"), ("6", 2, "firing")])
def test_the_mouse_chooses_a_segment(size: tuple[int, int], key: str, line: int, words: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press(key)
        await console.until(lambda: "[all" in console.text)
        await click(console, words, line=line)
        await console.until(lambda: f"[{words}" in console.text)

    run_console(scenario, past_alerts.SOME, size=size)
