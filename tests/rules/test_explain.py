"""Why an instant ran or did not, and the row that proves it."""

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
from opsconsole.rules.explain import Answer, Evidence, explain, fits
from opsconsole.rules.leadership import Identity, Lease
from opsconsole.rules.pauses import Pause
from tests.packs import counting

CLOSE = Job("books.close", counting.names, counting.pass_over, cron="0 * * * *")
CRON = Cron(CLOSE.cron, CLOSE.tz)
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
        asked_by="schedule",
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


def why(account: OccurrenceRecord | None, at: datetime = AT, **known: Any) -> Answer:
    told: dict[str, Any] = {"loaded": CLOSE, "registration": REGISTERED, "lease": LEASE, "account": account}
    return explain(at, Evidence("books.close", CRON, NOW, **{**told, **known}))


def rows(answer: Answer) -> list[tuple[str, int | str]]:
    return [(row.table, row.key) for row in answer.rows]


def skipped(reason: Reason, **how: Any) -> OccurrenceRecord:
    state = OccurrenceState.SKIPPED
    if reason not in (Reason.OVERLAP, Reason.PAUSED, Reason.CAPACITY):
        state = OccurrenceState.MISSED
    return replace(ROW, state=state, reason=reason, started_at=None, run=None, **how)


# --- what has a row -----------------------------------------------------------------------------------------------


def test_what_ran_names_its_run() -> None:
    answer = why(ROW, run=run())

    assert answer.is_instant
    assert (answer.state, answer.reason) == (OccurrenceState.RAN, None)
    assert answer.says[0] == "it ran: run 41 began 1.0 s after it and ended 2026-01-19 12:01:01 UTC as succeeded"
    assert rows(answer)[:2] == [("ops_occurrences", 7), ("ops_runs", 41)]
    assert answer.rows[0].content["due_at"] == AT


def test_what_ran_late_says_whether_it_was_planned_late_or_waited() -> None:
    started = AT + hours(2)
    late = replace(ROW, state=OccurrenceState.LATE, started_at=started)

    waited = why(late, run=run(started_at=started))
    planned_late = why(replace(late, recorded_at=started - SECOND), run=run(started_at=started))

    assert waited.says[0].startswith("it ran late: run 41 began 2 h after it")
    assert "it was planned in time, and its run had to wait before it could begin" in waited.says
    assert any("it was recorded 2026-01-19 13:59:59 UTC, 1 h 59 min after it" in says for says in planned_late.says)


def test_a_run_that_ended_before_it_began_is_no_run_that_began() -> None:
    answer = why(ROW, run=run(state=RunState.CANCELLED, started_at=None))

    assert answer.says[0] == "its run 41 never began: it ended 2026-01-19 12:01:01 UTC as cancelled"


@pytest.mark.parametrize(
    ("waits", "says"),
    [
        ("books.audit", "it is due: run 41 is queued and waits for books.audit"),
        ("books.send, which excludes it", "it is due: run 41 is queued and waits for books.send, which excludes it"),
        (None, "it is due: run 41 is queued and begins as soon as a leader takes it up"),
    ],
)
def test_what_is_due_says_what_its_run_waits_for(waits: str | None, says: str) -> None:
    due = replace(ROW, state=OccurrenceState.DUE, started_at=None)

    answer = why(due, run=run(state=RunState.QUEUED, started_at=None, ended_at=None), waits=waits)

    assert answer.says[0] == says
    assert rows(answer)[1] == ("ops_runs", 41)


def test_what_is_due_and_about_to_be_cancelled_says_so() -> None:
    stop = Stop("asha", NOW, NOW, "cancelled by asha: wrong day")

    answer = why(
        replace(ROW, state=OccurrenceState.DUE, started_at=None),
        run=run(state=RunState.QUEUED, started_at=None, ended_at=None, stop=stop),
    )

    assert answer.says[0] == "it is due: run 41 is queued and about to end, cancelled by asha: wrong day"


def test_an_overlap_names_the_run_in_the_way() -> None:
    answer = why(skipped(Reason.OVERLAP, blocked_by=40), blocking=run(40, ended_at=AT + hours(1)))

    assert (answer.state, answer.reason) == (OccurrenceState.SKIPPED, Reason.OVERLAP)
    assert answer.says[0] == "it was skipped: run 40 of the job had not ended (overlap: skip)"
    assert "began 2026-01-19 12:00:01 UTC and ended 2026-01-19 13:00 UTC as succeeded" in answer.says[1]
    assert rows(answer)[:2] == [("ops_occurrences", 7), ("ops_runs", 40)]


