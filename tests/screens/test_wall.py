"""The wall display: the worst first, in letters that are read across a room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opsconsole.core.problems import Fault, Problem, Work
from screens.app import ConsoleApp
from screens.dialogs.palette import Palette
from screens.pages.dashboard import Dashboard
from screens.pages.wall import WallScreen
from screens.panels import wall
from screens.panels.view import View
from screens.widgets.symbols import to_ascii
from tests.screens import fakes, past_alerts, samples
from tests.screens.console import Console, run_console
from tests.screens.test_clearing import text
from tests.screens.test_hostile import ALL, HOSTILE, has_only_visible_characters, hostile_snapshot

OK = replace(samples.QUIET, jobs=samples.JOBS[1:], recent=(), findings=(), alerts=())


def test_the_letters_tell_the_number_of_alerts() -> None:
    one = replace(past_alerts.SOME, alerts=past_alerts.CARDS[:2])
    unknown = replace(OK, unknown=(Problem(Work.ALERT_LIST, Fault.UNKNOWN, samples.NOW, "broken"),))

    def headline(snapshot: object) -> tuple[str, str]:
        return wall.headline(View(snapshot, samples.NOW))  # type: ignore[arg-type]

    assert headline(past_alerts.SOME) == ("2 ALERTS", "bad")
    assert headline(one) == ("1 ALERT", "bad")
    assert headline(replace(OK, findings=(samples.FAILED,))) == ("1 ALERT", "warn")
    assert headline(OK) == ("ALL OK", "ok")
    assert headline(replace(OK, leader=None)) == ("NO LEADER", "warn")
    assert headline(replace(OK, pauses=(samples.paused("all"),))) == ("PAUSED", "warn")
    assert headline(samples.TROUBLE) == headline(unknown) == ("STALE", "warn")
    assert headline(samples.EMPTY) == ("", "")


def test_every_headline_has_letters() -> None:
    for word in ("ALL OK", "STALE", "NO LEADER", "PAUSED", "0123456789 ALERTS"):
        rows = wall.letters(word, "ok")
        assert len(rows) == wall.LETTER_ROWS
        assert len({len("".join(piece.text for piece in row)) for row in rows}) == 1


def test_it_is_drawn_in_ascii_too() -> None:
    lines = wall.content(View(past_alerts.SOME, samples.NOW), 80, 20)
    shown = to_ascii(text(lines))

    assert shown.isascii()
    assert "?" not in shown


def test_what_needs_a_look_comes_first() -> None:
    found = wall.tiles(View(past_alerts.SOME, samples.NOW))

    assert [(tile.state.word, tile.name) for tile in found] == [
        ("critical", "the data database"),
        ("late", "reporting.daily_report"),
        ("partial", "attempts.cache_day"),
        ("failed", "game.session_cleanup"),
        ("queued", "game.life_regen"),
        ("ok", "game.leaderboard_recalc"),
    ]


@pytest.mark.parametrize("size", [(60, 16), (80, 20), (120, 36), (200, 56)])
def test_tiles_fill_the_room_and_the_rest_is_counted(size: tuple[int, int]) -> None:
    cells, rows = size
    many = replace(OK, jobs=tuple(samples.card(f"game.job{n:03}", n) for n in range(300)))

    lines = wall.content(View(many, samples.NOW), cells, rows)

    assert len(lines) <= rows
    assert "more without a problem" in text(lines)
    bad = replace(many, findings=tuple(replace(samples.OVERDUE, subject=card.name) for card in many.jobs))
    assert "more need a look" in text(wall.content(View(bad, samples.NOW), cells, rows))
    for evil in (*HOSTILE, ALL):
        assert has_only_visible_characters(wall.content(View(hostile_snapshot(evil), samples.NOW), cells, rows), cells)


def test_the_palette_opens_it_and_nothing_can_be_chosen() -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p", *"wall", "enter")
        assert isinstance(console.app.screen, WallScreen)
        assert not isinstance(console.app.screen, Palette)
        assert console.service.presence[-1] == "wall"
        await console.press("t", "x", "j", "enter")
        assert isinstance(console.app.screen, WallScreen)
        assert not console.service.calls_of("trigger", "cancel")
        assert "▸" not in console.text
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, past_alerts.SOME)


async def _opens_on_the_wall() -> None:
    app = ConsoleApp(fakes.FakeService(), now=lambda: samples.NOW, wall=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, WallScreen)
        app.show(past_alerts.SOME)
        await pilot.pause()


def test_the_option_opens_it_at_once() -> None:
    import asyncio

    asyncio.run(_opens_on_the_wall())
