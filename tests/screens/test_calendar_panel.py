"""The calendar of a job, plans and lists of backfills, as values without a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, strategies as st

from opsconsole.calendar.windows import Unit
from opsconsole.rules.backfill import Only, StepReason, StepState, WindowState, WindowStatus
from opsconsole.rules.backfill_status import BackfillState, BackfillStop, BackfillStopReason
from opsconsole.service import confirmations
from opsconsole.service.backfills import WindowedJob
from screens import command_lines
from screens.keymap import key_names
from screens.panels import backfills, calendar, plan, windows
from screens.panels.calendar import DateRange, Sheet
from screens.panels.plan import Draft, Plan, PlanProgress
from screens.widgets import symbols
from screens.widgets.lines import Drawing, Line, width
from tests.screens import past, samples

TODAY = date(2026, 1, 19)
DATES = st.dates(date(2000, 1, 1), TODAY)
KEYS = key_names({})
UNITS = st.sampled_from([Unit.DAY, Unit.MONTH, Unit.FOUR_WEEKS])


def plain(lines: Sequence[Line]) -> str:
    """Lines without styles."""
    return "\n".join("".join(piece.text for piece in each).rstrip() for each in lines)


def drawn(drawing: Drawing) -> str:
    """The title and the lines of a panel, without styles."""
    return plain([drawing.title, *drawing.lines])


def sheet(
    cursor: date = TODAY, marked: DateRange | None = None, statuses: Sequence[WindowStatus] = past.A_YEAR
) -> Sheet:
    """The daily report's year."""
    shown = calendar.page(Unit.DAY, cursor, TODAY)
    return Sheet(past.REPORT, Unit.DAY, shown, calendar.by_date(statuses), cursor, marked)


def a_plan(**other: object) -> Plan:
    """What would be done in the first days of December."""
    draft = Draft((past.REPORT,), DateRange(date(2025, 12, 1), date(2025, 12, 5)), Only.ALL)
    made = Plan(draft, past.PLAN, tuple(past.PLAN_STEPS), ())
    return replace(made, **other)  # type: ignore[arg-type]


# --- dates of windows ---------------------------------------------------------------------------------------------


@given(UNITS, DATES)
def test_the_page_of_a_date_contains_it_and_spans_one_year_or_three(unit: Unit, day: date) -> None:
    newest = calendar.date_of_window(unit, TODAY)
    at = calendar.date_of_window(unit, min(day, newest))

    shown = calendar.page(unit, at, newest)

    assert at in shown
    assert shown.last <= newest
    assert len(calendar.dates(unit, shown)) <= {Unit.DAY: 53 * 7, Unit.FOUR_WEEKS: 53, Unit.MONTH: 36}[unit]


@given(UNITS, DATES, st.integers(-60, 60), st.integers(-60, 60))
def test_the_cursor_stays_between_oldest_and_newest_window(unit: Unit, day: date, across: int, down: int) -> None:
    newest = calendar.date_of_window(unit, TODAY)
    at = min(calendar.date_of_window(unit, day), newest)

    to = calendar.moved(unit, at, across, down, newest)

    assert calendar.OLDEST <= to <= newest
    assert calendar.date_of_window(unit, to) == to


@pytest.mark.parametrize(
    ("unit", "across", "down", "to"),
    [
        (Unit.DAY, -1, 0, date(2026, 1, 8)),
        (Unit.DAY, 0, 1, date(2026, 1, 16)),
        (Unit.DAY, 1, 0, TODAY),
        (Unit.MONTH, -1, 0, date(2025, 12, 1)),
        (Unit.MONTH, 0, -1, date(2025, 1, 1)),
        (Unit.FOUR_WEEKS, -1, 0, date(2026, 1, 10)),
        (Unit.FOUR_WEEKS, 0, -1, date(2026, 1, 10)),
    ],
)
def test_a_step_is_a_week_or_a_day_a_month_or_a_year(unit: Unit, across: int, down: int, to: date) -> None:
    at = calendar.date_of_window(unit, date(2026, 1, 15))
    assert calendar.moved(unit, at, across, down, max(at, TODAY)) == to


