"""Backfills and faults: leaders that die, schedules that run meanwhile, backfills that are cancelled and resumed."""

from __future__ import annotations

import signal
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from opsconsole.authoring.run import OPEN, Run, RunState, Trigger
from opsconsole.core import clock
from opsconsole.core.failpoints import Point
from opsconsole.rules.backfill import StepState
from opsconsole.rules.backfill_status import BackfillState
from opsconsole.store.registrations import registrations
from tests.conftest import Installing
from tests.faults.conftest import Start
from tests.faults.fork_server import Child
from tests.faults.test_processes import leader_of
from tests.installation import Installation
from tests.packs import counting, diary
from tests.waiting import PATIENCE_SECONDS, eventually

PAGE, COUNT = "diary.page", "counting.count"
FIRST, LAST = date(2025, 1, 10), date(2025, 1, 14)
DAYS = [f"2025-01-{n}" for n in range(10, 15)]
PEOPLE = [f"item{i:02}" for i in range(25)]
BATCHES = 3 * len(DAYS)
LONG = 1.0
"""Seconds of a batch during which a test can act, with time to spare."""
RANGE = ("--from", FIRST.isoformat(), "--to", LAST.isoformat())


def install(installing: Installing, url: str, packs: str) -> Installation:
    return installing(
        database_url=url,
        redis_url="unix:///nowhere/redis.sock",
        packs=packs,
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@pytest.fixture
def place(tmp_path: Path, installing: Installing) -> Installation:
    """Twelve writers, of whose pages each day has three batches."""
    made = install(installing, f"sqlite:///{tmp_path / 'shared.db'}", "tests.packs.diary")
    diary.put(made.data, [f"w{i:02}" for i in range(12)])
    return made


def slow(place: Installation, days: list[str], seconds: float) -> None:
    """Each batch of these days takes `seconds`."""
    with place.data.writing() as db:
        db.execute(diary.spoilt.insert(), [{"day": day, "how": f"{seconds}"} for day in days])


def in_a_hurry(place: Installation) -> None:
    """Makes every day fast again."""
    with place.data.writing() as db:
        db.execute(diary.spoilt.delete())


def plan(place: Installation, job: str = PAGE, until: date = LAST) -> int:
    return place.service.backfills.plan([job], FIRST, until)


def done(place: Installation, number: int) -> int:
    return place.service.backfills.get(number).counts.get(StepState.DONE, 0)


def backfilled(place: Installation) -> list[Run]:
    """The runs of backfills, oldest first."""
    return [run for run in reversed(place.service.queries.runs(limit=500)) if run.trigger is Trigger.BACKFILL]


def unfinished(place: Installation) -> list[Run]:
    return [run for run in place.service.queries.runs(limit=500, states=OPEN) if run.trigger is Trigger.BACKFILL]


def pages(place: Installation) -> dict[str, int]:
    """How often each day was written, for the first writer."""
    with place.data.reading() as db:
        found = db.execute(diary.pages.select().where(diary.pages.c.writer == "w00")).all()
    return {row.day: row.times for row in found}


def as_if_nothing_had_happened(place: Installation, number: int) -> None:
    """Every window was done once, in order, and nothing is left over."""
    found = place.service.backfills.get(number)
    assert (found.state, found.counts) == (BackfillState.DONE, {StepState.DONE: len(DAYS)})
    made = backfilled(place)
    assert [(run.window.label, run.state) for run in made] == [(day, RunState.SUCCEEDED) for day in DAYS]
    assert [view.run for view in place.service.backfills.steps(number)] == [run.id for run in made]
    for before, after in pairwise(made):
        assert before.ended_at is not None
        assert after.started_at is not None
        assert before.ended_at <= after.started_at, "oldest first, one after the other"
    assert unfinished(place) == []
    assert place.service.audit.verify().broken is None


# --- leaders that die -----------------------------------------------------------------------------------------------

DEATHS = (
    f"{Point.RUN_STARTED}:1",
    f"{Point.RESULT_WRITTEN}:2",
    f"{Point.END_WRITTEN}:1",
    f"{Point.BACKFILL_ADVANCED}:2",
    f"{Point.RUN_ENDED}:1",
    f"{Point.EFFECT_COMMITTED}:4",
)


@pytest.mark.parametrize(
    "deaths", [DEATHS[1:4:2], pytest.param(DEATHS, marks=pytest.mark.soak)], ids=["twice", "again"]
)
def test_a_leader_killed_again_and_again_on_the_way_changes_nothing(
    deaths: tuple[str, ...], database_url: str, installing: Installing, start: Start
) -> None:
    place = install(installing, database_url, "tests.packs.counting")
    counting.put(place.data, dict.fromkeys(PEOPLE, "fine"))
    number = plan(place, COUNT)
    place.service.backfills.apply(number)

    for death in deaths:
        leader = start(place, "headless", point=f"{death}:kill")
        assert leader.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL, death
    with place.leading():
        place.service.backfills.wait_for(number, PATIENCE_SECONDS)

    as_if_nothing_had_happened(place, number)
    assert counting.marks(place.data, COUNT) == {(day, item): 1 for day in DAYS for item in PEOPLE}
    assert len(counting.tried(place.data, COUNT)) <= BATCHES + len(deaths), "only what was in flight is done again"


def test_another_process_takes_over(place: Installation, start: Start) -> None:
    slow(place, DAYS, 0.2)
    number = plan(place)
    place.service.backfills.apply(number)
    anna = start(place, "headless")
    eventually(lambda: done(place, number) >= 1, "Anna has done the first day")
    ben = start(place, "headless")
    eventually(lambda: ben.pid in [each.pid for each in place.service.snapshot().attached], "Ben is there")

    anna.kill()
    anna.wait()
    eventually(lambda: leader_of(place) == ben.pid, "Ben leads")
    ended = place.service.backfills.wait_for(number, PATIENCE_SECONDS)

    assert ended is not None
    as_if_nothing_had_happened(place, number)


# --- schedules during a backfill -------------------------------------------------------------------------------------


def test_a_job_due_every_minute_starts_meanwhile(place: Installation, start: Start) -> None:
    with place.leading():
        eventually(lambda: "diary.minute" in schedules(place), "the jobs are registered")
    until = FIRST + timedelta(days=150)
    slow(place, [(FIRST + timedelta(days=n)).isoformat() for n in range(151)], 0.2)
    number = plan(place, until=until)
    place.service.backfills.apply(number)
    to_the_minute = 60.0 - clock.now().timestamp() % 60.0

    start(place, "headless", executor="processes", workers=1, ahead=to_the_minute)
    eventually(lambda: done_by_minute(place) >= 1, "a run of the schedule has succeeded")
    then = place.service.backfills.get(number)

    assert then.state is BackfillState.RUNNING
    assert then.counts[StepState.PENDING] > 0


def schedules(place: Installation) -> set[str]:
    with place.store.reading() as db:
        return set(registrations(db))


def done_by_minute(place: Installation) -> int:
    return len(place.service.queries.runs(limit=1, job="diary.minute", states=(RunState.SUCCEEDED,)))


def test_it_advances_though_other_work_keeps_every_worker_busy(place: Installation, start: Start) -> None:
    diary.put(place.data, [f"x{i:02}" for i in range(38)])
    busy = [f"2025-02-{n:02}" for n in (1, 2, 3)]
    slow(place, [*DAYS, *busy], 0.1)
    number = plan(place)
    place.service.backfills.apply(number)
    others = [place.service.commands.trigger("diary.side", day) for day in busy]

    start(place, "headless", executor="processes", workers=1)
    eventually(lambda: len(others_of(place)) == len(others), "the others have begun")
    eventually(lambda: any(run.ended_at for run in others_of(place)), "one of the others has ended")
    tried = sum(run.batches_done for run in others_of(place))
    mine = sum(run.batches_done for run in backfilled(place))

    assert mine >= tried / 6, "one batch after four of others is its share, and a while between two windows"
    assert mine <= tried / 2, "and they go first"


def others_of(place: Installation) -> list[Run]:
    return place.service.queries.runs(limit=9, job="diary.side")


# --- cancelling and resuming ----------------------------------------------------------------------------------------


def test_a_backfill_cancelled_halfway_stops_and_can_be_resumed(place: Installation, start: Start) -> None:
    slow(place, DAYS[2:], LONG)
    number = plan(place)
    place.service.backfills.apply(number)
    start(place, "headless")
    eventually(lambda: done(place, number) == 2, "two of five are done")

    cancelling = start(place, "backfill", "cancel", str(number), "--wait", "--note", "too much")
    assert cancelling.wait(timeout=PATIENCE_SECONDS) == 0
    cancelled, left = place.service.backfills.get(number), unfinished(place)
    done_then = [run for run in backfilled(place) if run.state is RunState.SUCCEEDED]
    in_a_hurry(place)
    resuming = start(place, "backfill", "resume", str(number), "--wait")
    assert resuming.wait(timeout=PATIENCE_SECONDS) == 0

    assert cancelled.state is BackfillState.CANCELLED
    assert set(cancelled.counts) == {StepState.DONE, StepState.CANCELLED}
    assert left == []
    succeeded = [run for run in backfilled(place) if run.state is RunState.SUCCEEDED]
    assert [run.window.label for run in succeeded] == DAYS
    assert succeeded[: len(done_then)] == done_then, "what was done is not done again"
    assert 2 <= len(done_then) < len(DAYS)


def at_its_second_day(place: Installation, start: Start) -> Child:
    """Somebody waits for a backfill whose first day is done."""
    slow(place, DAYS[1:], LONG)
    waiting = start(place, "backfill", "run", PAGE, *RANGE, "--yes", "--wait")
    eventually(lambda: bool(place.service.backfills.newest(limit=1)), "it is planned")
    eventually(lambda: done(place, 1) == 1, "the first day is done")
    return waiting


def test_a_command_that_leads_for_its_backfill_ends_when_it_is_cancelled(place: Installation, start: Start) -> None:
    leading = at_its_second_day(place, start)

    cancelling = start(place, "backfill", "cancel", "1")
    assert cancelling.wait(timeout=PATIENCE_SECONDS) == 0
    assert leading.wait(timeout=PATIENCE_SECONDS) == 1

    assert b"2025-01-10 to 2025-01-14: cancelled, " in start.log.read_bytes()
    assert set(place.service.backfills.get(1).counts) == {StepState.DONE, StepState.CANCELLED}
    assert unfinished(place) == []
    assert leader_of(place) is None


def test_an_interrupted_wait_leaves_the_backfill_active(place: Installation, start: Start) -> None:
    leading = at_its_second_day(place, start)

    leading.send_signal(signal.SIGINT)
    assert leading.wait(timeout=PATIENCE_SECONDS) == 130
    between = place.service.backfills.get(1).state
    in_a_hurry(place)
    following = start(place, "backfill", "resume", "1", "--wait")
    assert following.wait(timeout=PATIENCE_SECONDS) == 0

    output = start.log.read_bytes()
    assert b"backfill 1 continues when a process leads" in output
    assert between is BackfillState.RUNNING
    as_if_nothing_had_happened(place, 1)


def test_a_waiting_command_leads_when_the_leader_dies_also_after_pause_and_resume(
    place: Installation, start: Start
) -> None:
    anna = start(place, "headless")
    eventually(lambda: leader_of(place) == anna.pid, "Anna leads")
    ben = at_its_second_day(place, start)
    first_command = place.service.backfills.get(1).command

    place.service.backfills.pause(1)
    resumed = place.service.backfills.resume(1)
    eventually(lambda: place.service.backfills.get(1).command == resumed, "it was paused and resumed")
    anna.kill()
    anna.wait()
    in_a_hurry(place)
    code = ben.wait(timeout=PATIENCE_SECONDS)

    assert resumed != first_command
    assert code == 0
    assert place.service.backfills.get(1).counts == {StepState.DONE: len(DAYS)}
    assert [run.window.label for run in backfilled(place)] == DAYS
    assert unfinished(place) == []