def test_a_blocking_run_that_was_pruned_is_still_named() -> None:
    assert "run 40 is not kept any more" in why(skipped(Reason.OVERLAP, blocked_by=40)).says


def test_capacity_says_that_too_much_went_on() -> None:
    answer = why(
        skipped(Reason.CAPACITY, blocked_by=40),
        blocking=run(40, RunState.QUEUED, started_at=None, ended_at=None),
    )

    assert "run 40 of the job still waited for a free place" in answer.says[0]
    assert "has not begun and is still queued" in answer.says[1]


def test_a_pause_says_who_until_when_and_why() -> None:
    pause = Pause(5, "books", AT - hours(1), AT + hours(11), "asha", "the database is being moved")

    answer = why(skipped(Reason.PAUSED), pauses=(pause,))

    assert answer.says[:2] == (
        "it was skipped: the job was paused",
        "asha paused books from 2026-01-19 11:00 UTC until 2026-01-19 23:00 UTC: the database is being moved",
    )
    assert rows(answer)[:2] == [("ops_occurrences", 7), ("ops_pauses", 5)]


def test_a_stretch_is_one_row_for_all_of_its_instants() -> None:
    stretch = skipped(Reason.PAUSED, due_at=AT - hours(2), last_due_at=AT + hours(3), instants=6)

    answer = why(stretch)

    assert fits(stretch, CRON)
    assert answer.is_instant
    assert "the same holds for all 6 instants from 2026-01-19 10:00 UTC to 2026-01-19 15:00 UTC" in answer.says


def test_what_was_superseded_names_what_ran_instead() -> None:
    instead = replace(ROW, id=9, due_at=AT + hours(4), last_due_at=AT + hours(4), run=43)
    late = AT + hours(5)

    answer = why(skipped(Reason.SUPERSEDED, recorded_at=late, token=2), stood_in=instead, host="web2")

    assert "of missed instants only the newest is run (catch-up: latest)" in answer.says[0]
    assert answer.says[1] == "run 43 stood in for it, as that of 2026-01-19 16:00 UTC"
    assert answer.says[2] == "it was recorded 2026-01-19 17:00 UTC, 5 h after it, by the leader with token 2 on web2"
    assert rows(answer) == [("ops_occurrences", 7), ("ops_occurrences", 9)]


def test_whoever_leads_by_the_same_token_is_named() -> None:
    answer = why(skipped(Reason.CLOCK_JUMP))

    assert answer.says[0] == "it was missed: the leader's clock was set forward over it"
    assert answer.says[1].endswith("by the leader with token 3: ben on web1, who still leads")
    assert rows(answer)[-1] == ("ops_lease", 1)


@pytest.mark.parametrize(
    ("reason", "how", "says"),
    [
        (Reason.CATCH_UP_LIMIT, {"catch_up": all_of(newest=3, within=hours(2))}, "(catch-up: the newest 3, none older"),
        (Reason.NOT_LEADING, {"catch_up": NONE}, "missed instants are not run (catch-up: none)"),
        (Reason.JOB_REMOVED, {}, "no pack had the job any more"),
    ],
)
def test_every_reason_to_miss_an_instant_is_told(reason: Reason, how: dict[str, Any], says: str) -> None:
    job = replace(CLOSE, **how)

    assert says in why(skipped(reason, spec=job.spec), loaded=job).says[0]


def test_a_policy_that_has_changed_since_is_not_told() -> None:
    answer = why(skipped(Reason.NOT_LEADING, spec="another"))

    assert "the job was scheduled otherwise when one came to it" in answer.says[0]


# --- what has none ------------------------------------------------------------------------------------------------


def test_what_is_to_come_says_when_and_whether_it_is_paused() -> None:
    pause = Pause(5, "all", NOW - hours(1), None, "asha", "")

    free = why(None, AT + hours(9))
    paused = why(None, AT + hours(9), pauses=(pause,))

    assert free.says == ("it is still to come, in 2 h 59 min",)
    assert paused.says[1] == "it will be skipped if nobody resumes the job by then"
    assert paused.says[2] == "asha paused all from 2026-01-19 17:00:30 UTC until it is resumed"