def test_the_date_of_a_window_follows_from_its_label() -> None:
    assert calendar.date_of_label("2026-01-17") == date(2026, 1, 17)
    assert calendar.date_of_label("2026-01") == date(2026, 1, 1)
    assert calendar.date_of_window(Unit.FOUR_WEEKS, date(2026, 1, 14)) == date(2026, 1, 17)
    assert calendar.dates(Unit.MONTH, DateRange(date(2025, 11, 1), date(2026, 1, 1))) == [
        date(2025, 11, 1),
        date(2025, 12, 1),
        date(2026, 1, 1),
    ]


def test_ranges_show_a_year_once() -> None:
    assert calendar.between("2025-12-01", "2025-12-31") == "2025-12-01 to 12-31"
    assert calendar.between("2025-12-31", "2026-01-01") == "2025-12-31 to 2026-01-01"
    assert calendar.between("2025-12-01", "2025-12-01") == "2025-12-01"


# --- lines --------------------------------------------------------------------------------------------------------


def test_a_year_fits_into_eighty_cells_with_a_letter_for_each_state() -> None:
    lines = calendar.grid(sheet(), 80)

    assert len(lines) == 8
    assert all(width(each) <= 80 for each in lines)
    assert [each[:4].strip("▸ ") for each in plain(lines).splitlines()[1:]] == list(calendar.WEEKDAYS)
    text = plain(lines)
    assert (text.count("S"), text.count("F"), text.count("p"), text.count("-")) == (8 + 3, 1 + 2, 1 + 2, 1)
    assert text.splitlines()[0].split() == ["25/26", *calendar.MONTHS[1:], "Jan"]


@pytest.mark.parametrize(("cells", "each"), [(80, 1), (120, 2), (200, 3)])
def test_weeks_are_wider_on_a_wide_terminal(cells: int, each: int) -> None:
    monday = calendar.grid(sheet(), cells)[1]
    assert width(monday) == 6 + 53 * each


def test_cursor_and_marked_range_have_their_own_styles() -> None:
    marked = DateRange(date(2025, 12, 1), date(2025, 12, 3))
    lines = calendar.grid(sheet(date(2025, 12, 3), marked), 80)

    styles = {piece.style for each in lines for piece in each if symbols.MARKED in piece.style}
    assert styles == {"marked"}
    assert [piece.text for piece in lines[3] if piece.style == "chosen"] == ["·"]
    assert lines[3][0].text == "▸"


@given(UNITS, DATES, st.sampled_from([60, 80, 118, 198]))
def test_the_mouse_finds_the_window_that_is_drawn_under_it(unit: Unit, day: date, cells: int) -> None:
    newest = calendar.date_of_window(unit, TODAY)
    at = min(calendar.date_of_window(unit, day), newest)
    drawn_sheet = Sheet(past.REPORT, unit, calendar.page(unit, at, newest), {}, at)
    ((y, x),) = [
        (y, sum(width((piece,)) for piece in each[:place]))
        for y, each in enumerate(calendar.grid(drawn_sheet, cells))
        for place, piece in enumerate(each)
        if piece.style == "chosen"
    ]

    assert calendar.date_at(drawn_sheet, cells, x, y) == at
    assert calendar.date_at(drawn_sheet, cells, 2, y) is None
    assert calendar.date_at(drawn_sheet, cells, x, 0) is None


def test_the_title_counts_in_words_or_in_symbols_on_a_narrow_terminal() -> None:
    wide, narrow = (plain(calendar.heading(sheet(), "UTC", cells, name="Backfill")) for cells in (120, 80))
    assert "350 fresh" not in narrow
    assert "fresh · 8 stale · 4 missing · 1 partial · 1 failed" in wide
    assert "S 8   m 4   p 1   F 1" in narrow


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (past.a_window(past.utc_day(TODAY), WindowState.MISSING), "m missing: no run covered it"),
        (past.a_window(past.utc_day(TODAY), WindowState.NOT_DUE), "- not due: the window has not ended yet"),
        (past.a_window(past.utc_day(TODAY), WindowState.RUNNING), "▶ running: run 4900"),
        (past.a_window(past.utc_day(TODAY), run=None), "· fresh: all its data exists"),
        (past.a_window(past.utc_day(TODAY)), "· fresh: run 4000, 1,203 items in 2.1 s"),
        (
            past.a_window(past.utc_day(TODAY), WindowState.STALE, stale=1),
            "S stale: 1 item out of date · run 4000, 1,203 items in 2.1 s",
        ),
        (
            past.a_window(past.utc_day(TODAY), WindowState.STALE, complete=False),
            "S stale: run before the window ended · run 4000",
        ),
    ],
)
def test_the_window_under_the_cursor_is_described(status: WindowStatus, words: str) -> None:
    text = plain([calendar.cursor_line(sheet(statuses=[status]), samples.NOW, 100)])
    assert text.startswith(f" Mon 2026-01-19  {words}")


