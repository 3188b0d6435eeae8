"""What one cluster is put through: kills and pauses while operators go on asking, and then quiet."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from opsconsole.authoring.run import NEEDS_A_LOOK, Run, RunFilter, RunState
from opsconsole.core.failpoints import Point
from opsconsole.store import runs
from tests.faults import write_monitor
from tests.faults.cluster import LEASE_SECONDS, Cluster, Process
from tests.faults.operators import Operators
from tests.packs import chaos

PATIENCE_SECONDS = 20.0
"""So long is waited for what should come within a second."""
QUIET_SECONDS = 60.0
FEWEST, MOST = 2, 3
"""So many processes are kept alive."""
FAILPOINTS = 0.4
"""The share of processes that carry a fail point: they end, or stop, exactly between two durable steps."""
TOLD_SECONDS = 6.0  # a write that waits for SQLite's lock gives up after 5
LONGEST_PAUSE = 2.0
RETRIES = 100
UNDONE = RunFilter(states=tuple(state for state in NEEDS_A_LOOK if state is not RunState.CANCELLED))
"""What is retried after the storm: not what operators, or later runs, have cancelled."""


class Lost(Exception):
    """The cluster does not come back by itself; the text says what was waited for."""


class Storm:
    """Kills and pauses a cluster's processes, so many times, and notes what it did and what it should not have seen."""

    def __init__(self, cluster: Cluster, rng: random.Random, kills: int, pauses: int) -> None:
        self.cluster = cluster
        self.deeds: Counter[str] = Counter()
        self.takeovers: list[float] = []
        self.violations: list[str] = []
        self._rng, self._kills, self._pauses = rng, kills, pauses
        self._operators = Operators(cluster, random.Random(rng.random()))
        self._killed: set[int] = set()
        self._beheaded: list[tuple[int, float]] = []
        self._slow = 4.0 if cluster.executor == "processes" else 1.0

    # --- the storm ----------------------------------------------------------------------------------------------

    def rage(self) -> None:
        """Does all kills and pauses. Raises Lost when nobody leads any more."""
        self._operators.begin()
        while (left := self._left()) != [0, 0]:
            self._top_up()
            longest = self._rng.choices((0.1, 0.6, 1.5), (3, 5, 2))[0]
            time.sleep(self._rng.uniform(0, longest * self._slow))
            deed = self._rng.choices((self._kill, self._pause), left)[0]
            deed()

    def calm(self) -> datetime:
        """Lets everything come to its end; since when all schedules stand still. Raises Lost when it does not end."""
        rigged = [process for process in self.cluster.alive() if process.failpoint]
        for process in rigged:
            self._behead(process)
        self._top_up(rigged=False)
        self._operators.leave()
        self.deeds.update(self._operators.deeds)
        chaos.heal(self.cluster.place.data)
        self._carried_out(lambda: self.cluster.service.commands.pause("all", until=None, note="the storm is over"))
        paused_at = self.cluster.clock.now()
        self._quiet()
        for _ in range(RETRIES):
            if not self._undone():
                break
            self._carried_out(lambda: self.cluster.service.commands.retry_matching(UNDONE))
            self.deeds["retries after the storm"] += 1
            self._quiet()
        if left := self._undone():
            self.violations.append(f"what was retried is not done: runs {[run.id for run in left]}")
        self._end()
        return paused_at

    def break_off(self) -> None:
        """Ends everything, whatever goes on."""
        self.cluster.kill_all()
        self._operators.leave()

    def _undone(self) -> list[Run]:
        """The runs that left something undone, though nobody wanted that, and were not retried."""
        found = self.cluster.service.queries.retryable(UNDONE, limit=1000)
        return [run for run in found if not run.planning_done or run.counts.ok < run.counts.planned]

    def _left(self) -> list[int]:
        return [max(0, self._kills - self.deeds["kills"]), max(0, self._pauses - self.deeds["pauses"])]

    def _top_up(self, *, rigged: bool = True) -> None:
        """Starts processes until enough live, and lets those go on that stopped themselves."""
        for process in self.cluster.alive():
            if process.is_stopped:
                self._wait_out(process)
        self._count_the_dead()
        wanted = self._rng.randint(FEWEST, MOST)
        while len(self.cluster.alive()) < wanted:
            self.cluster.start(self._failpoint() if rigged and self._rng.random() < FAILPOINTS else "")
            self.deeds["processes started"] += 1

    def _failpoint(self) -> str:
        deed = self._rng.choice(("kill", "kill", "stop"))
        return f"{self._rng.choice(list(Point))}:{1 + int(self._rng.expovariate(0.5))}:{deed}"

    def _count_the_dead(self) -> None:
        for process in self.cluster.processes:
            if process.pid in self._killed or process.lives:
                continue
            self._killed.add(process.pid)
            if process.failpoint and process.says("failpoint "):
                self.deeds["kills"] += 1
                self.deeds["kills at a fail point"] += 1
            else:
                self.violations.append(f"process {process.pid} ended by itself; see {process.log}")

    # --- deeds --------------------------------------------------------------------------------------------------

    def _leader(self) -> Process:
        """Who leads; waits for one. Raises Lost."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            found = self.cluster.await_leader(0.5)
            if found is not None and not found.is_stopped:
                return found
            self._top_up()
        raise Lost(f"nobody leads within {PATIENCE_SECONDS:g} s; see {self.cluster.folder}")

    def _kill(self) -> None:
        leader = self._leader()
        others = [process for process in self.cluster.alive() if process.pid != leader.pid]
        if self.cluster.executor == "processes" and self._rng.random() < 0.2:
            worker = self.cluster.worker_of(leader, self._rng)
            if worker is not None:
                os.kill(worker, signal.SIGKILL)
                self.deeds["kills"] += 1
                self.deeds["kills of a worker"] += 1
        elif others and self._rng.random() < 0.15:
            self._behead(self._rng.choice(others))
        else:
            self._behead(leader)

    def _behead(self, process: Process) -> None:
        leader = self.cluster.leader()
        at = self.cluster.kill(process)
        self._killed.add(process.pid)
        self.deeds["kills"] += 1
        if leader is not None and leader.pid == process.pid:
            self.deeds["kills of the leader"] += 1
            if any(other.pid != process.pid for other in self.cluster.alive()):
                self._beheaded.append((leader.token, at))

    def _pause(self) -> None:
        process = self._leader()
        self.cluster.pause(process)
        self._wait_out(process)

    def _wait_out(self, process: Process) -> None:
        """A process stands still longer than its lease lives; then it goes on, and must know that it does not lead."""
        self.deeds["pauses"] += 1
        before = self.cluster.leader()
        end = time.monotonic() + LONGEST_PAUSE
        time.sleep(LEASE_SECONDS + self._rng.uniform(0.0, 0.4))
        if before is None or before.pid != process.pid:
            self.cluster.resume(process)
            return
        while self._token() == before.token and time.monotonic() < end:
            time.sleep(0.02)
        taken_over = self._token() != before.token
        self.cluster.resume(process)
        if not taken_over:
            self.deeds["pauses in a write, so without a takeover"] += 1
            return
        self.deeds["pauses with a takeover"] += 1
        told = f"no longer leading with token {before.token}"
        end = time.monotonic() + TOLD_SECONDS
        while process.lives and not process.says(told) and time.monotonic() < end:
            time.sleep(0.02)
            self._resume_who_stopped()
        if process.says("no longer leads"):
            self.deeds["stale leaders told so"] += 1
        if process.lives and not process.says(told):
            self.violations.append(f"process {process.pid} does not say that it lost token {before.token}")

    def _resume_who_stopped(self) -> None:
        """A process that stopped itself at a fail point may hold what others wait for."""
        for process in self.cluster.alive():
            if process.is_stopped:
                self.deeds["pauses"] += 1
                self.cluster.resume(process)

    def _token(self) -> int | None:
        leader = self.cluster.leader()
        return leader.token if leader else None

    # --- quiet --------------------------------------------------------------------------------------------------

    def _carried_out(self, ask: Callable[[], int]) -> None:
        """Asks for something and waits until it was carried out, by whoever leads by then. Raises Lost."""
        command = ask()
        end = time.monotonic() + PATIENCE_SECONDS
        while self.cluster.service.commands.outcome(command, 0.5) is None:
            self._top_up(rigged=False)
            if time.monotonic() > end:
                raise Lost(f"command {command} is not carried out; see {self.cluster.folder}")

    def _quiet(self) -> None:
        """Waits until no run is open. Raises Lost."""
        end = time.monotonic() + QUIET_SECONDS
        while True:
            self._top_up(rigged=False)
            with self.cluster.place.store.reading() as db:
                left = runs.unfinished(db)
            if not left:
                return
            if time.monotonic() > end:
                told = ", ".join(f"{run.id} of {run.job} ({run.state})" for run in left[:5])
                raise Lost(f"{len(left)} runs do not end: {told}; see {self.cluster.folder}")
            time.sleep(0.05)

    def _end(self) -> None:
        ending = {process.pid for process in self.cluster.alive()}
        codes = self.cluster.end()
        self._killed |= ending
        for pid in ending:
            if codes.get(pid) != 128 + signal.SIGTERM:
                self.violations.append(f"process {pid} was asked to end and ended with {codes.get(pid)}")
        with self.cluster.place.store.reading() as db:
            taken = write_monitor.tokens(db)
        for token, at in self._beheaded:
            after = next((each.at for each in taken if each.token > token), None)
            if after is not None:
                self.takeovers.append(after - at)
