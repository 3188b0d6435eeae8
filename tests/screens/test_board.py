"""The board: which jobs come first, which runs are shown, and what keys and mouse do on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from textual.color import Color

from opsconsole.authoring.run import Counts, RunState, Trigger
from opsconsole.service.snapshot import Finding, FindingKind, JobCard, Progress, Severity, Snapshot
from screens.dialogs.trigger import TriggerDialog
from screens.pages.dashboard import Dashboard
from screens.panels import board, health, job_states, recent, running, success
from screens.panels.job_states import Rank, worst_first
from screens.panels.view import View
from screens.widgets.lines import Drawing, Line, Piece
from screens.widgets.paint import STYLES, Lines
from screens.widgets.panel import Panel
from tests.screens import samples
from tests.screens.console import Console, run_console

BACKUP = JobCard("exams.cleanup", "", None, "UTC", "manual", (), None, None)
ALL_KINDS = replace(
    samples.PAUSED,
    jobs=(*samples.JOBS, BACKUP),
    live=samples.BUSY.live[:1],
    recent=(),
    findings=(samples.OVERDUE,),
)


def view_of(snapshot: Snapshot, cursor: tuple[str, str] | None = None) -> View:
    return View(snapshot, samples.NOW, cursor)


def text_of(lines: Iterable[Line]) -> list[str]:
    return ["".join(piece.text for piece in each) for each in lines]


def many(count: int) -> Snapshot:
    """Jobs that are all ok, and a manual one."""
    run = samples.a_run(1)
    cards = [samples.card(f"pack.job_{n:03}", n, last=replace(run, job=f"pack.job_{n:03}")) for n in range(count)]
    return replace(samples.QUIET, jobs=(*cards, BACKUP), recent=(), histories=())


# --- jobs ----------------------------------------------------------------------------------------------------------


def test_what_is_wrong_comes_first_and_manual_jobs_last() -> None:
    states = worst_first(view_of(ALL_KINDS))

    assert [(state.name, state.rank) for state in states] == [
        ("reporting.daily_report", Rank.CRITICAL),
        ("attempts.cache_day", Rank.RUNNING),
        ("game.life_regen", Rank.PAUSED),
        ("game.leaderboard_recalc", Rank.OK),
        ("game.session_cleanup", Rank.OK),
        ("exams.cleanup", Rank.MANUAL),
    ]
    assert [state.fix and state.fix.default for state in states[:3]] == [
        ("t", "trigger"),
        ("x", "cancel"),
        ("u", "resume"),
    ]
    assert states[0].symbol.word == "late"


def test_a_job_with_an_unknown_state_is_never_ok() -> None:
    words = {state.symbol.word for state in worst_first(view_of(samples.TROUBLE))}
    assert "unknown" in words
    assert "ok" not in words


def test_one_failed_item_of_many_is_a_partial_run_and_no_failure() -> None:
    one = samples.partial(4811, counts=Counts(planned=1_912, ok=1_911, failed=1))
    shown = replace(samples.QUIET, jobs=(replace(samples.CACHE_DAY, last=one),), recent=(one,), histories=())

    table = board.panel(view_of(shown), 118, 10)
    row = next(each for each in table.lines if "attempts.cache_day" in text_of([each])[0])

    assert "1 of 1,912" in text_of([row])[0]
    assert "bad" not in {piece.style for piece in row}


def test_jobs_that_are_ok_are_counted_where_there_is_no_room_for_them() -> None:
    drawing = board.panel(view_of(many(20)), 118, 10)

    assert len(drawing.lines) == 10
    assert text_of(drawing.lines)[-2:] == [
        " ✓ 13 more are ok, next pack.job_007 in 16 min",
        " · 1 manual: exams.cleanup",
    ]
    assert "20 ok" in text_of([drawing.end])[0]


def test_the_row_under_the_cursor_is_shown_however_many_jobs_there_are() -> None:
    snapshot = many(1000)
    for name in ("pack.job_000", "pack.job_500", "pack.job_999", "exams.cleanup"):
        drawing = board.panel(view_of(snapshot, ("jobs", name)), 118, 10)
        assert sum("▸" in each for each in text_of(drawing.lines)) == 1
        assert ("jobs", name) in drawing.rows
        assert name in text_of(drawing.lines)[drawing.rows.index(("jobs", name))]


def test_no_two_names_look_alike() -> None:
    names = [f"reporting.monthly_summary_of_{country}_in_full" for country in ("the_north", "the_south", "the_west")]
    shown = replace(samples.QUIET, jobs=tuple(samples.card(name, 1) for name in names), histories=())
    for drawing in (board.panel(view_of(shown), 98, 10), success.panel(view_of(shown), 60, 10)):
        rows = [each[:30] for each in text_of(drawing.lines) if "…" in each]
        assert len(set(rows)) == len(names)


def test_only_unusual_bars_stand_out() -> None:
    history = samples.SUCCESS[0]
    slow = samples.a_run(1, seconds=60)
    newest = (*history.newest[:3], slow, *history.newest[4:])

    pieces = success.bars(replace(history, newest=newest))

    assert [piece.text for piece in pieces if piece.style != "quiet"] == ["█", "◐"]


@pytest.mark.parametrize(("cells", "left_out"), [(98, {"usual", "7 d"}), (118, {"run", "30 d"}), (198, set())])
def test_columns_are_left_out_where_there_is_no_room(cells: int, left_out: set[str]) -> None:
    header = text_of(board.panel(view_of(samples.BUSY), cells, 10).lines)[0]
    for title in ("state", "next", "last, UTC", "last 14"):
        assert title in header
    assert not {title for title in left_out if f" {title} " in header}


# --- runs ----------------------------------------------------------------------------------------------------------


def test_repeated_runs_collapse() -> None:
    repeats = [samples.a_run(n, "exams.work_queue") for n in range(1, 10)]
    assert [(each.newest.id, each.runs) for each in recent.groups(tuple(repeats), ())] == [(9, 9)]


def test_the_windows_of_a_backfill_are_one_row_beside_the_scheduled_run() -> None:
    backfill = [samples.a_run(n, trigger=Trigger.BACKFILL) for n in range(1, 32)]
    groups = recent.groups((*backfill, samples.a_run(40)), ())
    assert [(each.newest.id, each.runs) for each in groups] == [(40, 1), (31, 31)]


def test_a_minutely_job_pushes_no_failure_out_of_sight() -> None:
    failed = samples.a_run(10, "reporting.daily_report", RunState.FAILED)
    history = replace(samples.SUCCESS[4], newest=(failed,))
    minutely = [samples.a_run(n, "exams.work_queue") for n in range(100, 120)]

    groups = recent.groups(tuple(minutely), (history,))

    assert [(each.newest.id, each.runs) for each in groups] == [(10, 1), (119, 20)]


def test_the_queued_windows_of_a_backfill_are_one_row_below_a_failure() -> None:
    queued = [Progress(samples.a_run(n, state=RunState.QUEUED), "UTC", None, None) for n in range(50, 81)]
    failed = samples.a_run(10, "reporting.daily_report", RunState.FAILED)
    shown = replace(samples.BUSY, live=tuple(queued), recent=(failed,), histories=())

    drawing = running.panel(view_of(shown), 118, 10)

    assert drawing.rows == [("running", "10"), ("running", "50")]
    assert "31 runs" in text_of(drawing.lines)[1]


def test_a_failure_that_a_later_run_made_good_is_no_longer_first() -> None:
    failed, good = samples.a_run(10, state=RunState.FAILED), samples.a_run(11)
    assert [each.newest.id for each in recent.groups((good, failed), ())] == [11, 10]


# --- keys and mouse ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_keys_of_the_verdict_act_on_its_finding(size: tuple[int, int]) -> None:
    async def scenario(console: Console) -> None:
        page = console.app.front_page
        assert isinstance(page, Dashboard)
        assert page.cursor == health.key(samples.OVERDUE)
        keys = "enter open  t trigger  w why" if size[0] == 120 else "t trigger"
        assert console.text.splitlines()[1].endswith(keys)
        await console.press("t")
        assert isinstance(console.app.screen, TriggerDialog)
        assert "reporting.daily_report" in console.text
        await console.press("escape", "up")
        assert console.text.splitlines()[1].endswith("home go there")
        await console.press("home")
        assert page.cursor == health.key(samples.OVERDUE)

    run_console(scenario, replace(samples.BUSY, findings=(samples.OVERDUE,)), size=size)


def test_the_cursor_follows_the_worst_finding_until_it_is_moved() -> None:
    worse = Finding(Severity.CRITICAL, FindingKind.NO_GOOD_RUN, "game.life_regen", samples.ago(hours=9))

    async def scenario(console: Console) -> None:
        page = console.app.front_page
        assert isinstance(page, Dashboard)
        assert page.cursor == ("running", "4812")
        console.app.show(replace(samples.BUSY, findings=(samples.FAILED,)))
        assert page.cursor == health.key(samples.FAILED)
        await console.press("up", "down")
        console.app.show(replace(samples.BUSY, findings=(worse, samples.FAILED)))
        assert page.cursor == health.key(samples.FAILED)

    run_console(scenario)


def test_a_panel_can_have_the_whole_page() -> None:
    async def scenario(console: Console) -> None:
        await console.press("v")
        assert "Running ─" in console.text
        assert "Health" not in console.text
        await console.press("tab")
        assert "Success ─" in console.text
        assert "Running ─" not in console.text
        for key in ("escape", "v"):
            await console.press(key, *(["v"] if key == "v" else []))
            await console.until(lambda: "Health" in console.text)

    run_console(scenario)


def test_a_page_with_one_panel_cannot_be_maximised() -> None:
    async def scenario(console: Console) -> None:
        await console.press("7", "v")
        await console.until(lambda: console.notice == "this page has only one panel")

    run_console(scenario)


def test_the_mouse_selects_a_row_and_its_wheel_moves_the_cursor() -> None:
    async def scenario(console: Console) -> None:
        page = console.app.front_page
        assert isinstance(page, Dashboard)
        await console.pilot.click("#jobs", offset=(20, 2))
        assert page.cursor == ("jobs", "attempts.cache_day")
        assert console.app.screen.focused is page.query_one("#jobs")
        page.query_one("#jobs", Panel).on_mouse_scroll_down()
        await console.until(lambda: page.cursor == ("jobs", "game.life_regen"))
        await console.pilot.click("#redis")
        assert page.cursor == ("jobs", "game.life_regen")

    run_console(scenario)


def test_details_of_the_job_under_the_cursor_are_loaded() -> None:
    async def scenario(console: Console) -> None:
        await console.select(("jobs", "attempts.cache_day"))
        await console.until(lambda: "10,000 items" in console.text)
        await console.select(("running", "4811"))
        await console.until(lambda: "question q-7781 is missing" in console.text)
        assert "9,997 ok, 3 failed of 10,000 users in 1.4 s" in console.text

    run_console(scenario, samples.QUIET, size=(200, 60))


def test_panels_change_their_order_with_the_size() -> None:
    async def scenario(console: Console) -> None:
        def first() -> str | None:
            panels = [each for each in console.app.screen.query(Panel) if each.is_on_screen and each.id != "head"]
            return min(panels, key=lambda panel: (panel.region.y, panel.region.x)).id

        assert first() == "running"
        for size, name in (((120, 40), "jobs"), ((60, 20), "running"), ((200, 60), "jobs"), ((99, 50), "running")):
            await console.pilot.resize_terminal(*size)
            await console.until(lambda name=name: first() == name)  # type: ignore[misc]
            assert len(console.text.split("\n")) == size[1]

    run_console(scenario)


# --- themes --------------------------------------------------------------------------------------------------------


def test_every_theme_gives_each_style_a_colour_that_can_be_read() -> None:
    async def scenario(console: Console) -> None:
        app, lines = console.app, console.app.screen.query_one("#running", Lines)
        for theme in sorted(app.available_themes):
            app.theme = theme
            await console.pilot.pause()
            background = Color.from_rich_color(lines.visual_style.rich_style.bgcolor)
            for name in STYLES:
                (segment,) = lines.strip((Piece(name, name),))
                assert segment.style is not None
                if not app.native_ansi_color and name != "alarm" and segment.style.color is not None:
                    contrast = abs(Color.from_rich_color(segment.style.color).brightness - background.brightness)
                    assert contrast > 0.12, (theme, name, contrast)

    run_console(scenario)


def test_a_panel_without_a_title_has_none_in_its_border() -> None:
    lines: list[Line] = [()]
    assert Drawing(lines).title == ()
    assert job_states.keys(view_of(samples.EMPTY)) == []


def test_the_narrowest_footer_keeps_help() -> None:
    async def scenario(console: Console) -> None:
        footer = console.app.screen.query_one("#foot", Panel).text.splitlines()[-1]
        assert "? help" in footer
        assert "t trigger" in footer

    run_console(scenario, samples.TROUBLE, size=(60, 20))


def test_names_of_usual_length_are_whole_at_120_columns() -> None:
    drawn = text_of(board.panel(view_of(samples.TROUBLE), 118, 16).lines)
    assert not [row for row in drawn if "…" in row]