def test_months_have_a_row_for_each_year() -> None:
    newest = date(2026, 1, 1)
    shown = calendar.page(Unit.MONTH, newest, newest)
    months = Sheet(past.SUMMARY, Unit.MONTH, shown, calendar.by_date(past.MONTHS), newest)

    lines = plain(calendar.grid(months, 80)).splitlines()

    assert lines[0].split() == list(calendar.MONTHS)
    assert [each[1:5] for each in lines[1:]] == ["2024", "2025", "2026"]
    assert lines[1].count("m") == 5


def test_of_four_weeks_only_saturdays_are_shown() -> None:
    newest = calendar.date_of_window(Unit.FOUR_WEEKS, TODAY)
    weeks = Sheet(past.MASTERY, Unit.FOUR_WEEKS, calendar.page(Unit.FOUR_WEEKS, newest, newest), {}, newest)
    assert [each[:4] for each in plain(calendar.grid(weeks, 80)).splitlines()[1:]] == ["▸Sat"]


# --- the plan -----------------------------------------------------------------------------------------------------


def test_followers_are_found_over_several_steps_if_they_can_be_backfilled() -> None:
    assert plan.followers(past.REPORT, past.CALENDARS) == (past.SNAPSHOT, past.SUMMARY)
    assert plan.followers(past.SUMMARY, past.CALENDARS) == ()
    only_newest = (*past.CALENDARS, WindowedJob("x.y", "UTC", Unit.DAY, after=(past.SUMMARY,), newest_only=True))
    assert plan.followers(past.SNAPSHOT, only_newest) == (past.SUMMARY,)


def test_the_marked_range_is_counted_by_state() -> None:
    draft = Draft((past.REPORT,), DateRange(date(2025, 11, 29), date(2025, 12, 2)), Only.MISSING)
    card = past.CALENDARS[1]
    statuses = calendar.by_date(past.A_YEAR)

    text = drawn(plan.mark_lines(draft, card, statuses, (past.SNAPSHOT,), 80, KEYS, is_marked=True, is_open=False))
    assert "Marked 2025-11-29 to 12-02: 4 windows, all missing" in text
    assert "only missing windows: 4 of 4   m stale, failed, not fresh, all" in text
    assert "+ includes it" in text
    assert "enter creates the plan, and starts nothing yet" in text

    unknown = replace(draft, range=DateRange(date(2020, 1, 1), date(2020, 1, 2)))
    text = drawn(plan.mark_lines(unknown, card, statuses, (), 80, KEYS, is_marked=True, is_open=True))
    assert "Marked 2020-01-01 to 01-02 …: 2 windows\n" in text
    assert "arrows and space mark the end" in text


def test_a_plan_lists_windows_to_run_to_skip_and_to_overwrite() -> None:
    reasons = (*[StepReason.FRESH] * 2, *[StepReason.RUNNING] * 2, StepReason.STALE)
    skipped = [
        past.a_step(n, TODAY - timedelta(days=n), StepState.SKIPPED, reason=reason, stale=12, open_run=n, items=0)
        for n, reason in enumerate(reasons)
    ]
    over = past.a_step(9, TODAY, reason=StepReason.FAILED, overwrites=True, items=1_301)
    backfill = replace(past.PLAN, counts={StepState.PENDING: 1, StepState.SKIPPED: 5}, items=1_301, seconds=None)
    made = a_plan(steps=(*skipped, over), backfill=backfill, warnings=("results expire soon",))

    text = drawn(plan.plan_lines(made, 120, 9, KEYS, is_requested=False))

    assert "Plan 12: 2025-12-01 to 12-05, all windows" in text
    assert "1 window · 1,301 items · duration unknown\n" in text
    assert "overwrites 1 window with data, 1,301 items" in text
    assert "5 windows: 2 fresh, 2 running, 1 stale" in text
    assert "! results expire soon" in text
    assert "requested" in drawn(plan.plan_lines(made, 120, 9, KEYS, is_requested=True))


