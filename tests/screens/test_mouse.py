"""What the mouse reaches: keys that are drawn, buttons and commands of dialogs, and the segments of lists."""

from __future__ import annotations

from dataclasses import replace

import pytest

from screens.dialogs.dialog import Dialog
from screens.dialogs.trigger import TriggerDialog
from screens.dialogs.why import WhyDialog
from screens.pages.dashboard import Dashboard
from screens.pages.help import HelpScreen
from screens.pages.packs import PacksScreen
from screens.widgets.lines import Piece, key_at
from screens.widgets.paint import Lines
from tests.screens import past_alerts, samples
from tests.screens.console import Console, run_console


async def click(console: Console, words: str, *, line: int) -> None:
    """Clicks on words in a line of the page; the last one is -1."""
    lines = console.text.split("\n")
    y = line % len(lines)
    assert words in lines[y], lines[y]
    await console.pilot.click(offset=(lines[y].index(words), y))
    await console.pilot.pause()


async def click_button(console: Console, word: str) -> None:
    """Clicks on a button of the dialog."""
    dialog = console.app.screen
    assert isinstance(dialog, Dialog)
    region, lines = dialog.query_one(Lines).content_region, console.text.split("\n")
    await console.pilot.click(offset=(region.x + lines[-1].index(word), region.y + len(lines) - 1))
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
