"""Explanations of scheduled times, with the rows that prove them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsconsole import NONE, Job, all_of, hours
from opsconsole.authoring.occurrence import OccurrenceRecord, OccurrenceState, Reason, Registration
from opsconsole.authoring.run import Counts, Run, RunState, Selection, Stop, Trigger
from opsconsole.calendar.cron import Cron
from opsconsole.calendar.windows import Window
from opsconsole.core.retention import RetentionSection
from opsconsole.rules.explain import Answer, Evidence, explain, matches
from opsconsole.rules.leadership import Identity, Lease
from opsconsole.rules.pauses import Pause
from tests.packs import counting
from tests.schedules import cron_of

CLOSE = Job("books.close", counting.names, counting.do_nothing, cron="0 * * * *")
CRON = cron_of(CLOSE)
AT = datetime(2026, 1, 19, 12, 0, tzinfo=UTC)
NOW = datetime(2026, 1, 19, 18, 0, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)

REGISTERED = Registration("books.close", CLOSE.spec, CLOSE.cron, "UTC", AT - hours(100), NOW - 30 * SECOND, None)
ROW = OccurrenceRecord(7, "books.close", AT, AT, 1, OccurrenceState.RAN, None, None, CLOSE.spec, 3, AT, AT + SECOND, 41)
BEN = Identity("u", "web1", 812, "1", "m/b/n", "ben")
LEASE = Lease(3, 100, BEN, AT - hours(2), NOW - SECOND)


def run(number: int = 41, state: RunState = RunState.SUCCEEDED, **how: Any) -> Run:
    made = Run(
        id=number,
        job="books.close",
        window=Window(AT, AT, "2026-01-19T12:00:00Z"),
        as_of=AT,
        trigger=Trigger.SCHEDULE,
        state=state,
        attempt=1,
        parent=None,
        selection=Selection.ALL,
        command=None,
        requested_by="schedule",
        host="web1",
        created_at=AT,
        started_at=AT + SECOND,
        ended_at=AT + 61 * SECOND,
        counts=Counts(),
        planning_done=True,
        batches=0,
        batches_done=0,
        kinds={},
        metrics={},
        facts={},
        error=None,
        log_lines=0,
    )
    return replace(made, **how)


def why(record: OccurrenceRecord | None, at: datetime = AT, *, cron: Cron | None = CRON, **more: Any) -> Answer:
    usual: dict[str, Any] = {"loaded": CLOSE, "registration": REGISTERED, "lease": LEASE, "record": record}
    return explain(at, Evidence("books.close", cron, "UTC", NOW, **{**usual, **more}))


def rows(answer: Answer) -> list[tuple[str, int | str]]:
    return [(row.table, row.key) for row in answer.rows]


def skipped(reason: Reason, **how: Any) -> OccurrenceRecord:
    state = OccurrenceState.SKIPPED
    if reason not in (Reason.OVERLAP, Reason.PAUSED, Reason.CAPACITY):
        state = OccurrenceState.MISSED
    return replace(ROW, state=state, reason=reason, started_at=None, run=None, **how)


# --- with a row ---------------------------------------------------------------------------------------------------


def test_a_time_that_ran_names_its_run() -> None:
    answer = why(ROW, run=run())

    assert answer.is_scheduled
    assert (answer.state, answer.reason) == (OccurrenceState.RAN, None)
    assert (
        answer.explanation[0]
        == "it ran: run 41 started 1 s after the scheduled time and ended 2026-01-19 12:01:01 UTC as succeeded"
    )
    assert rows(answer)[:2] == [("ops_occurrences", 7), ("ops_runs", 41)]
    assert answer.rows[0].content["due_at"] == AT


def test_a_late_run_was_planned_late_or_had_to_wait() -> None:
    started = AT + hours(2)
    late = replace(ROW, state=OccurrenceState.LATE, started_at=started)

    waited = why(late, run=run(started_at=started))
    planned_late = why(replace(late, recorded_at=started - SECOND), run=run(started_at=started))

    assert waited.explanation[0].startswith("it ran late: run 41 started 2 h after the scheduled time")
    assert "it was planned on time, but its run had to wait before it could start" in waited.explanation
    assert any("it was recorded 2026-01-19 13:59:59 UTC, 1 h 59 min after" in line for line in planned_late.explanation)


def test_a_run_cancelled_in_the_queue_never_started() -> None:
    answer = why(ROW, run=run(state=RunState.CANCELLED, started_at=None))

    assert answer.explanation[0] == "its run 41 never started: it ended 2026-01-19 12:01:01 UTC as cancelled"


@pytest.mark.parametrize(
    ("waits", "sentence"),
    [
        ("books.audit", "it is due: run 41 is queued and waits for books.audit"),
        ("books.send, which excludes it", "it is due: run 41 is queued and waits for books.send, which excludes it"),
        (None, "it is due: run 41 is queued and starts as soon as a leader picks it up"),
    ],
)
def test_a_due_time_names_what_its_run_waits_for(waits: str | None, sentence: str) -> None:
    due = replace(ROW, state=OccurrenceState.DUE, started_at=None)

    answer = why(due, run=run(state=RunState.QUEUED, started_at=None, ended_at=None), waits=waits)

    assert answer.explanation[0] == sentence
    assert rows(answer)[1] == ("ops_runs", 41)


def test_a_due_time_whose_run_is_being_cancelled() -> None:
    stop = Stop("asha", NOW, NOW, note="wrong day")

    answer = why(
        replace(ROW, state=OccurrenceState.DUE, started_at=None),
        run=run(state=RunState.QUEUED, started_at=None, ended_at=None, stop=stop),
    )

    assert answer.explanation[0] == "it is due: run 41 is queued and about to end, cancelled by asha: wrong day"


def test_an_overlap_names_the_blocking_run() -> None:
    answer = why(skipped(Reason.OVERLAP, blocked_by=40), blocking=run(40, ended_at=AT + hours(1)))

    assert (answer.state, answer.reason) == (OccurrenceState.SKIPPED, Reason.OVERLAP)
    assert answer.explanation[0] == "it was skipped: run 40 of the job had not ended (overlap: skip)"
    assert "started 2026-01-19 12:00:01 UTC and ended 2026-01-19 13:00 UTC as succeeded" in answer.explanation[1]
    assert rows(answer)[:2] == [("ops_occurrences", 7), ("ops_runs", 40)]


def test_a_deleted_blocking_run_is_still_named() -> None:
    assert "run 40 has been deleted" in why(skipped(Reason.OVERLAP, blocked_by=40)).explanation


def test_a_run_that_waited_for_a_slot_is_named() -> None:
    answer = why(
        skipped(Reason.CAPACITY, blocked_by=40),
        blocking=run(40, RunState.QUEUED, started_at=None, ended_at=None),
    )

    assert "run 40 of the job was still waiting for a free slot" in answer.explanation[0]
    assert "has not started and is still queued" in answer.explanation[1]


def test_a_pause_names_its_operator_end_and_note() -> None:
    pause = Pause(5, "books", AT - hours(1), AT + hours(11), "asha", "the database is being moved")

    answer = why(skipped(Reason.PAUSED), pauses=(pause,))

    assert answer.explanation[:2] == (
        "it was skipped because the job was paused",
        "asha paused books from 2026-01-19 11:00 UTC until 2026-01-19 23:00 UTC: the database is being moved",
    )
    assert rows(answer)[:2] == [("ops_occurrences", 7), ("ops_pauses", 5)]


def test_a_range_is_one_row_for_all_of_its_times() -> None:
    span = skipped(Reason.PAUSED, due_at=AT - hours(2), last_due_at=AT + hours(3), instants=6)

    answer = why(span)

    assert matches(span, CRON)
    assert answer.is_scheduled
    assert (
        "the same applies to all 6 scheduled times from 2026-01-19 10:00 UTC to 2026-01-19 15:00 UTC"
        in answer.explanation
    )


def test_a_superseded_time_names_the_run_that_ran_instead() -> None:
    instead = replace(ROW, id=9, due_at=AT + hours(4), last_due_at=AT + hours(4), run=43)
    late = AT + hours(5)

    answer = why(skipped(Reason.SUPERSEDED, recorded_at=late, token=2), stand_in=instead, host="web2")

    assert "only the newest missed time runs (catch-up: latest)" in answer.explanation[0]
    assert answer.explanation[1] == "run 43, scheduled for 2026-01-19 16:00 UTC, ran instead"
    assert answer.explanation[2] == (
        "it was recorded 2026-01-19 17:00 UTC, 5 h after the scheduled time, by the leader with token 2 on web2"
    )
    assert rows(answer) == [("ops_occurrences", 7), ("ops_occurrences", 9)]


def test_a_leader_that_still_leads_is_named() -> None:
    answer = why(skipped(Reason.CLOCK_JUMP))

    assert answer.explanation[0] == "it was missed: the leader's clock was set forward past it"
    assert answer.explanation[1].endswith("by the leader with token 3: ben on web1, who still leads")
    assert rows(answer)[-1] == ("ops_lease", 1)


@pytest.mark.parametrize(
    ("reason", "how", "part"),
    [
        (Reason.CATCH_UP_LIMIT, {"catch_up": all_of(newest=3, within=hours(2))}, "(catch-up: the newest 3, none older"),
        (Reason.NOT_LEADING, {"catch_up": NONE}, "missed times do not run (catch-up: none)"),
        (Reason.JOB_REMOVED, {}, "no pack defined the job any more"),
    ],
)
def test_every_reason_for_a_missed_time_is_explained(reason: Reason, how: dict[str, Any], part: str) -> None:
    job = replace(CLOSE, **how)

    assert part in why(skipped(reason, spec=job.spec), loaded=job).explanation[0]


def test_a_policy_that_has_changed_since_is_not_mentioned() -> None:
    answer = why(skipped(Reason.NOT_LEADING, spec="another"))

    assert "the job had another schedule when a leader reached it" in answer.explanation[0]


# --- without a row ------------------------------------------------------------------------------------------------


def test_a_future_time_shows_when_it_is_due_and_whether_it_is_paused() -> None:
    pause = Pause(5, "all", NOW - hours(1), None, "asha", "")

    free = why(None, AT + hours(9))
    paused = why(None, AT + hours(9), pauses=(pause,))

    assert free.explanation == ("it is due in 2 h 59 min",)
    assert paused.explanation[1] == "it will be skipped unless the job is resumed before then"
    assert paused.explanation[2] == "asha paused all from 2026-01-19 17:00:30 UTC until it is resumed"


def test_times_before_the_registration_do_not_count() -> None:
    answer = why(None, registration=replace(REGISTERED, registered_at=AT))

    assert answer.explanation == ("the job was registered at 2026-01-19 12:00 UTC; earlier times do not count",)
    assert rows(answer) == [("ops_jobs", "books.close")]


def test_a_job_without_a_registration() -> None:
    answer = why(None, registration=None, lease=None)

    assert "no leader has registered the job yet" in answer.explanation[0]
    assert "no process has ever led" in answer.explanation[1]


def test_a_removed_job_has_no_scheduled_times() -> None:
    removed_job = replace(REGISTERED, removed_at=AT - hours(1), planned_until=AT - hours(1))

    removed = why(None, registration=removed_job, loaded=None)
    back = why(None, registration=removed_job)

    assert removed.explanation == (
        "no pack has defined the job since 2026-01-19 11:00 UTC; later times are not scheduled",
    )
    assert "its scheduled times count from the moment a leader registers it" in back.explanation[1]


@pytest.mark.parametrize(
    ("lease", "part"),
    [
        (LEASE, "ben on web1, pid 812, token 3, leads since 2026-01-19 10:00 UTC and will handle it within seconds"),
        (replace(LEASE, holder=None), "no process has led since 2026-01-19 18:00:29 UTC (the last token was 3)"),
        (replace(LEASE, renewed_at=AT), "leads, but last renewed its lease at 2026-01-19 12:00 UTC"),
    ],
)
def test_an_unplanned_time_names_the_leader(lease: Lease, part: str) -> None:
    behind = replace(REGISTERED, planned_until=AT - hours(1))

    answer = why(None, registration=behind, lease=lease)

    assert answer.explanation[0] == "it is not planned yet: the schedule is planned up to 2026-01-19 11:00 UTC"
    assert part in answer.explanation[1]
    assert rows(answer) == [("ops_jobs", "books.close"), ("ops_lease", 1)]


def test_a_missing_row_points_to_the_one_before() -> None:
    earlier = replace(ROW, id=3, due_at=AT - hours(50), last_due_at=AT - hours(50))

    answer = why(None, previous=earlier)

    assert "it has no row" in answer.explanation[0]
    assert "the last row before it is number 3, up to 2026-01-17 10:00 UTC" in answer.explanation[1]


# --- not a scheduled time -----------------------------------------------------------------------------------------


def test_a_time_that_the_schedule_does_not_match_is_not_scheduled() -> None:
    answer = why(None, AT + timedelta(minutes=30))

    assert not answer.is_scheduled
    assert answer.explanation == ("it is not a scheduled time of '0 * * * *' (UTC)",)


def test_a_time_between_those_of_a_range_is_not_scheduled() -> None:
    span = skipped(Reason.PAUSED, due_at=AT - hours(2), last_due_at=AT + hours(3), instants=6)

    answer = why(span, AT + timedelta(minutes=30))

    assert not answer.is_scheduled
    assert len(answer.explanation) == 1


def test_a_time_within_a_range_of_an_older_schedule_is_uncertain() -> None:
    span = skipped(Reason.SUPERSEDED, due_at=AT - hours(2), last_due_at=AT + hours(3), instants=11, spec="old")

    answer = why(span, AT + timedelta(minutes=30))

    assert (
        "11 scheduled times from 2026-01-19 10:00 UTC to 2026-01-19 15:00 UTC were missed (superseded)"
        in answer.explanation[1]
    )
    assert rows(answer) == [("ops_occurrences", 7)]


def test_a_row_of_an_older_schedule_proves_its_own_time() -> None:
    half_past = AT + timedelta(minutes=30)
    old = replace(ROW, due_at=half_past, last_due_at=half_past, spec="old")

    answer = why(old, half_past, run=run())

    assert answer.is_scheduled
    assert answer.explanation[0].startswith("it ran: run 41")


def test_a_schedule_that_no_leader_has_registered_is_mentioned() -> None:
    answer = why(None, AT + timedelta(minutes=30), loaded=replace(CLOSE, cron="30 * * * *"))

    assert "the schedule configured here is '30 * * * *' (UTC); the old one applies until" in answer.explanation[1]


# --- manual jobs --------------------------------------------------------------------------------------------------


def test_a_manual_job_has_no_scheduled_times() -> None:
    manual = replace(CLOSE, cron=None)

    answer = why(None, cron=None, loaded=manual, registration=replace(REGISTERED, cron=None, spec=manual.spec))

    assert not answer.is_scheduled
    assert answer.explanation == ("the job has no schedule; it runs only when an operator starts it",)
    assert answer.rows == ()


def test_a_row_of_a_schedule_that_a_manual_job_had_before_is_explained() -> None:
    manual = replace(CLOSE, cron=None)
    registration = replace(REGISTERED, cron=None)
    span = skipped(Reason.PAUSED, due_at=AT - hours(2), last_due_at=AT + hours(3), instants=6)

    own = why(ROW, cron=None, loaded=manual, registration=registration, run=run())
    within = why(span, cron=None, loaded=manual, registration=registration)

    assert own.is_scheduled
    assert own.explanation[0].startswith("it ran: run 41")
    assert not within.is_scheduled
    assert "it is not recorded whether this was one of them" in within.explanation[1]


def test_a_job_that_becomes_manual_keeps_its_schedule_until_a_leader_registers_it() -> None:
    answer = why(None, AT + timedelta(minutes=30), loaded=replace(CLOSE, cron=None))

    assert "the schedule configured here is manual; the old one applies" in answer.explanation[1]


# --- rows that are no longer kept ---------------------------------------------------------------------------------

KEPT = RetentionSection(successes=90, failures=365, occurrences=200)
LONG_AGO = replace(REGISTERED, registered_at=AT - timedelta(days=1000))


def test_a_removed_row_is_explained_by_its_age() -> None:
    answer = why(None, AT - timedelta(days=201), retention=KEPT, registration=LONG_AGO)

    (explanation,) = answer.explanation
    assert explanation == (
        "scheduled times are kept for 200 days (retention.occurrences); the record of this one has been removed"
    )
    assert rows(answer) == [("ops_jobs", "books.close")]


def test_a_missing_row_that_should_be_kept_is_not_explained_by_its_age() -> None:
    (explanation,) = why(None, AT - timedelta(days=199), retention=KEPT, registration=LONG_AGO).explanation

    assert explanation.startswith("it has no row")
    answer = why(None, AT - timedelta(days=999), retention=RetentionSection(occurrences=0), registration=LONG_AGO)
    assert answer.explanation[0].startswith("it has no row")


def test_a_time_before_the_registration_was_never_recorded() -> None:
    answer = why(None, AT - timedelta(days=1001), retention=KEPT, registration=LONG_AGO)

    assert "earlier times do not count" in answer.explanation[0]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (89, "its run has been deleted"),
        (91, "its run is no longer kept: successes are removed after 90 days; other runs after 365 days"),
    ],
)
def test_a_removed_run_is_explained_by_its_age(days: int, words: str) -> None:
    at = NOW - timedelta(days=days)
    record = replace(ROW, due_at=at, last_due_at=at, recorded_at=at, started_at=at + SECOND, run=None)

    assert why(record, at, retention=KEPT).explanation[0].endswith(words)