def test_a_plan_of_several_jobs_counts_the_windows_of_each() -> None:
    steps = (*past.PLAN_STEPS, past.a_step(6, TODAY, job=past.SNAPSHOT))
    backfill = replace(past.PLAN, jobs=(past.REPORT, past.SNAPSHOT))
    text = drawn(plan.plan_lines(a_plan(steps=steps, backfill=backfill), 80, 9, KEYS, is_requested=False))
    assert "reporting.daily_report  4 run, 1 skipped" in text
    assert "reporting.daily_snapshot  1 run, 0 skipped" in text


@pytest.mark.parametrize("rows", range(2, 9))
def test_a_plan_never_exceeds_its_rows(rows: int) -> None:
    made = a_plan(warnings=("one", "two", "three"))
    assert len(plan.plan_lines(made, 80, rows, KEYS, is_requested=False).lines) <= rows
    assert len(plan.error_lines("a long story " * 40, 80, rows, KEYS).lines) <= rows
    assert len(plan.progress_lines(made.draft, PlanProgress(past.REPORT, 2, 3), 80, KEYS).lines) == 2


def test_the_cursor_is_on_cancel_only_when_fresh_data_is_overwritten() -> None:
    harmless = plan.question(a_plan(), "staging")
    assert harmless.default == "Run 4 windows"
    assert "Nothing is overwritten." in harmless.sentences
    assert harmless.sentences[0] == "reporting.daily_report, 2025-12-01 to 12-05 in staging:"
    assert harmless.commands == (command_lines.apply_backfill(12),)

    repair = past.a_step(1, TODAY, overwrites=True, reason=StepReason.STALE)
    assert plan.question(a_plan(steps=(repair,)), "staging").default == "Run 4 windows"
    fresh = past.a_step(1, TODAY, overwrites=True, reason=StepReason.FRESH)
    over = plan.question(a_plan(steps=(fresh,)), "production")
    assert over.default == "Cancel"
    assert "1 of them overwrites data, 1,203 items." in over.sentences
    assert "in PRODUCTION:" in over.sentences[0]


@pytest.mark.parametrize(
    ("items", "environment", "word"),
    [
        (0, "production", None),
        (1, "production", "production"),
        (1000, "staging", None),
        (1001, "staging", past.REPORT),
    ],
)
def test_a_name_is_required_in_production_and_for_many_overwritten_items(
    items: int, environment: str, word: str | None
) -> None:
    assert confirmations.word_to_overwrite((past.REPORT, past.SNAPSHOT), items, environment) == word
    over = past.a_step(1, TODAY, overwrites=True, items=items)
    assert plan.word(a_plan(steps=(over,)), environment) == word


def test_the_command_line_is_quoted_for_a_shell() -> None:
    draft = Draft((past.REPORT, "x.a b"), DateRange(date(2025, 12, 1), date(2025, 12, 5)), Only.FAILED)
    assert command_lines.text(plan.run_command(draft).argv) == (
        "opsconsole backfill run reporting.daily_report 'x.a b' --from 2025-12-01 --to 2025-12-05 --only failed"
    )


# --- lists --------------------------------------------------------------------------------------------------------