def test_before_it_was_registered_an_instant_does_not_count() -> None:
    answer = why(None, registration=replace(REGISTERED, registered_at=AT))

    assert answer.says == ("the job was registered only 2026-01-19 12:00 UTC; instants before that do not count",)
    assert rows(answer) == [("ops_jobs", "books.close")]


def test_a_job_that_nobody_has_registered_says_so() -> None:
    answer = why(None, registration=None, lease=None)

    assert "no leader has registered the job yet" in answer.says[0]
    assert "nobody has ever led" in answer.says[1]


def test_after_its_removal_a_job_has_no_instants() -> None:
    gone = replace(REGISTERED, removed_at=AT - hours(1), planned_until=AT - hours(1))

    removed = why(None, registration=gone, loaded=None)
    back = why(None, registration=gone)

    assert removed.says == ("no pack has had the job since 2026-01-19 11:00 UTC; it has no instants after that",)
    assert "its instants count from the moment a leader registers it" in back.says[1]


@pytest.mark.parametrize(
    ("lease", "says"),
    [
        (LEASE, "ben on web1, pid 812, token 3, leads since 2026-01-19 10:00 UTC and deals with it within seconds"),
        (replace(LEASE, holder=None), "nobody leads since 2026-01-19 18:00:29 UTC (the last token was 3)"),
        (replace(LEASE, renewed_at=AT), "leads, but has not been heard of since 2026-01-19 12:00 UTC"),
    ],
)
def test_what_is_not_planned_yet_says_who_should(lease: Lease, says: str) -> None:
    behind = replace(REGISTERED, planned_until=AT - hours(1))

    answer = why(None, registration=behind, lease=lease)

    assert answer.says[0] == "it is not planned yet: the schedule is worked out up to 2026-01-19 11:00 UTC"
    assert says in answer.says[1]
    assert rows(answer) == [("ops_jobs", "books.close"), ("ops_lease", 1)]


def test_a_row_that_should_be_there_and_is_not_points_to_the_one_before() -> None:
    earlier = replace(ROW, id=3, due_at=AT - hours(50), last_due_at=AT - hours(50))

    answer = why(None, before=earlier)

    assert "there is no row for it" in answer.says[0]
    assert "the last row before it is number 3, up to 2026-01-17 10:00 UTC" in answer.says[1]


# --- what is no instant -------------------------------------------------------------------------------------------


def test_a_time_that_the_schedule_does_not_name_is_no_instant() -> None:
    answer = why(None, AT + timedelta(minutes=30))

    assert not answer.is_instant
    assert answer.says == ("it is no instant of the schedule '0 * * * *' (UTC)",)


def test_within_a_stretch_of_the_same_schedule_it_still_is_none() -> None:
    stretch = skipped(Reason.PAUSED, due_at=AT - hours(2), last_due_at=AT + hours(3), instants=6)

    answer = why(stretch, AT + timedelta(minutes=30))

    assert not answer.is_instant
    assert len(answer.says) == 1


def test_within_a_stretch_of_an_older_schedule_nobody_knows() -> None:
    stretch = skipped(Reason.SUPERSEDED, due_at=AT - hours(2), last_due_at=AT + hours(3), instants=11, spec="old")

    answer = why(stretch, AT + timedelta(minutes=30))

    assert "11 instants from 2026-01-19 10:00 UTC to 2026-01-19 15:00 UTC were missed (superseded)" in answer.says[1]
    assert rows(answer) == [("ops_occurrences", 7)]


def test_the_row_of_an_older_schedule_proves_its_own_instant() -> None:
    half_past = AT + timedelta(minutes=30)
    old = replace(ROW, due_at=half_past, last_due_at=half_past, spec="old")

    answer = why(old, half_past, run=run())

    assert answer.is_instant
    assert answer.says[0].startswith("it ran: run 41")


def test_a_schedule_that_no_leader_has_taken_up_is_told_apart() -> None:
    answer = why(None, AT + timedelta(minutes=30), loaded=replace(CLOSE, cron="30 * * * *"))

    assert "here the job is configured as '30 * * * *' (UTC); no leader has taken that up" in answer.says[1]
