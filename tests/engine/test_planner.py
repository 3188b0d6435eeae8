"""What becomes of scheduled instants, against a walk from minute to minute."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from opsconsole import LATEST, NONE, QUEUE, SKIP, Job, all_of
from opsconsole.cron import Cron
from opsconsole.model import CatchUp, Occurrence, OccurrenceState, Overlap, Reason
from opsconsole.planner import plan
from tests.packs import counting

MINUTE = timedelta(minutes=1)
START = datetime(2025, 2, 27, 21, 0, tzinfo=UTC)

# Each schedule with what it means, said a second time in Python; in Kolkata, where no clock is ever turned.
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
overlaps = st.sampled_from([SKIP, QUEUE])
seconds = st.integers(0, 3 * 86_400)


def job(
    cron: str, catch_up: CatchUp = LATEST, overlap: Overlap = SKIP, name: str = "books.close", priority: int = 0
) -> Job:
    return Job(
        name,
        counting.names,
        counting.pass_over,
        cron=cron,
        tz="Asia/Kolkata",
        catch_up=catch_up,
        overlap=overlap,
        priority=priority,
    )


def planned(what: Job, cursor: datetime, now: datetime, busy: int | None = None) -> list[Occurrence]:
    found = {} if busy is None else {what.name: busy}
    return plan([(what, Cron(what.cron, what.tz))], {what.name: cursor}, found, now)


def walked(cron: str, after: datetime, until: datetime) -> list[datetime]:
    """Every instant in (after, until], found by looking at each minute."""
    minute = after.replace(second=0, microsecond=0) + MINUTE
    found = []
    while minute <= until:
        if MEANINGS[cron]((minute + KOLKATA).replace(tzinfo=None)):
            found.append(minute)
        minute += MINUTE
    return found


def accounted(cron: str, occurrences: list[Occurrence]) -> list[datetime]:
    """The instants that occurrences stand for, each as often as it is in one."""
    found: list[datetime] = []
    for occurrence in occurrences:
        stretch = walked(cron, occurrence.due_at - MINUTE, occurrence.last_due_at)
        assert len(stretch) == occurrence.instants
        found += stretch
    return sorted(found)


@given(crons, catch_ups, overlaps, seconds, seconds, st.sampled_from([None, 41]))
def test_every_instant_is_accounted_for_once_and_by_its_policy(
    cron: str, catch_up: CatchUp, overlap: Overlap, offset: int, length: int, busy: int | None
) -> None:
    cursor = START + timedelta(seconds=offset)
    now = cursor + timedelta(seconds=length)
    instants = walked(cron, cursor, now)

    found = planned(job(cron, catch_up, overlap), cursor, now, busy)

    assert accounted(cron, found) == instants
    kept = instants[-max(1, catch_up.newest) :]
    is_blocked = busy is not None and overlap is SKIP
    for occurrence in found:
        is_late = now - occurrence.due_at > MINUTE
        if occurrence.due_at not in kept:
            why = Reason.SUPERSEDED if catch_up == LATEST else Reason.CATCH_UP_LIMIT
            assert (occurrence.state, occurrence.reason) == (OccurrenceState.MISSED, why)
        elif catch_up == NONE and is_late:
            assert (occurrence.state, occurrence.reason) == (OccurrenceState.MISSED, Reason.CATCH_UP_LIMIT)
        elif is_blocked:
            assert (occurrence.state, occurrence.reason) == (OccurrenceState.SKIPPED, Reason.OVERLAP)
            assert occurrence.blocked_by == busy
        else:
            assert occurrence.state is (OccurrenceState.LATE if is_late else OccurrenceState.RAN)
            assert occurrence.runs
            assert occurrence.reason is None
    assert sum(occurrence.runs for occurrence in found) <= max(1, catch_up.newest)


@given(crons, catch_ups, seconds, seconds, seconds)
def test_looking_twice_accounts_for_the_same_instants_as_looking_once(
    cron: str, catch_up: CatchUp, offset: int, first: int, second: int
) -> None:
    a = START + timedelta(seconds=offset)
    b, c = a + timedelta(seconds=first), a + timedelta(seconds=first + second)
    what = job(cron, catch_up)

    twice = planned(what, a, b) + planned(what, b, c)

    assert accounted(cron, twice) == accounted(cron, planned(what, a, c))


def test_a_missed_stretch_of_years_is_one_row() -> None:
    now = START + timedelta(days=365)

    missed, run = planned(job("* * * * *"), START, now)

    assert (missed.due_at, missed.last_due_at) == (START + MINUTE, now - MINUTE)
    assert missed.instants == 365 * 1440 - 1
    assert (run.due_at, run.state) == (now, OccurrenceState.RAN)


def test_an_instant_is_due_at_its_second_and_not_twice() -> None:
    noon = START.replace(hour=6, minute=30)
    what = job("0 12 1 * 6")
    saturday = noon + timedelta(days=2)

    assert planned(what, noon, saturday - timedelta(microseconds=1)) == []
    assert [found.due_at for found in planned(what, noon, saturday)] == [saturday]
    assert planned(what, saturday, saturday + MINUTE) == []


@pytest.mark.parametrize(("seconds_late", "state"), [(0, "ran"), (60, "ran"), (61, "late")])
def test_a_start_more_than_a_minute_after_its_instant_is_late(seconds_late: int, state: str) -> None:
    due = START.replace(minute=30) + timedelta(hours=1)  # 04:00 in Kolkata

    (found,) = planned(job("0 * * * *"), due - MINUTE, due + timedelta(seconds=seconds_late))

    assert found.state == state


def test_jobs_due_at_one_instant_start_by_priority_then_by_name() -> None:
    jobs = [
        job("0 * * * *", name="b.second"),
        job("0 * * * *", name="a.first"),
        job("0 * * * *", name="z.urgent", priority=9),
        job("50 23 * * *", name="c.earlier"),
    ]
    cursor = datetime(2025, 2, 28, 18, 15, tzinfo=UTC)

    found = plan(
        [(each, Cron(each.cron, each.tz)) for each in jobs],
        {each.name: cursor for each in jobs},
        {},
        cursor + timedelta(minutes=16),
    )

    assert [occurrence.job.name for occurrence in found] == ["c.earlier", "z.urgent", "a.first", "b.second"]


def test_a_job_that_the_store_does_not_know_yet_has_no_instants() -> None:
    what = job("* * * * *")

    assert plan([(what, Cron(what.cron, what.tz))], {}, {}, START) == []


def test_a_clock_set_back_plans_nothing_again() -> None:
    assert planned(job("* * * * *"), START, START - timedelta(hours=1)) == []