def test_jobs_are_listed_with_their_counts() -> None:
    days = {past.REPORT: past.A_YEAR, past.SUMMARY: past.MONTHS}
    summaries = {job: windows.summarise(found) for job, found in days.items()}
    jobs, backfill_list = past.CALENDARS, [past.ACTIVE_BACKFILL, *past.PAST_BACKFILLS]
    cursor = (windows.PANEL, past.REPORT)

    narrow = plain(windows.rows(jobs, summaries, backfill_list, samples.NOW, 80, 10, cursor).lines)
    wide = plain(windows.rows(jobs, summaries, backfill_list, samples.NOW, 120, 10, cursor).lines)
    narrowest = plain(windows.rows(jobs, summaries, backfill_list, samples.NOW, 60, 10, cursor).lines)

    header, row = (next(each for each in narrowest.splitlines() if word in each) for word in ("·", "daily_report"))
    assert (header.split(), row.split()[2:]) == (["·", "S", "p", "F", "m"], ["366", "8", "1", "1", "4"])
    row = next(each for each in narrow.splitlines() if "daily_report" in each)
    assert row.split() == ["▸", past.REPORT, "366", "8", "1", "1", "4", "5", "min", "ago", "▶12"]
    assert "attempts.update_mastery    keeps only its newest result" in narrow
    assert f"{past.SNAPSHOT}   loading" in narrow
    failed = windows.rows(jobs, {}, (), samples.NOW, 80, 10, cursor, has_failed=True)
    assert f"{past.SNAPSHOT}   unknown" in plain(failed.lines)
    assert "▶ 12 running, 18:19 UTC" in wide
    assert "none yet" in wide
    assert "no job has windows" in plain(windows.rows((), {}, (), samples.NOW, 80, 10, None).lines)


@pytest.mark.parametrize("cells", [60, 80, 120])
@pytest.mark.parametrize("with_jobs", [True, False])
def test_a_backfill_shows_its_progress_and_the_time_left(cells: int, with_jobs: bool) -> None:
    applied = backfills.applied([past.ACTIVE_BACKFILL, *past.PAST_BACKFILLS])

    lines = backfills.newest(applied, samples.NOW, cells, 6, cursor=None, tz="UTC", with_jobs=with_jobs).lines

    text = plain(lines)
    assert len(applied) == 3
    assert "20 of 48" in text
    assert "28 s left" in text
    assert "124 of 124, 3 failed, 1 partial" in text or "124 of 124 ✗3 ◐1" in text
    assert ("+1" in text) is with_jobs
    assert plain([backfills.end(applied, 2)]) == "1 active · 2 more"
    assert all(width(each) <= cells for each in lines)


def test_an_unfinished_backfill_shows_no_unknown_duration() -> None:
    started = replace(past.ACTIVE_BACKFILL, counts={StepState.PENDING: 48}, seconds=None)
    assert backfills.duration(started, samples.NOW) == "starting"
    assert backfills.duration(replace(started, seconds=65.0), samples.NOW) == "1 min 5 s left"
    assert backfills.duration(replace(started, state=BackfillState.PAUSED), samples.NOW) == "paused"
    assert backfills.duration(past.PLAN, samples.NOW) == "-"


def test_the_symbol_of_a_backfill_follows_from_its_windows() -> None:
    went = {
        "done": {StepState.DONE: 3},
        "partial": {StepState.DONE: 2, StepState.PARTIAL: 1},
        "failed": {StepState.FAILED: 3, StepState.SKIPPED: 1},
    }
    for word, counts in went.items():
        assert symbols.of_backfill(past.a_backfill(1, counts=counts)).word == word


def test_failed_windows_come_first() -> None:
    steps = [
        past.a_step(n, TODAY - timedelta(days=9 - n), state)
        for n, state in enumerate((StepState.DONE, StepState.FAILED, StepState.PENDING, StepState.PARTIAL))
    ]

    ordered = backfills.worst_first(steps)

    assert [view.state for view in ordered] == ["failed", "partial", "pending", "done"]
    text = plain(backfills.window_list(ordered, 80, 2, 3))
    assert "▸ ✓ 2026-01-10" in text
    assert "failed" not in text


def test_the_page_of_a_backfill_shows_why_it_stopped() -> None:
    failed = BackfillStop(BackfillStopReason.WINDOW_FAILED, job="diary.page", window="2025-12-04")
    stopped = replace(past.ACTIVE_BACKFILL, state=BackfillState.PAUSED, stop_on_failure=True, stop=failed)
    text = plain(backfills.header(stopped, samples.NOW, 80, "Asia/Kolkata"))
    for words in ("Backfill 12", "stops at a failure", "◫ PAUSED", "23:49 IST", "diary.page 2025-12-04 failed"):
        assert words in text


def test_only_an_active_backfill_can_be_cancelled() -> None:
    question = backfills.cancel(past.ACTIVE_BACKFILL, "staging")
    assert not isinstance(question, str)
    assert question.default == "No"
    assert "20 of 48 windows done." in question.sentences
    assert backfills.cancel(past.PAST_BACKFILLS[0], "") == "backfill 11 is already done"
