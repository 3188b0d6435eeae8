"""A part of the screen that cannot be drawn shows the cause in its place, and the console goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from opsconsole.service.snapshot import Snapshot
from screens.pages.backfills import BackfillScreen
from screens.pages.dashboard import Dashboard
from screens.pages.help import HelpScreen
from screens.pages.page import Page
from screens.panels.remembered import remembered
from screens.panels.view import Blocks, fitted
from screens.widgets.lines import Line, Piece, line
from screens.widgets.text_field import TextField
from tests.screens import samples
from tests.screens.console import Console, run_console


class Broken:
    """A value of a foreign kind: every use raises, its text too."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no ink")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no ink")

    def __bool__(self) -> bool:
        raise RuntimeError("no ink")


def spoilt(part: str) -> Snapshot:
    return replace(samples.BUSY, **{part: cast("Any", Broken())})


@pytest.mark.parametrize("part", ["jobs", "live", "recent", "histories", "redis", "findings", "leader", "pauses"])
def test_a_page_that_cannot_be_drawn_ends_neither_the_console_nor_its_keys(
    part: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(console: Console) -> None:
        console.app.show(spoilt(part))
        await console.until(lambda: "cannot be drawn: " in console.text)
        console.app.show(spoilt(part))
        for keys in (("question_mark", "escape"), ("7", "escape"), ("4", "1"), ("ctrl+p", "escape"), ("c", "escape")):
            await console.press(*keys)
            assert console.app.is_running
            assert isinstance(console.app.front_page, Dashboard)

        console.app.show(samples.BUSY)
        await console.until(lambda: "cannot be drawn" not in console.text)
        await console.until(lambda: "game.life_regen" in console.text)
        await console.press("q")

    run_console(scenario)

    logged = [record for record in caplog.records if record.message == "the page Dashboard cannot be drawn"]
    assert 1 <= len(logged) <= 2  # one for each kind of error
    assert logged[0].exc_info is not None


def fail(*_values: object) -> Any:
    raise RuntimeError("no ink")


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.exc_info is not None]


def test_a_line_in_a_style_that_does_not_exist_is_empty_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def content(*_values: object) -> list[Line]:
        return [line(Piece("invisible", "no such style")), line(Piece("the next line"))]

    async def scenario(console: Console) -> None:
        monkeypatch.setattr(HelpScreen, "content", content)
        await console.press("question_mark")
        console.app.show(samples.PAUSED)
        await console.until(lambda: "the next line" in console.text)
        await console.press("escape", "tab")
        assert console.app.is_running

    run_console(scenario)

    assert len(messages(caplog)) == 1
    assert messages(caplog)[0].startswith("a line cannot be drawn: (Piece(text='invisible'")


def test_a_page_whose_handler_raises_shows_a_notice_and_takes_the_next_key(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    what = "the event ScreenResume"

    async def scenario(console: Console) -> None:
        monkeypatch.setattr(Dashboard, "on_screen_resume", fail)
        await console.press("question_mark", "escape")
        await console.until(lambda: console.notice == f"{what} failed: RuntimeError; see the log")
        monkeypatch.undo()
        await console.press("question_mark")
        await console.until(lambda: not isinstance(console.app.front_page, Dashboard))

    run_console(scenario)

    assert f"{what} failed" in messages(caplog)


@pytest.mark.parametrize(
    ("method", "what"), [("loaded", "showing what was loaded"), ("poll_seconds", "polling"), ("_draw_jobs", "the page")]
)
def test_a_page_that_cannot_use_what_it_loads_stays_open(
    method: str, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(BackfillScreen, method, fail)

    async def scenario(console: Console) -> None:
        await console.press("4")
        await console.until(lambda: any(message.startswith(what) for message in messages(caplog)))
        assert isinstance(console.app.front_page, BackfillScreen)
        await console.press("1")
        await console.until(lambda: isinstance(console.app.front_page, Dashboard))

    run_console(scenario)


def test_a_dialog_whose_field_raises_shows_a_notice_and_can_be_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(console: Console) -> None:
        await console.press("c")
        monkeypatch.setattr(TextField, "accepts", fail)
        monkeypatch.setattr(TextField, "insert", fail)
        await console.press("a", "tab")
        assert not isinstance(console.app.screen, Page)
        await console.press("escape")
        await console.until(lambda: isinstance(console.app.screen, Page))
        assert console.notice == "the key a failed: RuntimeError; see the log"

    run_console(scenario)

    assert "the key a failed" in messages(caplog)


def test_of_a_thousand_rows_only_those_that_are_shown_are_made() -> None:
    made: list[int] = []

    def draw(index: int) -> tuple[Line, ...]:
        made.append(index)
        return (line(f"  row {index}"),)

    keys = [("jobs", str(n)) for n in range(1000)]
    shown = fitted(Blocks(keys, draw), 8, 40, ("jobs", "500"))

    assert (shown.rows, shown.hidden) == (keys[493:501], 992)
    assert set(made) <= set(range(492, 502))


def test_a_function_is_computed_again_when_an_argument_has_changed() -> None:
    computed: list[tuple[int, ...]] = []

    @remembered
    def total(numbers: tuple[int, ...]) -> int:
        computed.append(numbers)
        return sum(numbers)

    assert [total((1, 2)), total((1, 2)), total((1, 3))] == [3, 3, 4]
    assert computed == [(1, 2), (1, 3)]
