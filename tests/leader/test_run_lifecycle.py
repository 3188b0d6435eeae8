"""The life of a run: it waits, excludes others, is replaced, cancelled, resumed and retried."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select

from opsconsole.authoring.run import RunState
from opsconsole.leader.engine import Engine
from opsconsole.rules.admission import Wait, WaitReason
from opsconsole.rules.run_search import RunSearch
from opsconsole.store import pauses, registrations, runs
from opsconsole.store.tables import occurrences
from tests.conftest import Installing
from tests.installation import Installation
from tests.leader.test_scheduler import ManualClock
from tests.packs import counting
from tests.soak import postgresql_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually
from tests.worker.test_processes import is_alive, workers_of

DAY = "2025-01-19"
NOON = datetime(2025, 1, 16, 12, 0, tzinfo=UTC)

pytestmark = postgresql_in_soak


@pytest.fixture
def place(database_url: str, installing: Installing) -> Installation:
    return install(installing, database_url, executor="inline")


def install(installing: Installing, url: str, *, executor: str) -> Installation:
    return installing(
        database_url=url,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting,tests.packs.queue",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": executor, "OPSCONSOLE_ENGINE__WORKERS": "2"},
    )


@pytest.fixture
def slow(place: Installation) -> None:
    """Six items, each of which takes a quarter of a second."""
    counting.put(place.data, dict.fromkeys("abcdef", "dawdles"), score=250)


def log_of(place: Installation, run: int) -> list[str]:
    with place.store.reading() as db:
        return [line for _, line in runs.log_lines(db, run, limit=1000)]


def is_registered(place: Installation, job: str) -> bool:
    with place.store.reading() as db:
        return job in registrations.registrations(db)


def done(place: Installation, command: int) -> str:
    outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
    assert outcome is not None
    assert outcome.refused is None, outcome.refused
    return outcome.done or ""


@pytest.mark.usefixtures("slow")
def test_a_job_waits_for_the_job_it_comes_after(place: Installation) -> None:
    with place.leading():
        one = place.begin("queue.first", DAY)
        two = place.begin("queue.second", DAY)
        elsewhere = place.begin("queue.second", "2025-01-20")
        eventually(
            lambda: place.service.queries.run(elsewhere).state is not RunState.QUEUED,
            "the run of another day does not wait",
        )
        waiting = {progress.run.id: progress.waits for progress in place.service.snapshot().live}
        assert place.service.queries.run(two).state is RunState.QUEUED
        first = place.service.commands.wait_for_run(one, PATIENCE_SECONDS)
        second = place.service.commands.wait_for_run(two, PATIENCE_SECONDS)

    assert waiting[two] in (
        Wait(WaitReason.AFTER, one, "queue.first", DAY),
        Wait(WaitReason.PARALLEL_LIMIT, elsewhere, "queue.second", "2025-01-20"),
    )
    assert first is not None
    assert second is not None
    assert first.ended_at is not None
    assert second.started_at is not None
    assert first.ended_at <= second.started_at
    assert second.state is RunState.SUCCEEDED


@pytest.mark.usefixtures("slow")
def test_a_job_starts_without_the_other_after_its_maximum_wait(place: Installation) -> None:
    counting.put(place.data, dict.fromkeys("ghijkl", "dawdles"), score=250)
    with place.leading():
        one = place.begin("queue.first", DAY)
        two = place.begin("queue.hasty", DAY)
        eventually(lambda: place.service.queries.run(two).state is not RunState.QUEUED, "it has waited long enough")
        still = place.service.queries.run(one).state
        second = place.service.commands.wait_for_run(two, PATIENCE_SECONDS)

    assert still is RunState.RUNNING
    assert second is not None
    assert second.state is RunState.SUCCEEDED
    assert any("starting without queue.first, after waiting 1 s for it" in line for line in log_of(place, two))


def test_exclusive_jobs_run_one_at_a_time(place: Installation) -> None:
    counting.put(place.data, dict.fromkeys("abcdef", "dawdles"), score=50)
    with place.leading():
        numbers = [place.begin(job, day) for job in ("queue.left", "queue.right") for day in (DAY, "2025-01-20")]
        ended = [run for number in numbers if (run := place.service.commands.wait_for_run(number, PATIENCE_SECONDS))]

    assert [run.state for run in ended] == [RunState.SUCCEEDED] * 4
    times = sorted((run.started_at, run.ended_at) for run in ended if run.started_at and run.ended_at)
    assert all(before[1] <= after[0] for before, after in pairwise(times))


@pytest.mark.usefixtures("slow")
def test_a_new_run_replaces_the_previous_one(place: Installation) -> None:
    clock = ManualClock(NOON - timedelta(minutes=5))
    engine = Engine(place.settings, place.store, place.catalog, now=clock)
    place.service.use_engine(engine)
    engine.start()
    try:
        eventually(lambda: is_registered(place, "queue.newest"), "the leader has registered the job")
        clock.at = NOON
        eventually(lambda: len(counting.tried(place.data, "queue.newest")) >= 1, "the run of noon has started")
        clock.at = NOON + timedelta(hours=1)
        eventually(
            lambda: len(place.service.queries.runs(limit=9, job="queue.newest")) == 2, "the next hour is planned"
        )
        eventually(lambda: all(run.ended_at for run in place.service.queries.runs(limit=9)), "both have ended")
    finally:
        engine.stop(grace_seconds=1)
        place.service.use_engine(None)

    second, first = place.service.queries.runs(limit=9, job="queue.newest")
    assert (first.state, first.error) == (
        RunState.CANCELLED,
        f"replaced by run {second.id}",
    )
    assert first.counts.planned == first.counts.ok + first.counts.not_reached == 6
    assert (second.state, second.counts.ok) == (RunState.SUCCEEDED, 6)


@pytest.mark.usefixtures("slow")
def test_cancelling_ends_a_run_after_the_current_batch_and_records_who_cancelled(place: Installation) -> None:
    with place.leading():
        number = place.begin("queue.first", DAY)
        eventually(lambda: len(counting.tried(place.data, "queue.first")) == 1, "the first batch is running")
        message = done(place, place.service.commands.cancel(number, note="wrong day"))
        ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
        again = place.service.commands.outcome(place.service.commands.cancel(number), PATIENCE_SECONDS)
        retried = place.retry(number)

    who = place.settings.actor.name
    assert message == f"run {number} of queue.first ends when its batches in flight are done"
    assert ended is not None
    assert (ended.state, ended.error) == (RunState.CANCELLED, f"cancelled by {who}: wrong day")
    assert ended.counts.ok >= 1
    assert ended.counts.planned == ended.counts.ok + ended.counts.not_reached == 6
    assert any("no batch was in flight when it ended" in line for line in log_of(place, number))
    assert again is not None
    assert again.refused == f"run {number} has already ended as cancelled"
    assert (retried.state, retried.counts.planned) == (RunState.SUCCEEDED, ended.counts.not_reached)
    assert len(counting.marks(place.data, "queue.first")) == 6


def test_cancelling_by_force_ends_an_endless_loop(installing: Installing, database_url: str) -> None:
    place = install(installing, database_url, executor="processes")
    counting.put(place.data, {"a": "hangs"})

    with place.leading():
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 1, "the batch hangs")
        (_, _, pid) = counting.tried(place.data)[0]
        (worker,) = [worker for worker in workers_of(os.getpid()) if pid in workers_of(worker)]
        done(place, place.service.commands.cancel(number, force=True))
        ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
        other = place.run("counting.names", DAY)

    assert ended is not None
    assert (ended.state, ended.counts.not_reached) == (RunState.CANCELLED, 1)
    eventually(lambda: not is_alive(pid), "the child of the worker has ended with it")
    assert pid not in (os.getpid(), worker)
    assert f"[counting.count] batch 1: worker process {worker} was ended by SIGTERM" in log_of(place, number)
    assert other.state is RunState.SUCCEEDED


@pytest.mark.usefixtures("slow")
def test_a_queued_run_is_cancelled_without_starting(place: Installation) -> None:
    with place.leading():
        one = place.begin("queue.first", DAY)
        two = place.begin("queue.second", DAY)
        done(place, place.service.commands.cancel(two))
        ended = place.service.commands.wait_for_run(two, PATIENCE_SECONDS)
        still = place.service.queries.run(one).state

    assert ended is not None
    assert (ended.state, ended.started_at, ended.attempt) == (RunState.CANCELLED, None, 0)
    assert still is RunState.RUNNING


@pytest.mark.usefixtures("slow")
def test_an_interrupted_run_is_cancelled_by_another_leader(place: Installation) -> None:
    with place.leading():
        number = place.begin("queue.first", DAY)
        eventually(lambda: len(counting.tried(place.data, "queue.first")) == 1, "the first batch is running")
    interrupted = place.service.queries.run(number)
    place.service.commands.cancel(number)
    with place.leading():
        ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)

    assert interrupted.state is RunState.INTERRUPTED
    assert ended is not None
    assert ended.state is RunState.CANCELLED
    assert ended.counts.planned == ended.counts.ok + ended.counts.not_reached == 6


def test_every_matching_run_is_retried_once(place: Installation) -> None:
    counting.put(place.data, {"anna": "fine", "ben": "raises"})
    with place.leading():
        failed = [place.run("counting.count", f"2025-01-{day:02}") for day in (1, 2, 3)]
        place.run("counting.names", DAY)
        counting.change(place.data, "ben", "fine")
        selected = RunSearch(jobs=("counting.count",), states=(RunState.PARTIAL,))
        retryable = place.service.history.retryable(selected, limit=10)
        numbers = [run.id for run in retryable]
        outcome = place.service.commands.outcome(place.service.commands.retry_runs(numbers), PATIENCE_SECONDS)
        assert outcome is not None
        ended = [
            run for number in outcome.runs if (run := place.service.commands.wait_for_run(number, PATIENCE_SECONDS))
        ]
        left = place.service.history.retryable(selected, limit=10)

    assert [run.id for run in retryable] == [run.id for run in failed]
    assert outcome.done == "queued 3 runs"
    assert [(run.state, run.counts.planned, run.parent) for run in ended] == [
        (RunState.SUCCEEDED, 1, parent.id) for parent in failed
    ]
    assert left == []


def test_matching_runs_for_moments_are_retried_in_turn(place: Installation) -> None:
    counting.put(place.data, {"anna": "fine", "ben": "raises"})
    with place.leading():
        failed = []
        for _ in range(3):
            failed.append(place.run("counting.moment"))
            time.sleep(1.0)  # a moment is a second
        counting.change(place.data, "ben", "fine")
        numbers = [run.id for run in failed]
        outcome = place.service.commands.outcome(place.service.commands.retry_runs(numbers), PATIENCE_SECONDS)
        assert outcome is not None
        ended = [
            run for number in outcome.runs if (run := place.service.commands.wait_for_run(number, PATIENCE_SECONDS))
        ]

    assert [(run.parent, run.as_of, run.state) for run in ended] == [
        (parent.id, parent.as_of, RunState.SUCCEEDED) for parent in failed
    ]
    times = sorted((run.started_at, run.ended_at) for run in ended if run.started_at and run.ended_at)
    assert all(before[1] <= after[0] for before, after in pairwise(times))


def test_times_in_a_pause_are_skipped_and_later_ones_run(place: Installation) -> None:
    clock = ManualClock(NOON - timedelta(minutes=5))
    with place.store.writing() as db:
        pauses.add(db, "queue", since=NOON - timedelta(hours=1), until=NOON + timedelta(hours=2), who="ben", note="tea")
    engine = Engine(place.settings, place.store, place.catalog, now=clock)
    engine.start()
    try:
        eventually(lambda: is_registered(place, "queue.newest"), "the leader has registered the job")
        for hour in range(4):
            clock.at = NOON + timedelta(hours=hour, seconds=1)
            eventually(lambda hour=hour: len(outcomes(place)) == hour + 1, "the hour is planned")  # type: ignore[misc]
            eventually(lambda: ("due", None) not in outcomes(place), "its run has started")
    finally:
        engine.stop(grace_seconds=1)

    assert outcomes(place) == [("skipped", "paused"), ("skipped", "paused"), ("ran", None), ("ran", None)]


def outcomes(place: Installation) -> list[tuple[str, str | None]]:
    with place.store.reading() as db:
        query = select(occurrences.c.state, occurrences.c.reason).where(occurrences.c.job == "queue.newest")
        return [(state, reason) for state, reason in db.execute(query.order_by(occurrences.c.due_at))]
