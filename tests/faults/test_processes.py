"""Rows 7 to 13: processes that are stopped, that hold a lock, that use too much memory, and jobs that hang."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from opsconsole.authoring.run import RunState
from opsconsole.rules.leadership import Lease
from opsconsole.store import lease
from opsconsole.store.tables import runs as runs_table
from tests.conftest import Installing
from tests.faults.conftest import Start
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually
from tests.worker.test_processes import is_alive, workers_of

DAY = "2025-01-19"
SHORT = 1.0
"""The lease of these tests, in seconds."""


@pytest.fixture
def place(tmp_path: Path, installing: Installing) -> Installation:
    return make(installing, f"sqlite:///{tmp_path / 'shared.db'}")


def make(installing: Installing, url: str) -> Installation:
    return installing(
        database_url=url,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


def lease_of(place: Installation) -> Lease | None:
    with place.store.reading() as db:
        return lease.read(db)


def leader_of(place: Installation) -> int | None:
    held = lease_of(place)
    return held.holder.pid if held and held.holder else None


def token_of(place: Installation) -> int:
    held = lease_of(place)
    return held.token if held else 0


def run_of(place: Installation, command: int) -> int:
    outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
    assert outcome is not None
    assert outcome.run is not None, outcome.refused
    return outcome.run


def await_tries(place: Installation, number: int) -> None:
    eventually(lambda: len(counting.tried(place.data)) == number, f"the batch was begun {number} times")


def test_row_7_a_leader_that_was_paused_writes_nothing_when_it_resumes(
    database_url: str, installing: Installing, start: Start
) -> None:
    place = make(installing, database_url)
    counting.put(place.data, {f"a{i}": "fine" for i in range(10)} | {f"c{i:02}": "fine" for i in range(10)})
    counting.put(place.data, {"b": "lingers"})
    command = place.service.commands.trigger("counting.count", DAY)
    anna = start(place, "headless", lease=SHORT)
    eventually(lambda: len(counting.tried(place.data)) == 2, "Anna is at the second batch")
    ben = start(place, "headless", lease=SHORT)
    number = run_of(place, command)
    assert leader_of(place) == anna.pid

    os.kill(anna.pid, signal.SIGSTOP)
    eventually(lambda: leader_of(place) == ben.pid, "Ben leads")
    counting.change(place.data, "b", "fine")
    ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
    token = token_of(place)
    os.kill(anna.pid, signal.SIGCONT)
    eventually(lambda: b"no longer leads" in start.log.read_bytes(), "Anna notices")
    time.sleep(2 * SHORT)

    assert ended is not None
    assert (ended.state, ended.attempt, ended.counts.ok, ended.recoveries) == (RunState.SUCCEEDED, 2, 21, 0)
    assert len(counting.marks(place.data)) == 21
    assert (token_of(place), leader_of(place)) == (token, ben.pid)
    assert place.service.queries.run(number) == ended, "nothing of it was written again"
    assert anna.poll() is None, "it stands by"


@pytest.mark.parametrize("stopped", ["the leader", "the leader and its worker"])
def test_row_7_no_two_workers_are_at_one_run(place: Installation, start: Start, stopped: str) -> None:
    counting.put(place.data, {"a": "lingers"})
    command = place.service.commands.trigger("counting.count", DAY)
    anna = start(place, "headless", lease=SHORT, executor="processes")
    eventually(lambda: len(counting.tried(place.data)) == 1, "Anna's worker is at the batch")
    token, number = token_of(place), run_of(place, command)
    (worker,) = workers_of(anna.pid)
    start(place, "headless", lease=SHORT, executor="processes")

    for pid in (anna.pid, worker)[: 1 if stopped == "the leader" else 2]:
        os.kill(pid, signal.SIGSTOP)
    eventually(lambda: token_of(place) > token, "Ben leads")
    if stopped == "the leader":
        assert not is_alive(worker), "it has ended before"
    eventually(lambda: len(counting.tried(place.data)) == 2, "Ben's worker is at the batch")
    counting.change(place.data, "a", "fine")
    ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
    if stopped != "the leader":
        os.kill(worker, signal.SIGCONT)
        eventually(lambda: not is_alive(worker), "it ends when it resumes")
    os.kill(anna.pid, signal.SIGCONT)
    eventually(lambda: b"no longer leads" in start.log.read_bytes(), "Anna notices")

    assert ended is not None
    assert (ended.state, ended.attempt) == (RunState.SUCCEEDED, 2)
    assert len(counting.marks(place.data)) == 1
    assert len(counting.tried(place.data)) == 2


def test_row_7_a_leader_that_was_paused_alone_blames_no_item(place: Installation, start: Start) -> None:
    counting.put(place.data, {"a": "lingers"})
    command = place.service.commands.trigger("counting.count", DAY)
    anna = start(place, "headless", lease=SHORT, executor="processes")
    for pauses in range(4):  # more often than an item may lose its worker
        await_tries(place, pauses + 1)
        os.kill(anna.pid, signal.SIGSTOP)
        eventually(lambda: workers_of(anna.pid) == [], "its worker has ended")
        os.kill(anna.pid, signal.SIGCONT)
    await_tries(place, 5)
    counting.change(place.data, "a", "fine")
    ended = place.service.commands.wait_for_run(run_of(place, command), PATIENCE_SECONDS)

    assert ended is not None
    assert (ended.state, ended.counts.ok, ended.recoveries) == (RunState.SUCCEEDED, 1, 0)
    assert anna.poll() is None


def test_row_8_a_leader_stopped_inside_its_transaction_is_waited_for(place: Installation, start: Start) -> None:
    counting.put(place.data, {f"a{i:02}": "fine" for i in range(30)})
    command = place.service.commands.trigger("counting.count", DAY)
    anna = start(place, "headless", lease=SHORT, point="result_written:2:stop")
    eventually(lambda: b"failpoint" in start.log.read_bytes(), "Anna is stopped while she holds the lock")
    token = token_of(place)
    ben = start(place, "headless", lease=SHORT)
    time.sleep(3 * SHORT)

    seen = place.service.snapshot()
    assert seen.leader is not None
    assert seen.leader.pid == anna.pid, "readers see the holder"
    assert (token_of(place), ben.poll()) == (token, None)

    anna.kill()
    anna.wait()
    eventually(lambda: leader_of(place) == ben.pid, "Ben leads")
    assert token_of(place) == token + 1
    ended = place.service.commands.wait_for_run(run_of(place, command), PATIENCE_SECONDS)
    assert ended is not None
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 30)


def test_row_8_a_leader_that_resumes_inside_its_transaction_commits_it(place: Installation, start: Start) -> None:
    counting.put(place.data, {f"a{i:02}": "fine" for i in range(30)})
    command = place.service.commands.trigger("counting.count", DAY)
    anna = start(place, "headless", lease=SHORT, point="result_written:2:stop")
    eventually(lambda: b"failpoint" in start.log.read_bytes(), "Anna is stopped while she holds the lock")
    time.sleep(2 * SHORT)
    os.kill(anna.pid, signal.SIGCONT)
    ended = place.service.commands.wait_for_run(run_of(place, command), PATIENCE_SECONDS)

    assert ended is not None
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 30)
    assert len(counting.marks(place.data)) == 30


def test_row_9_a_leader_whose_schedule_stands_still_gives_way(place: Installation, start: Start) -> None:
    counting.put(place.data, {f"a{i:02}": "fine" for i in range(30)})
    command = place.service.commands.trigger("counting.count", DAY)
    anna = start(place, "headless", lease=SHORT, point="page_planned:1:hang", executor="processes")
    eventually(lambda: b"failpoint" in start.log.read_bytes(), "Anna's loop hangs")
    ben = start(place, "headless", lease=SHORT)

    eventually(lambda: leader_of(place) == ben.pid, "Ben leads")

    assert anna.poll() is None, "it lives, and does not lead"
    ended = place.service.commands.wait_for_run(run_of(place, command), PATIENCE_SECONDS)
    assert ended is not None
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 30)


def test_row_12_an_item_that_eats_all_memory_fails_alone(installing: Installing, place: Installation) -> None:
    roomy = installing(
        database_url=place.environ["DATABASE_URL"],
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__WORKERS": "1"},
    )
    counting.put(roomy.data, {f"a{i}": "fine" for i in range(9)} | {"glutton": "devours"})

    with roomy.leading():
        eventually(lambda: workers_of(os.getpid()) != [], "there is a worker")
        for pid in workers_of(os.getpid()):
            resource.prlimit(pid, resource.RLIMIT_AS, (3 << 30, 3 << 30))
        ended = roomy.run("counting.count", DAY)

    assert (ended.state, ended.counts.ok, ended.counts.failed) == (RunState.PARTIAL, 9, 1)
    assert list(ended.kinds) == ["memory_error"]


def test_row_13_jobs_that_hang_do_not_keep_another_from_starting(installing: Installing, place: Installation) -> None:
    busy = installing(
        database_url=place.environ["DATABASE_URL"],
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__WORKERS": "2"},
    )
    counting.put(busy.data, {"a": "hangs"})

    with busy.leading():
        for job in ("counting.count", "counting.gross"):
            busy.begin(job, DAY)
        eventually(lambda: len(workers_of(os.getpid())) == 2 and len(tried(busy)) == 2, "both workers hang")
        ended = busy.run("counting.names", DAY)
        eventually(lambda: len(workers_of(os.getpid())) == 2, "the worker that helped out has gone")

    assert ended.state is RunState.SUCCEEDED
    assert workers_of(os.getpid()) == []


def tried(place: Installation) -> list[tuple[int, str, int]]:
    return counting.tried(place.data) + counting.tried(place.data, "counting.gross")


def test_no_worker_outlives_a_leader_that_is_killed(place: Installation, start: Start) -> None:
    counting.put(place.data, {"a": "hangs"})
    place.service.commands.trigger("counting.count", DAY)
    anna = start(place, "headless", executor="processes", workers=2)
    eventually(lambda: len(counting.tried(place.data)) == 1, "the batch hangs")
    workers = workers_of(anna.pid)

    anna.kill()
    anna.wait()

    assert len(workers) == 2
    eventually(lambda: not any(is_alive(pid) for pid in workers), "all of them have gone")


def test_a_run_that_is_cut_off_without_getting_on_is_given_up(place: Installation, start: Start) -> None:
    counting.put(place.data, {"a": "dies"})
    command = place.service.commands.trigger("counting.count", DAY)

    for _ in range(4):
        leader = start(place, "headless")  # the item kills the process that it runs in
        assert leader.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    with place.leading():
        ended = place.service.commands.wait_for_run(run_of(place, command), PATIENCE_SECONDS)

    assert ended is not None
    assert (ended.state, ended.counts.planned, ended.counts.not_reached) == (RunState.ABANDONED, 1, 1)
    assert ended.error == "interrupted more than 3 times without progress"
    with place.store.reading() as db:
        assert db.execute(select(runs_table.c.recoveries)).scalar() == 4
