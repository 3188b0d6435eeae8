"""Real workers attached to a leader through a broker: killed, stopped, cut off, too slow, and of another version."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from opsconsole.authoring.run import Run, RunState
from opsconsole.core import clock
from opsconsole.core.errors import Exit
from opsconsole.core.problems import Work
from opsconsole.rules.admission import WaitReason
from opsconsole.store import presence, runs
from opsconsole.worker.celery.broker import KEPT_SECONDS, Broker
from opsconsole.worker.celery.messages import LeaderRecord
from tests.faults.fork_server import ForkServer
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import eventually
from tests.worker.attached import BrokerServer, WorkerProcess, broker_server, environ

NO_REDIS = "unix:///nowhere/redis.sock"
DAY = "2025-01-19"


class Machines:
    """An installation whose batches go through a broker, and the workers that are attached to it."""

    def __init__(self, folder: Path, fork_server: ForkServer, *, keeps: bool = True) -> None:
        self._fork_server = fork_server
        self._closing = ExitStack()
        self.broker: BrokerServer = self._closing.enter_context(broker_server(folder / "broker", keeps=keeps))
        self.place = Installation(
            folder / "installation",
            database_url=None,
            redis_url=NO_REDIS,
            packs="tests.packs.counting",
            environ=environ(self.broker.url) | {"OPSCONSOLE_ENGINE__LEASE_SECONDS": "4"},
            config='[jobs."counting.count"]\nworkers = 4\n[jobs."counting.gross"]\nbatch_timeout = 2\n',
        )
        self._closing.callback(self.place.close)

    def attach(self) -> WorkerProcess:
        """Starts a worker and waits until it is attached."""
        worker = WorkerProcess(self.place, self._fork_server)
        self._closing.callback(worker.process.kill)
        worker.wait_until_attached()
        return worker

    def begin(self, job: str = "counting.count") -> int:
        return self.place.begin(job, DAY)

    def ended(self, number: int) -> Run:
        """The run, when it has ended."""
        eventually(lambda: self.run(number).ended_at is not None, f"run {number} has ended")
        return self.run(number)

    def run(self, number: int) -> Run:
        with self.place.store.reading() as db:
            return runs.get(db, number)

    def log_of(self, number: int) -> list[str]:
        with self.place.store.reading() as db:
            return [text for _, text in runs.log_lines(db, number, limit=1000)]

    def has_begun(self, n: int = 1) -> bool:
        """Whether `n` batches were begun."""
        return len(counting.tried(self.place.data)) >= n

    def close(self) -> None:
        self._closing.close()


@pytest.fixture
def machines(tmp_path: Path, fork_server: ForkServer) -> Iterator[Machines]:
    made = Machines(tmp_path, fork_server)
    yield made
    made.close()


def put(machines: Machines, count: int, *, lingering: int = 0) -> None:
    """Adds things, of which some wait until `release`."""
    counting.put(machines.place.data, {f"fine{n:03}": "fine" for n in range(count - lingering)})
    if lingering:
        counting.put(machines.place.data, {f"linger{n}": "lingers" for n in range(lingering)})


def release(machines: Machines, lingering: int = 1) -> None:
    for n in range(lingering):
        counting.change(machines.place.data, f"linger{n}", "fine")


def has_effects_once(machines: Machines, count: int) -> bool:
    marks = counting.marks(machines.place.data)
    return len(marks) == count and set(marks.values()) == {1}


def test_a_killed_worker_is_replaced_and_every_item_counts_once(machines: Machines) -> None:
    put(machines, 40, lingering=1)
    first = machines.attach()
    with machines.place.leading():
        number = machines.begin()
        eventually(lambda: machines.has_begun(4), "the worker has the last batch")
        first.process.kill()
        machines.attach()
        release(machines)
        ended = machines.ended(number)

    assert (ended.state, ended.counts.planned, ended.counts.ok) == (RunState.SUCCEEDED, 40, 40)
    assert has_effects_once(machines, 40)


def test_a_run_without_a_worker_waits_and_shows_why(machines: Machines) -> None:
    put(machines, 10)
    with machines.place.leading() as engine:
        number = machines.begin()
        eventually(lambda: any(each.work == Work.WORKERS for each in engine.problems()), "it is a problem")
        eventually(lambda: waits(machines, number) is not None, "the run waits")
        why = waits(machines, number)
        machines.attach()
        ended = machines.ended(number)
        eventually(lambda: any(each.interface == "worker" for each in attached(machines)), "the worker is shown")

    assert why == (WaitReason.WORKERS, "no worker is attached; start `opsconsole worker`")
    assert ended.counts.ok == 10


def waits(machines: Machines, number: int) -> tuple[WaitReason, str] | None:
    found = machines.place.service.queries.run_page(number).progress.waits
    return None if found is None else (found.reason, found.detail)


def attached(machines: Machines) -> list[presence.Attached]:
    with machines.place.store.reading() as db:
        return presence.attached(db, clock.now())


@pytest.mark.soak
def test_a_worker_of_another_version_refuses_to_start(machines: Machines, fork_server: ForkServer) -> None:
    broker = Broker(machines.broker.url)
    broker.lead(LeaderRecord(1, "delhi", "0.0.1", "", ""), KEPT_SECONDS)

    worker = WorkerProcess(machines.place, fork_server)
    code = worker.process.wait()

    assert code == Exit.CONFIGURATION
    assert worker.has_logged("the leader on delhi runs opsconsole 0.0.1, and this is ")


# --- what takes longer --------------------------------------------------------------------------------------------


@pytest.mark.soak
@pytest.mark.parametrize("keeps", [True, False])
def test_a_broker_that_was_restarted_loses_nothing(keeps: bool, tmp_path: Path, fork_server: ForkServer) -> None:
    machines = Machines(tmp_path, fork_server, keeps=keeps)
    put(machines, 100, lingering=1)
    machines.attach()
    with machines.place.leading():
        number = machines.begin()
        eventually(lambda: machines.has_begun(1), "a batch has begun")
        machines.broker.kill()
        machines.broker.start()
        release(machines)
        ended = machines.ended(number)
    machines.close()

    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 100)
    assert has_effects_once(machines, 100)


@pytest.mark.soak
def test_a_stopped_worker_ends_its_batch_before_another_one_begins_it(machines: Machines) -> None:
    put(machines, 10, lingering=1)
    slow = machines.attach()
    with machines.place.leading():
        number = machines.begin()
        eventually(lambda: machines.has_begun(1), "the batch has begun")
        first_pid = counting.tried(machines.place.data)[0][2]
        os.kill(slow.process.pid, signal.SIGSTOP)
        machines.attach()
        eventually(lambda: machines.has_begun(2), "another worker has begun it")
        first_ended = not Path(f"/proc/{first_pid}").exists()
        release(machines)
        ended = machines.ended(number)
        os.kill(slow.process.pid, signal.SIGCONT)

    assert first_ended
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 10)


@pytest.mark.soak
def test_a_batch_over_its_timeout_ends_its_process_and_not_its_worker(machines: Machines) -> None:
    counting.put(machines.place.data, {"anna": "fine", "ben": "hangs on", "chen": "fine"})
    worker = machines.attach()
    with machines.place.leading():
        ended = machines.ended(machines.begin("counting.gross"))

    assert (ended.state, ended.counts.ok, ended.counts.failed) == (RunState.PARTIAL, 2, 1)
    assert worker.process.poll() is None


@pytest.mark.soak
def test_a_cancelled_run_withdraws_tasks_that_no_worker_has_begun(machines: Machines) -> None:
    put(machines, 40, lingering=1)
    counting.put(machines.place.data, {"a-lingers": "lingers"})
    machines.attach()
    with machines.place.leading():
        number = machines.begin()
        eventually(lambda: machines.has_begun(1), "the first batch has begun")
        machines.place.service.commands.cancel(number)
        counting.change(machines.place.data, "a-lingers", "fine")
        ended = machines.ended(number)

    assert ended.state is RunState.CANCELLED
    assert (ended.counts.ok, ended.counts.not_reached) == (10, 31)
    assert len(counting.tried(machines.place.data)) == 1


@pytest.mark.soak
def test_a_terminated_worker_finishes_its_batch(machines: Machines) -> None:
    put(machines, 10, lingering=1)
    worker = machines.attach()
    with machines.place.leading():
        number = machines.begin()
        eventually(lambda: machines.has_begun(1), "the batch has begun")
        worker.process.terminate()
        release(machines)
        ended = machines.ended(number)
        code = worker.process.wait()

    assert code == 128 + signal.SIGTERM
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 10)
    assert len(counting.tried(machines.place.data)) == 1


@pytest.mark.soak
def test_a_terminated_worker_gives_back_what_it_cannot_finish(machines: Machines) -> None:
    put(machines, 10, lingering=1)
    worker = machines.attach()
    with machines.place.leading():
        number = machines.begin()
        eventually(lambda: machines.has_begun(1), "the batch has begun")
        worker.process.terminate()
        code = worker.process.wait()
        machines.attach()
        eventually(lambda: machines.has_begun(2), "it has begun again")
        release(machines)
        ended = machines.ended(number)

    assert code == 128 + signal.SIGTERM
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 10)
    assert not any("died" in text for text in machines.log_of(number))
