"""What packs show of themselves: drawn without knowing what it is, kept fresh, and hiding nothing when one fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.authoring.extensions import PanelContent
from opsconsole.core.errors import Unavailable
from opsconsole.service.snapshot import PanelView
from screens.pages.dashboard import Dashboard
from screens.pages.help import HelpScreen
from screens.pages.packs import PacksScreen
from screens.pages.run import RunScreen
from screens.panels import packs
from tests.screens import fakes, samples
from tests.screens.console import Console, run_console
from tests.screens.test_clearing import text
from tests.screens.test_hostile import ALL, HOSTILE, has_only_visible_characters

LONG = (
    PanelView(
        "game", "Players", PanelContent(columns=("player", "XP"), rows=tuple((f"u{n:04}", f"{n}") for n in range(100)))
    ),
)


def drawn(shown: PanelContent, cells: int = 60, *, failed: bool = False) -> list[str]:
    return text(packs.panel_lines(PanelView("game", "Players", shown, failed), cells)).splitlines()


# --- rows, without a screen ---------------------------------------------------------------------------------------


def test_facts_use_as_many_columns_as_fit() -> None:
    facts = (("lives due", "1,204"), ("streaks in danger", "3"), ("sessions", "12"))

    assert drawn(PanelContent(facts=facts), 60) == [
        "─ game: Players " + "─" * 44,
        " lives due          1,204   streaks in danger  3",
        " sessions           12",
    ]


def test_numbers_are_right_aligned_and_wide_columns_are_cut() -> None:
    shown = PanelContent(
        columns=("board", "players", "first"),
        rows=(("all time", "10,000", "a name that is much too long for this place"), ("week", "812", "")),
    )

    assert drawn(shown, 40)[1:] == [
        " board     players  first",
        " all time   10,000  a name that is muc…",
        " week          812",
    ]


def test_rows_longer_or_shorter_than_the_header_are_shown() -> None:
    assert drawn(PanelContent(columns=("a",), rows=(("x", "y"), ())))[1:] == [" a", " x  y", ""]
    assert drawn(PanelContent(rows=(("x", "y"),)))[1:] == [" x  y"]


def test_a_panel_shows_its_message_or_that_it_is_empty() -> None:
    assert drawn(PanelContent(message="no day is reported yet", columns=("day",)))[1:] == [
        " no day is reported yet",
        " day",
        "   no rows",
    ]
    assert drawn(PanelContent())[1:] == ["   nothing to show"]
    assert drawn(PanelContent(message="timeout"), failed=True)[1:] == [" ✗ timeout"]


def test_a_long_table_is_cut() -> None:
    lines = drawn(PanelContent(columns=("n",), rows=tuple((str(n),) for n in range(2500))))

    assert len(lines) == 1 + 1 + packs.ROWS + 1
    assert lines[-1] == "   and 1,500 more"


def test_stale_panels_are_labelled() -> None:
    def end(age: int, first: int = 0, rows: int = 20) -> str:
        at = samples.ago(seconds=age)
        return text([packs.end(first=first, rows=rows, total=20, loaded_at=at, now=samples.NOW)])

    assert text([packs.title(samples.PANELS)]) == "Packs  4 panels of 3 packs"
    assert end(3) == "as of 18:20:04 UTC"
    assert end(3, first=2, rows=5) == "as of 18:20:04 UTC   lines 3 to 7 of 20"
    assert end(60) == "stale since 18:19:07 UTC"


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
@pytest.mark.parametrize("cells", [80, 120])
def test_hostile_text_in_panels_is_shown_safely(hostile: str, cells: int) -> None:
    shown = PanelContent(((hostile, hostile),), (hostile, "b", hostile), ((hostile, hostile, hostile),) * 2, hostile)

    assert has_only_visible_characters(packs.all_lines([PanelView(hostile, hostile, shown)], cells), cells)


@pytest.mark.parametrize("count", [40, 300])
def test_more_columns_than_fit_do_not_break_the_layout(count: int) -> None:
    shown = PanelContent(columns=tuple(f"column {n}" for n in range(count)), rows=(("日本語",) * count,))

    assert has_only_visible_characters(packs.all_lines([PanelView("p", "t", shown)], 80), 80)


# --- the screen ---------------------------------------------------------------------------------------------------


def test_one_key_opens_the_packs_and_escape_closes_them() -> None:
    async def scenario(console: Console) -> None:
        await console.press("7")
        assert isinstance(console.app.screen, PacksScreen)
        await console.until(lambda: "game: Players" in console.text)
        for words in (
            "streaks in danger",
            "all time   10,000  asha",
            "✗ the data database is unreachable: timeout",
            "no rows",
        ):
            assert words in console.text
        assert console.service.presence[-1] == "packs"
        await console.press("7", "1")
        assert isinstance(console.app.screen, Dashboard)
        await console.press("home", "enter", "7", "escape")
        assert isinstance(console.app.screen, RunScreen)
        await console.press("7", "question_mark", "7")
        assert isinstance(console.app.screen, PacksScreen)
        await console.press("1", "1")
        assert isinstance(console.app.screen, Dashboard)
        assert len(console.app.screen_stack) == 1

    run_console(scenario)


def test_scrolling_stops_at_both_ends() -> None:
    service = fakes.FakeService()
    service.panel_views = LONG

    async def scenario(console: Console) -> None:
        await console.press("7")
        await console.until(lambda: "lines 1 to 19 of 103" in console.text)
        await console.press("up", "down", "j", "k")
        assert "lines 2 to 20 of 103" in console.text
        assert "u0018" not in console.text.splitlines()[2]
        await console.press("pagedown")
        assert "lines 20 to 38 of 103" in console.text
        await console.press("end", "down")
        assert "lines 85 to 103 of 103" in console.text
        assert "u0099" in console.text
        await console.press("pageup", "home")
        assert "lines 1 to 19 of 103" in console.text

    run_console(scenario, service=service)


def test_panels_are_polled_while_the_page_is_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.pages.polling.TICK_SECONDS", 0.05)
    monkeypatch.setattr("screens.pages.polling.SLOW_SECONDS", 0.05)
    service = fakes.FakeService()

    async def scenario(console: Console) -> None:
        await console.press("7")
        await console.until(lambda: "10,000" in console.text)
        service.panel_views = LONG
        await console.until(lambda: "u0003" in console.text)
        service.unreachable = Unavailable("store", "database is locked")
        await console.until(lambda: "the store is unreachable: database is locked" in console.text)
        assert "u0003" in console.text, "what was read stays"
        service.unreachable = None
        await console.until(lambda: "is locked" not in console.text)
        await console.press("question_mark")
        assert isinstance(console.app.screen, HelpScreen)
        await console.pilot.pause(0.2)
        before = len(service.calls)
        await console.pilot.pause(0.2)
        assert len(service.calls) == before

    run_console(scenario, service=service)


def test_a_failed_load_and_packs_without_panels_are_explained() -> None:
    service = fakes.FakeService()
    service.unreachable = Unavailable("data", "timeout")

    async def scenario(console: Console) -> None:
        await console.press("7")
        await console.until(lambda: "the data database is unreachable: timeout" in console.text)
        service.unreachable, service.panel_views = None, ()
        await console.press("escape", "7")
        await console.until(lambda: "no loaded pack has a panel" in console.text)

    run_console(scenario, service=service)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_no_panel_shows_invisible_characters(size: tuple[int, int]) -> None:
    service = fakes.FakeService()
    shown = PanelContent(((ALL, ALL),), (ALL, ALL), ((ALL, ALL), (ALL,)), ALL)
    service.panel_views = (PanelView(ALL, ALL, shown), PanelView("p", "t", shown, failed=True))

    async def scenario(console: Console) -> None:
        await console.press("7")
        await console.until(lambda: "2 panels of 2 packs" in console.text)
        assert console.text.replace("\n", "").isprintable()
        assert not {c for c in console.app.export_screenshot() if not c.isprintable()} - {"\n"}

    run_console(scenario, replace(samples.BUSY, environment=ALL), service, size)


def test_panels_become_stale_later_than_the_next_poll() -> None:
    from screens.pages.polling import SLOW_SECONDS

    assert timedelta(seconds=2 * SLOW_SECONDS) < packs.OLD_AFTER
