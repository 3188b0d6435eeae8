"""The planner, compared with a walk through all minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from opsconsole import LATEST, NONE, Job, Overlap, all_of, hours
from opsconsole.authoring.job import MOST_QUEUED, CatchUp
from opsconsole.authoring.occurrence import Occurrence, OccurrenceState, Reason
from opsconsole.calendar.cron import Cron
from opsconsole.rules.schedule import Checked, Interval, OpenRun, Schedule, plan, record_unrun
from tests.packs import counting
from tests.schedules import cron_of

MINUTE = timedelta(minutes=1)
START = datetime(2025, 2, 27, 21, 0, tzinfo=UTC)

# Each schedule with its meaning in Python; in Kolkata, which has no clock changes.
MEANINGS: dict[str, Callable[[datetime], bool]] = {
    "* * * * *": lambda t: True,
    "*/7 * * * *": lambda t: t.minute % 7 == 0,
    "0 * * * *": lambda t: t.minute == 0,
    "*/30 9-17 * * 1-5": lambda t: t.minute % 30 == 0 and 9 <= t.hour <= 17 and t.weekday() < 5,
    "50 23 * * *": lambda t: (t.hour, t.minute) == (23, 50),
    "0 0 1 * *": lambda t: (t.day, t.hour, t.minute) == (1, 0, 0),
    "15 6 * * 0": lambda t: (t.weekday(), t.hour, t.minute) == (6, 6, 15),
    "0 12 1 * 6": lambda t: (t.day == 1 or t.weekday() == 5) and (t.hour, t.minute) == (12, 0),
}
KOLKATA = timedelta(hours=5, minutes=30)

crons = st.sampled_from(sorted(MEANINGS))
catch_ups = st.sampled_from([LATEST, NONE, all_of(newest=2), all_of(newest=31)])
overlaps = st.sampled_from([Overlap.SKIP, Overlap.QUEUE, Overlap.QUEUE_ALL])
seconds = st.integers(0, 3 * 86_400)


def job(
    cron: str, catch_up: CatchUp = LATEST, overlap: Overlap = Overlap.SKIP, name: str = "books.close", priority: int = 0
) -> Job:
    return Job(
        name,
        counting.names,
        counting.do_nothing,
        cron=cron,
        tz="Asia/Kolkata",
        catch_up=catch_up,
        overlap=overlap,
        priority=priority,
    )


def schedule(what: Job, cursor: datetime, *paused: Interval, open: tuple[OpenRun, ...] = ()) -> Schedule:  # noqa: A002
    return Schedule(what, cron_of(what), cursor, paused, open)


def planned(what: Job, cursor: datetime, now: datetime, busy: int | None = None) -> list[Occurrence]:
    return plan([schedule(what, cursor, open=() if busy is None else (OpenRun(busy),))], now)


def walked(cron: str, after: datetime, until: datetime) -> list[datetime]:
    """Every scheduled time in (after, until], found by testing each minute."""
    minute = after.replace(second=0, microsecond=0) + MINUTE
    found = []
    while minute <= until:
        if MEANINGS[cron]((minute + KOLKATA).replace(tzinfo=None)):
            found.append(minute)
        minute += MINUTE
    return found


def accounted(cron: str, occurrences: list[Occurrence]) -> list[datetime]:
    """The scheduled times that occurrences cover, as often as they are covered."""
    found: list[datetime] = []
    for occurrence in occurrences:
        stretch = walked(cron, occurrence.due_at - MINUTE, occurrence.last_due_at)
        assert len(stretch) == occurrence.instants
        found += stretch
    return sorted(found)


@given(crons, catch_ups, overlaps, seconds, seconds, st.sampled_from([None, 41]))
def test_every_scheduled_time_is_recorded_once_by_its_policy(
    cron: str, catch_up: CatchUp, overlap: Overlap, offset: int, length: int, busy: int | None
) -> None:
    cursor = START + timedelta(seconds=offset)
    now = cursor + timedelta(seconds=length)
    times = walked(cron, cursor, now)

    found = planned(job(cron, catch_up, overlap), cursor, now, busy)

    assert accounted(cron, found) == times
    kept = times[-max(1, catch_up.newest) :]
    is_blocked = busy is not None and overlap is Overlap.SKIP
    for occurrence in found:
        is_late = now - occurrence.due_at > MINUTE
        if occurrence.due_at not in kept:
            why = {LATEST: Reason.SUPERSEDED, NONE: Reason.NOT_LEADING}.get(catch_up, Reason.CATCH_UP_LIMIT)
            assert (occurrence.state, occurrence.reason) == (OccurrenceState.MISSED, why)
        elif catch_up == NONE and is_late:
            assert (occurrence.state, occurrence.reason) == (OccurrenceState.MISSED, Reason.NOT_LEADING)
        elif is_blocked:
            assert (occurrence.state, occurrence.reason) == (OccurrenceState.SKIPPED, Reason.OVERLAP)
            assert occurrence.blocked_by == busy
        else:
            assert occurrence.state is OccurrenceState.DUE
            assert occurrence.runs
            assert occurrence.reason is None
    assert sum(occurrence.runs for occurrence in found) <= max(1, catch_up.newest)


@given(crons, catch_ups, seconds, seconds, seconds)
def test_planning_twice_records_the_same_times_as_planning_once(
    cron: str, catch_up: CatchUp, offset: int, first: int, second: int
) -> None:
    a = START + timedelta(seconds=offset)
    b, c = a + timedelta(seconds=first), a + timedelta(seconds=first + second)
    what = job(cron, catch_up)

    twice = planned(what, a, b) + planned(what, b, c)

    assert accounted(cron, twice) == accounted(cron, planned(what, a, c))


def test_missed_times_of_years_are_one_row() -> None:
    now = START + timedelta(days=365)

    missed, run = planned(job("* * * * *"), START, now)

    assert (missed.due_at, missed.last_due_at) == (START + MINUTE, now - MINUTE)
    assert missed.instants == 365 * 1440 - 1
    assert (run.due_at, run.state) == (now, OccurrenceState.DUE)


def test_a_time_is_due_at_its_second_and_only_once() -> None:
    noon = START.replace(hour=6, minute=30)
    what = job("0 12 1 * 6")
    saturday = noon + timedelta(days=2)

    assert planned(what, noon, saturday - timedelta(microseconds=1)) == []
    assert [found.due_at for found in planned(what, noon, saturday)] == [saturday]
    assert planned(what, saturday, saturday + MINUTE) == []


def test_jobs_due_at_the_same_time_start_by_priority_then_by_name() -> None:
    jobs = [
        job("0 * * * *", name="b.second"),
        job("0 * * * *", name="a.first"),
        job("0 * * * *", name="z.urgent", priority=9),
        job("50 23 * * *", name="c.earlier"),
    ]
    cursor = datetime(2025, 2, 28, 18, 15, tzinfo=UTC)

    found = plan([schedule(each, cursor) for each in jobs], cursor + timedelta(minutes=16))

    assert [occurrence.job for occurrence in found] == ["c.earlier", "z.urgent", "a.first", "b.second"]


def test_a_clock_set_back_plans_nothing_again() -> None:
    assert planned(job("* * * * *"), START, START - timedelta(hours=1)) == []


# --- pauses -------------------------------------------------------------------------------------------------------

stretches = st.lists(st.tuples(seconds, st.one_of(st.none(), st.integers(0, 86_400))), max_size=4).map(
    lambda found: tuple(
        Interval(START + timedelta(seconds=a), None if b is None else START + timedelta(seconds=a + b))
        for a, b in found
    )
)


def is_paused(at: datetime, paused: tuple[Interval, ...]) -> bool:
    return any(since <= at and (until is None or at < until) for since, until in paused)


@given(crons, catch_ups, seconds, seconds, stretches)
def test_a_pause_skips_exactly_the_times_in_it(
    cron: str, catch_up: CatchUp, offset: int, length: int, paused: tuple[Interval, ...]
) -> None:
    cursor = START + timedelta(seconds=offset)
    now = cursor + timedelta(seconds=length)
    what = job(cron, catch_up)

    found = plan([schedule(what, cursor, *paused)], now)

    assert accounted(cron, found) == walked(cron, cursor, now)
    skipped = [each for each in found if each.reason is Reason.PAUSED]
    assert accounted(cron, skipped) == [t for t in walked(cron, cursor, now) if is_paused(t, paused)]
    unpaused = [t for t in walked(cron, cursor, now) if not is_paused(t, paused)]
    runs = [each.due_at for each in found if each.runs]
    assert runs == [t for t in unpaused[-max(1, catch_up.newest) :] if catch_up != NONE or now - t <= MINUTE]


def test_unplanned_times_of_a_removed_job_are_missed_except_in_a_pause() -> None:
    pause = Interval(START + hours(1), START + hours(2))

    found = record_unrun(
        "books.close", "spec", Cron("*/30 * * * *"), START, START + hours(3), [pause], Reason.JOB_REMOVED
    )

    assert [(each.instants, each.reason) for each in found] == [
        (1, Reason.JOB_REMOVED),
        (2, Reason.PAUSED),
        (3, Reason.JOB_REMOVED),
    ]


# --- overlaps -----------------------------------------------------------------------------------------------------

HOUR = START.replace(minute=30) + timedelta(hours=1)  # 04:00 in Kolkata


def at_the_hour(overlap: Overlap, *open_runs: OpenRun) -> Occurrence:
    (found,) = plan([schedule(job("0 * * * *", overlap=overlap), HOUR - MINUTE, open=open_runs)], HOUR)
    return found


def test_only_one_run_is_queued() -> None:
    running, waiting = OpenRun(41), OpenRun(42, queued=True)

    assert at_the_hour(Overlap.QUEUE, running).runs
    second = at_the_hour(Overlap.QUEUE, running, waiting)
    assert (second.state, second.reason, second.blocked_by) == (OccurrenceState.SKIPPED, Reason.OVERLAP, 42)


def test_every_run_is_queued_up_to_a_limit() -> None:
    waiting = [OpenRun(42 + n, queued=True) for n in range(MOST_QUEUED - 1)]

    assert at_the_hour(Overlap.QUEUE_ALL, OpenRun(41), *waiting).runs
    last = at_the_hour(Overlap.QUEUE_ALL, OpenRun(41), *waiting, OpenRun(200, queued=True))
    assert (last.state, last.reason, last.blocked_by) == (OccurrenceState.SKIPPED, Reason.OVERLAP, 200)


def test_jitter_moves_starts_and_keeps_scheduled_times() -> None:
    calm = job("0 * * * *")
    spread = replace(calm, jitter=timedelta(hours=2))
    assert timedelta(minutes=1) < spread.shift < timedelta(hours=2)
    assert replace(spread, name="books.send").shift != spread.shift
    start = HOUR + spread.shift

    assert plan([schedule(spread, HOUR - MINUTE)], start - timedelta(seconds=1)) == []
    (found,) = plan([schedule(spread, HOUR - MINUTE)], start)
    assert (found.due_at, found.shift_seconds) == (HOUR, int(spread.shift.total_seconds()))

    during_start = Interval(start - MINUTE, start + MINUTE)
    (skipped,) = plan([schedule(spread, HOUR - MINUTE, during_start)], start + 2 * MINUTE)
    assert skipped.reason is Reason.PAUSED
    (ran,) = plan([schedule(spread, HOUR - MINUTE, Interval(HOUR - MINUTE, start - MINUTE))], start)
    assert ran.runs


def test_replace_ends_open_runs() -> None:
    found = at_the_hour(Overlap.REPLACE, OpenRun(41), OpenRun(42, queued=True, caught_up=True))

    assert found.runs
    assert found.replaces == (41, 42)


def test_a_caught_up_run_does_not_block_the_newest_time() -> None:
    assert at_the_hour(Overlap.SKIP, OpenRun(41, caught_up=True)).runs
    assert at_the_hour(Overlap.SKIP, OpenRun(41, caught_up=True), OpenRun(42)).blocked_by == 42


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.QUEUE])
def test_a_scheduled_time_queues_behind_one_run_that_waits_for_a_slot(overlap: Overlap) -> None:
    waiting = OpenRun(41, queued=True, for_a_slot=True)

    assert at_the_hour(overlap, waiting).runs
    third = at_the_hour(overlap, waiting, OpenRun(42, queued=True))
    assert (third.reason, third.blocked_by) == (Reason.CAPACITY, 41)


def test_a_clock_set_forward_is_the_reason_for_missed_times() -> None:
    missed, run = plan([schedule(job("0 * * * *"), START)], START + timedelta(days=3650), jumped=True)

    assert (missed.instants, missed.reason) == (3650 * 24 - 1, Reason.CLOCK_JUMP)
    assert run.runs


def test_catch_up_does_not_go_back_further_than_its_limit() -> None:
    what = job("0 * * * *", all_of(newest=10, within=hours(3)))

    dropped, *runs = plan([schedule(what, HOUR - hours(20))], HOUR + MINUTE)

    assert dropped.reason is Reason.CATCH_UP_LIMIT
    assert [each.due_at for each in runs] == [HOUR - hours(2), HOUR - hours(1), HOUR]


def checked(what: Job, until: datetime, now: datetime, *, is_empty: bool, busy: int | None = None) -> list[Occurrence]:
    busy_with = () if busy is None else (OpenRun(busy),)
    return plan([Schedule(what, cron_of(what), START, open=busy_with, checked=Checked(until, is_empty))], now)


def test_a_job_without_items_is_planned_up_to_its_check() -> None:
    what, until = job("* * * * *"), START + 3 * MINUTE

    found = checked(what, until, START + 5 * MINUTE, is_empty=True)

    assert [(each.due_at, each.last_due_at, each.state, each.reason) for each in found] == [
        (START + MINUTE, START + 2 * MINUTE, OccurrenceState.MISSED, Reason.SUPERSEDED),
        (until, until, OccurrenceState.SKIPPED, Reason.NOTHING_TO_DO),
    ]
    assert checked(what, until, START + 5 * MINUTE, is_empty=False)[-1].runs


def test_a_job_without_items_replaces_nothing_and_an_open_run_is_the_first_reason() -> None:
    until = START + MINUTE

    replacing = checked(job("* * * * *", overlap=Overlap.REPLACE), until, until, is_empty=True, busy=7)
    skipping = checked(job("* * * * *"), until, until, is_empty=True, busy=7)

    assert [(each.reason, each.replaces) for each in replacing] == [(Reason.NOTHING_TO_DO, ())]
    assert [(each.reason, each.blocked_by) for each in skipping] == [(Reason.OVERLAP, 7)]
