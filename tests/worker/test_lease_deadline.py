"""Worker processes end with their leader's lease, whatever their leader is doing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsconsole.authoring.batch import Batch
from opsconsole.calendar.windows import Window
from opsconsole.core.clock import boottime
from opsconsole.core.errors import LeaseExpired
from opsconsole.worker.inline import Inline
from opsconsole.worker.lease_deadline import LeaseDeadline
from opsconsole.worker.processes import Processes
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import eventually
from tests.worker.test_processes import feed_of, is_alive

SLEEPER = """
import os, sys, time
from opsconsole.worker.lease_deadline import LeaseDeadline
deadline = LeaseDeadline(int(sys.argv[1]))
print("ready", flush=True)
while True:
    deadline.end_if_over()
    time.sleep(0.05)
"""
"""A process with the deadline of its leader."""

Sleeper = subprocess.Popen[str]


@pytest.fixture
def sleeping() -> Iterator[Callable[..., Sleeper]]:
    """Starts processes that share a deadline."""
    started: list[Sleeper] = []

    def start(deadline: LeaseDeadline, code: str = SLEEPER, *, session: bool = False) -> Sleeper:
        command = [sys.executable, "-c", code, str(deadline.file)]
        made = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, pass_fds=(deadline.file,), start_new_session=session
        )
        started.append(made)
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        return made

    yield start
    for each in started:
        each.kill()
        each.wait()
        assert each.stdout is not None
        each.stdout.close()


def test_a_process_ends_with_the_deadline_that_it_shares(sleeping: Callable[..., Sleeper]) -> None:
    deadline = LeaseDeadline()
    assert deadline.is_over
    deadline.extend(boottime() + 600)
    process = sleeping(deadline)
    assert not deadline.is_over

    deadline.extend(boottime())

    assert process.wait() == -signal.SIGKILL


def test_a_deadline_that_is_extended_in_time_ends_nothing(sleeping: Callable[..., Sleeper]) -> None:
    deadline = LeaseDeadline()
    deadline.extend(boottime() + 600)
    process = sleeping(deadline)
    other = LeaseDeadline()  # of a later term
    other.extend(boottime())

    for _ in range(5):
        deadline.extend(boottime() + 600)
        time.sleep(0.1)

    assert process.poll() is None


def test_a_process_that_was_stopped_beyond_its_deadline_ends_when_it_resumes(sleeping: Callable[..., Sleeper]) -> None:
    deadline = LeaseDeadline()
    deadline.extend(boottime() + 600)
    process = sleeping(deadline)

    process.send_signal(signal.SIGSTOP)
    deadline.extend(boottime())
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGCONT)

    assert process.wait() == -signal.SIGKILL


def test_what_a_job_started_ends_with_its_worker(sleeping: Callable[..., Sleeper], tmp_path: Path) -> None:
    deadline, file = LeaseDeadline(), tmp_path / "pid"
    deadline.extend(boottime() + 600)
    child = f"import subprocess; open({str(file)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))\n"
    process = sleeping(deadline, child + SLEEPER, session=True)
    pid = int(file.read_text())
    assert is_alive(pid)

    deadline.extend(boottime())

    assert process.wait() == -signal.SIGKILL
    eventually(lambda: not is_alive(pid), "the child of the worker has ended")


# --- executors ----------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, installing: Installing) -> Installation:
    made = installing(
        database_url=f"sqlite:///{tmp_path / 'shared.db'}",
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting",
    )
    counting.put(made.data, {"a": "hangs", "b": "fine"})
    return made


def batch_of(keys: list[str]) -> Batch:
    at = datetime(2025, 1, 19, tzinfo=UTC)
    return Batch(1, 1, 1, "counting.count", Window(at, at, "2025-01-19"), at, keys, {}, 300.0)


def test_a_worker_ends_during_its_batch(place: Installation, tmp_path: Path) -> None:
    deadline = LeaseDeadline()
    deadline.extend(boottime() + 600)
    executor = Processes(place.settings.for_workers(), 1, errors=tmp_path / "workers.log", lease=deadline)
    results = executor(feed_of(batch_of(["a"]), *[None] * 10_000), lambda batch: False)

    while not counting.tried(place.data):
        assert next(results) is None
    ((_, _, pid),) = counting.tried(place.data)
    deadline.extend(boottime())

    eventually(lambda: not is_alive(pid), "the worker has ended, though its leader did nothing")
    executor.close()


@pytest.mark.parametrize("when", ["before its batch", "before its commit"])
def test_nothing_is_committed_in_the_leader_after_its_lease(place: Installation, when: str) -> None:
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if when == "before its batch" or checks == 3:  # of the batch, of its try's mark, of its effect
            raise LeaseExpired

    place.service._backend.resources.check_lease = check
    inline = Inline(place.catalog, place.service._backend.resources)

    results = inline(feed_of(batch_of(["b"])), lambda work: False)

    with pytest.raises(LeaseExpired):
        next(results)

    assert counting.marks(place.data) == {}
    assert len(counting.tried(place.data)) == (0 if when == "before its batch" else 1)
