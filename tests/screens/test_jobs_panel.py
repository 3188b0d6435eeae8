"""The rows of the list of jobs, and the details of one: pure functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.authoring.job import LATEST, NONE, Limits, Overlap, all_of
from opsconsole.authoring.run import RunState
from opsconsole.calendar.windows import DAY, DAY_BEFORE, FOUR_WEEKS_BEFORE, MOMENT, MONTH_BEFORE, hours, minutes
from opsconsole.rules.admission import Wait, WaitReason
from opsconsole.service.snapshot import Finding, FindingKind, Progress, Severity, Snapshot
from screens.panels import chart, job_detail, job_status, job_text, jobs
from screens.panels.job_states import JobState, worst_first
from screens.panels.job_status import JobStatus
from screens.panels.jobs import Segment
from screens.panels.view import View
from screens.widgets.lines import Line, width
from tests.screens import past_jobs, samples

REGEN, CLEANUP, RECALC, REPORT = (
    "game.life_regen",
    "game.session_cleanup",
    "game.leaderboard_recalc",
    "reporting.daily_report",
)


def view(snapshot: Snapshot = samples.TIDY, cursor: str | None = None) -> View:
    return View(snapshot, samples.NOW, (job_status.PANEL, cursor) if cursor is not None else None)


def text(lines: list[Line]) -> str:
    return "\n".join("".join(piece.text for piece in each).rstrip() for each in lines)


def names(found: list[JobState]) -> list[str]:
    return [each.card.name for each in found]


def status(name: str, snapshot: Snapshot = samples.TIDY) -> JobStatus:
    found = job_status.of(view(snapshot), name)
    assert found is not None
    return found


def drawn(cells: int, room: int = 5, snapshot: Snapshot = samples.TIDY, cursor: str | None = None) -> list[Line]:
    return jobs.rows(view(snapshot, cursor), worst_first(view(snapshot)), cells, room, "")[0]


def finding(job: str, kind: FindingKind, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(severity, kind, job, samples.ago(minutes=4))


# --- which jobs, in which order -------------------------------------------------------------------------------------


def test_jobs_with_a_problem_stand_first_the_worst_one_at_the_top() -> None:
    found = (finding(REPORT, FindingKind.OVERDUE, Severity.CRITICAL), finding(REGEN, FindingKind.SLOW_RUN))
    listed = names(jobs.listed(worst_first(view(replace(samples.TIDY, live=(), findings=found))), Segment.ALL))

    assert listed[:2] == [REPORT, REGEN]
    assert listed[3:] == [RECALC, CLEANUP]


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (Segment.FAILED, []),
        (Segment.RUNNING, ["attempts.cache_day", REGEN]),
        (Segment.PAUSED, [RECALC, REGEN, CLEANUP]),
        (Segment.MANUAL, ["books.close"]),
    ],
)
def test_a_segment_has_the_jobs_in_that_state(segment: Segment, expected: list[str]) -> None:
    manual = replace(samples.card("books.close", None, "manual"), cron=None)
    snapshot = replace(samples.TIDY, jobs=(*samples.JOBS, manual), pauses=(samples.paused("game"),))

    assert names(jobs.listed(worst_first(view(snapshot)), segment)) == expected


def test_a_job_whose_newest_run_failed_is_listed_as_failed() -> None:
    found = worst_first(view(replace(samples.TIDY, live=())))

    assert names(jobs.listed(found, Segment.FAILED)) == ["attempts.cache_day"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("game regen", [REGEN]),
        ("KOLKATA", ["attempts.cache_day"]),
        ("every hour", [RECALC, CLEANUP]),
        ("nowhere", []),
    ],
)
def test_a_filter_matches_names_schedules_and_zones(query: str, expected: list[str]) -> None:
    assert names(jobs.listed(worst_first(view()), Segment.ALL, query)) == expected


# --- rows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "snapshot", "word"),
    [
        ("attempts.cache_day", samples.TIDY, "running"),
        (REGEN, samples.TIDY, "queued"),
        (CLEANUP, replace(samples.TIDY, pauses=(samples.paused(CLEANUP),)), "paused"),
        (REPORT, replace(samples.TIDY, findings=(finding(REPORT, FindingKind.OVERDUE),)), "late"),
        (REPORT, samples.TIDY, "no run"),
        ("attempts.cache_day", replace(samples.TIDY, live=()), "partial"),
        (CLEANUP, samples.TIDY, "ok"),
    ],
)
def test_the_state_of_a_job_is_one_word(job: str, snapshot: Snapshot, word: str) -> None:
    assert next(each for each in worst_first(view(snapshot)) if each.name == job).symbol.word == word


@pytest.mark.parametrize("cells", [56, 60, 78, 80, 98, 116, 120, 200])
def test_rows_and_columns_are_as_wide_as_the_panel(cells: int) -> None:
    lines = drawn(cells, cursor=REGEN)

    assert {width(each) for each in (jobs.columns(cells), *lines)} == {cells}


def test_a_row_shows_when_a_job_runs_next_in_its_zone_and_who_paused_it() -> None:
    snapshot = replace(samples.TIDY, pauses=(samples.paused(CLEANUP, who="asha"),))
    shown = text(drawn(120, snapshot=snapshot))

    assert "23:50 IST" in shown
    assert "asha 23:00 UTC" in shown
    assert "every 30 minutes (UTC)" in shown


def test_rows_that_do_not_fit_are_counted_and_the_one_under_the_cursor_is_shown() -> None:
    lines, keys, hidden = jobs.rows(view(cursor=REPORT), worst_first(view()), 80, 3, "")

    assert (len(lines), hidden) == (3, 2)
    assert keys[-1] == (job_status.PANEL, REPORT)
    assert "2 more" in text([jobs.end(view(), (), hidden)])


def test_a_title_without_room_leaves_out_the_counts() -> None:
    assert text([jobs.title(worst_first(view()), Segment.FAILED, 100)]).split() == [
        "Jobs",
        "all",
        "5",
        "[failed",
        "0]",
        "running",
        "2",
        "paused",
        "0",
        "manual",
        "0",
    ]
    assert text([jobs.title(worst_first(view()), Segment.ALL, 50)]) == "Jobs [all] failed  running  paused  manual"


def test_long_names_do_not_look_alike() -> None:
    cards = tuple(samples.card(f"game.leaderboard_reset_{span}", 30) for span in ("monthly", "weekly"))
    shown = text(drawn(78, snapshot=replace(samples.TIDY, jobs=cards)))

    assert "monthly" in shown
    assert "weekly" in shown


def test_a_thousand_jobs_are_listed() -> None:
    cards = tuple(samples.card(f"many.job_{n}", n) for n in range(1000))
    snapshot = replace(samples.TIDY, jobs=cards)
    lines, keys, hidden = jobs.rows(view(snapshot, "many.job_500"), worst_first(view(snapshot)), 118, 20, "")

    assert (len(lines), len(keys), hidden) == (20, 20, 980)
    assert keys[-1] == (job_status.PANEL, "many.job_500")


def test_hostile_names_stay_on_their_row() -> None:
    hostile = samples.card("a.\x1b[31m\u202e\r\n[/]界" * 9, 5, "[@click=quit]", "\x1b]52;c;x\x07")
    snapshot = replace(samples.TIDY, jobs=(hostile,))
    lines = drawn(120, snapshot=snapshot)
    shown = text([*lines, job_detail.title(hostile), job_detail.end(hostile)])

    assert width(lines[0]) == 120
    assert not set("\x1b\r\x07\u202e") & set(shown)


# --- details --------------------------------------------------------------------------------------------------------

PAGE = past_jobs.a_page()


def detail(cells: int, room: int, snapshot: Snapshot = samples.TIDY) -> str:
    lines = job_detail.rows(view(snapshot), status(PAGE.job.name, snapshot), PAGE, cells, room)
    assert len(lines) <= room
    assert max(width(each) for each in lines) <= cells
    return text(lines)


def test_with_room_the_details_show_everything_at_once() -> None:
    shown = detail(88, 54)

    for words in (
        "50 23 * * *  At 23:50 (Asia/Kolkata)",
        "20 Jan 23:50 IST  20 Jan 18:20 UTC",
        "28 Jan 23:50 IST  28 Jan 18:20 UTC",
        "4811  ◐ partial",
        "1.2 s to 1.8 s · 10,000 items · batches of 50 · 2 workers",
        "24 h 99.9 · 7 d 99.9 · 30 d 100.0 %",
        "u0417 in 2 of the last 5 runs, and 1 other item",
        "too long above 10 min",
        "runs after attempts.sync, waits at most 1 h",
        "never runs together with attempts.suggest",
        "the day of its scheduled time",
        "the newest 7 missed times run, oldest first, none older than 3 d",
        "while a run is active, scheduled times are skipped",
        "cache_day",
    ):
        assert words in shown


@pytest.mark.parametrize("cells", [40, 58, 78, 95, 96, 118])
@pytest.mark.parametrize("room", [1, 3, 8, 11, 18, 40])
def test_details_fit_into_every_room(cells: int, room: int) -> None:
    assert "last run" in detail(cells, room) or cells >= job_detail.TWO_COLUMNS


def test_with_little_room_the_last_run_and_the_next_time_stay() -> None:
    shown = detail(78, 4)

    assert "4811  ◐ partial" in shown
    assert "20 Jan 23:50 IST" in shown
    assert "cache_day" not in shown.replace("attempts.cache_day", "")


def test_a_problem_and_a_pause_stand_first() -> None:
    found = Finding(Severity.CRITICAL, FindingKind.OVERDUE, PAGE.job.name, samples.ago(minutes=4))
    snapshot = replace(samples.TIDY, findings=(found,), pauses=(samples.paused(PAGE.job.name, note="ticket 81"),))
    first, second, *_ = detail(78, 12, snapshot).splitlines()

    assert "✗ is overdue" in first
    assert "paused by ben until 04:30 IST: ticket 81" in second


def test_the_times_that_a_pause_skips_are_marked() -> None:
    snapshot = replace(samples.TIDY, pauses=(samples.paused(PAGE.job.name, hours=30),))
    shown = detail(78, 30, snapshot)

    assert "20 Jan 18:20 UTC  skipped" in shown
    assert "21 Jan 18:20 UTC  in 47 h" in shown


def test_a_manual_job_has_neither_times_nor_rules_about_missed_ones() -> None:
    manual = replace(samples.card("books.close", None, "manual"), cron=None)
    snapshot = replace(samples.TIDY, jobs=(manual,))
    page = past_jobs.a_page(past_jobs.a_job("books.close", cron=None), newest=(), usual=None)
    shown = text(job_detail.rows(view(), status("books.close", snapshot), page, 78, 30))

    assert "none; it runs when an operator triggers it" in shown
    assert "no run has ended yet · t triggers it" in shown
    assert "missed" not in shown
    assert "overdue" not in shown


def test_details_that_are_not_loaded_are_announced() -> None:
    assert "loading" in text(job_detail.rows(view(), status(REGEN), None, 78, 9))


# --- sentences ------------------------------------------------------------------------------------------------------


def test_limits_as_sentences() -> None:
    limits = Limits(max_age=hours(26), longest=minutes(10), pause_after=5, slow_run=None, low_work=None)

    assert job_text.limits(past_jobs.a_job(limits=limits)) == [
        "overdue when not started after 1 min",
        "stale without a good run for 1 d 2 h",
        "too long above 10 min",
        "a failed item is a warning, critical below 90% success",
        "failing after 3 windows in a row, paused after 5",
        "stopped after 1 h, a batch after 5 min",
        "a batch is retried 5 times",
    ]


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (NONE, "missed times do not run"),
        (LATEST, "only the newest missed time runs"),
        (all_of(newest=10), "the newest 10 missed times run, oldest first"),
        (all_of(newest=10, within=hours(2)), "the newest 10 missed times run, oldest first, none older than 2 h"),
    ],
)
def test_the_catch_up_rule_as_a_sentence(policy: object, sentence: str) -> None:
    assert job_text.catch_up(policy) == sentence  # type: ignore[arg-type]


def test_every_rule_about_overlaps_and_every_window_has_a_sentence() -> None:
    assert len({job_text.overlap(past_jobs.a_job(overlap=rule)) for rule in Overlap}) == len(Overlap)
    windows = (MOMENT, DAY, DAY_BEFORE, FOUR_WEEKS_BEFORE, MONTH_BEFORE)
    assert len({job_text.covers(each) for each in windows}) == len(windows)


def test_what_waits_now_stands_before_what_waits_in_general() -> None:
    queued = samples.a_run(4813, PAGE.job.name, RunState.QUEUED)
    wait = Wait(WaitReason.EXCLUSIVE, 4700, "attempts.suggest", "2026-01-19")
    page = replace(PAGE, open=(Progress(queued, "UTC", None, None, wait),))

    assert job_text.waits(page)[0] == "run 4813 waits for attempts.suggest, which excludes it"
    assert job_text.waits(replace(PAGE, open=(Progress(queued, "UTC", None, None),)))[0] == "run 4813 is queued"


# --- the chart ------------------------------------------------------------------------------------------------------


def test_the_oldest_run_of_a_chart_stands_on_the_left_and_the_longest_fills_its_column() -> None:
    runs = [samples.a_run(3, seconds=1.0), samples.a_run(2, seconds=4.0), samples.a_run(1, seconds=2.0)]

    assert text(chart.durations(runs, 30, 2)) == "   4.0 s  █\n         ██▄"


def test_a_run_that_did_not_succeed_has_its_symbol_at_the_foot() -> None:
    runs = [samples.a_run(2, state=RunState.FAILED, seconds=1.0), samples.a_run(1, seconds=1.0)]

    assert text(chart.durations(runs, 30, 3)).splitlines()[-1] == "       0 █✗"
    assert "".join(piece.text for piece in chart.bars(runs)) == "█✗"


def test_a_chart_has_as_many_runs_as_columns() -> None:
    runs = [samples.a_run(n, seconds=1.0 + n, started_at=samples.NOW - timedelta(hours=n)) for n in range(60)]

    assert {width(each) for each in chart.durations(runs, 40, 4)} == {chart.LABEL_CELLS + 1 + 30}
    assert chart.durations([], 40, 4) == []
