"""Several real processes on one store: their leader, their states, and the signals sent to them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import redis
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.service.service import Service
from opsconsole.store import lease
from tests.faults import write_monitor
from tests.faults.fast_clock import FastClock, starting_at
from tests.faults.fork_server import ForkServer
from tests.installation import Installation
from tests.packs import chaos
from tests.waiting import PATIENCE_SECONDS

LEASE_SECONDS = 0.5
MINUTES_A_SECOND = 60.0
FIRST_DAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Leader:
    """The holder of the lease."""

    pid: int
    token: int


@dataclass(frozen=True, slots=True)
class Process:
    """One of the cluster's processes: when it started by the kernel's count, its log file and its fail point."""

    pid: int
    began: str
    log: Path
    failpoint: str = ""

    @property
    def state(self) -> str:
        """The kernel's letter: T is stopped, Z ended; empty when it no longer exists."""
        letter, began = _stat(self.pid)
        return letter if began == self.began else ""  # else its number is another's now

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.state not in ("", "Z", "X")

    @property
    def is_stopped(self) -> bool:
        """Whether it is stopped by a signal."""
        return self.state == "T"

    def has_logged(self, words: str) -> bool:
        """Whether its log contains these words."""
        return words in self.log.read_text()


@dataclass
class Cluster:
    """An installation with the chaos pack, a write monitor in its store, and processes that are started and killed.

    `database_url` is None for SQLite files in `folder`. All its processes, and `service`, share a clock on which a
    minute passes in a second.
    """

    folder: Path
    fork_server: ForkServer
    redis_url: str
    database_url: str | None = None
    executor: str = "inline"
    lease_seconds: float = LEASE_SECONDS
    clock: FastClock = field(default_factory=lambda: starting_at(FIRST_DAY, scale=MINUTES_A_SECOND))
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self.place = Installation(
            self.folder / "opsconsole",
            database_url=self.database_url,
            redis_url=self.redis_url,
            packs="tests.packs.chaos",
            environ={
                "OPSCONSOLE_ENGINE__EXECUTOR": self.executor,
                "OPSCONSOLE_ENGINE__WORKERS": "1",
                "OPSCONSOLE_ENGINE__LEASE_SECONDS": str(self.lease_seconds),
            },
        )
        self.service = Service(self.place.settings, self.place.store, self.place.catalog, now=self.clock.now)
        with redis.Redis.from_url(self.redis_url) as cache:
            cache.flushdb()
        write_monitor.install(self.place.store)
        chaos.put(self.place.data, at=self.clock.now())

    def start(self, failpoint: str = "", *, begin_at: float = 0.0) -> Process:
        """Starts one more process."""
        log = self.folder / f"process{next(self._numbers)}.log"
        log.touch()
        environ = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            **self.place.environ,
        }
        if failpoint:
            environ["FAILPOINT"] = failpoint
        pid = self.fork_server.start(["headless"], environ, output=log, clock=self.clock, begin_at=begin_at).pid
        made = Process(pid, _stat(pid)[1], log, failpoint)
        self.processes.append(made)
        return made

    # --- processes -------------------------------------------------------------------------------------------

    def running(self) -> list[Process]:
        """The processes that have not ended, oldest first."""
        return [process for process in self.processes if process.is_running]

    def leader(self) -> Leader | None:
        """The holder of the lease; None when it is free or the store is unreachable."""
        with contextlib.suppress(SQLAlchemyError), self.place.store.reading() as db:
            found = lease.read(db)
            if found is not None and found.holder is not None:
                return Leader(found.holder.pid, found.token)
        return None

    def leading_process(self) -> Process | None:
        """The living process that holds the lease."""
        leader = self.leader()
        return next((process for process in self.running() if leader and process.pid == leader.pid), None)

    def await_leader(self, seconds: float) -> Process | None:
        """Waits for a running process that holds the lease; None when there is none within `seconds`."""
        end = time.monotonic() + seconds
        while (found := self.leading_process()) is None and time.monotonic() < end:
            time.sleep(0.02)
        return found

    # --- signals -----------------------------------------------------------------------------------

    def kill(self, process: Process) -> float:
        """Kills it with signal 9, which nothing can prepare for; when that was, in seconds since 1970. It is dead when
        this returns.
        """
        at = time.time()
        self._send(process, signal.SIGKILL)
        while process.is_running:
            time.sleep(0.001)
        return at

    def pause(self, process: Process) -> None:
        """Stops it where it is."""
        self._send(process, signal.SIGSTOP)

    def resume(self, process: Process) -> None:
        """Resumes it as if no time had passed."""
        self._send(process, signal.SIGCONT)

    def end(self, seconds: float = PATIENCE_SECONDS) -> dict[int, int]:
        """Sends every process SIGTERM and returns the exit codes, without those that had to be killed."""
        ending = self.running()
        for process in ending:
            self.resume(process)
            self._send(process, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        codes: dict[int, int] = {}
        while len(codes) < len(ending) and time.monotonic() < deadline:
            time.sleep(0.02)
            known = self.fork_server.exit_codes()
            codes = {process.pid: known[process.pid] for process in ending if process.pid in known}
        self.kill_all()
        return codes

    def kill_all(self) -> None:
        """Kills every process that is still running."""
        for process in self.running():
            self.kill(process)

    def close(self) -> None:
        """Ends every process and closes every connection."""
        self.kill_all()
        self.service.close()
        self.place.close()

    def worker_of(self, leader: Process, rng: random.Random) -> int | None:
        """One of the worker processes of `leader`."""
        found: list[str] = []
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{leader.pid}/task").iterdir():
                found += (task / "children").read_text().split()
        return int(rng.choice(found)) if found else None

    @staticmethod
    def _send(process: Process, number: int) -> None:
        if process.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)


def _stat(pid: int) -> tuple[str, str]:
    """A process's state, and when it began."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]
