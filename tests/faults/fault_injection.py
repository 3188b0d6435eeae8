"""Injects faults into one cluster: kills and pauses processes while operators send commands, then lets it settle."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from opsconsole.authoring.run import NEEDS_A_LOOK, Run, RunState
from opsconsole.core.failpoints import Point
from opsconsole.rules.run_search import RunSearch
from opsconsole.store import runs
from opsconsole.store.registrations import registrations
from tests.faults import write_monitor
from tests.faults.cluster import LEASE_SECONDS, Cluster, Process
from tests.faults.operators import Operators
from tests.packs import chaos
from tests.waiting import PATIENCE_SECONDS

IDLE_SECONDS = 3 * PATIENCE_SECONDS
"""The limit for all open runs to end."""
FEWEST, MOST = 2, 3
"""How many processes are kept running."""
FAILPOINTS = 0.4
"""The share of processes that carry a fail point: they end, or stop, exactly between two durable steps."""
LONGEST_PAUSE = 2.0
RETRIES = 100
EXIT_CODE_SECONDS = 2.0
"""The fork server reaps a little later than a process ends."""
UNFINISHED = RunSearch(states=tuple(state for state in NEEDS_A_LOOK if state is not RunState.CANCELLED))
"""What is retried after the faults: not what operators, or later runs, have cancelled."""


class NoRecovery(Exception):
    """The cluster does not recover; the message names what was waited for."""


class FaultInjection:
    """Kills and pauses a cluster's processes a given number of times, and counts its actions and the violations."""

    def __init__(self, cluster: Cluster, rng: random.Random, kills: int, pauses: int) -> None:
        self.cluster = cluster
        self.actions: Counter[str] = Counter()
        self.takeovers: list[float] = []
        self.violations: list[str] = []
        self._rng, self._kills, self._pauses = rng, kills, pauses
        self._operators = Operators(cluster, random.Random(rng.random()))
        self._killed: set[int] = set()
        self._killed_leaders: list[tuple[int, float]] = []
        self._slow = 4.0 if cluster.executor == "processes" else 1.0

    # --- injection ----------------------------------------------------------------------------------------------

    def inject(self) -> None:
        """Does all kills and pauses. Raises NoRecovery when no process takes the lease."""
        self._operators.start()
        while (left := self._left()) != [0, 0]:
            self._start_missing()
            longest = self._rng.choices((0.1, 0.6, 1.5), (3, 5, 2))[0]
            time.sleep(self._rng.uniform(0, longest * self._slow))
            action = self._rng.choices((self._kill, self._pause), left)[0]
            action()

    def settle(self) -> datetime:
        """Lets every run end; returns when all schedules were paused. Raises NoRecovery when a run does not end."""
        with_failpoints = [process for process in self.cluster.running() if process.failpoint]
        for process in with_failpoints:
            self._kill_process(process)
        self._start_missing(with_failpoints=False)
        self._operators.stop()
        self.actions.update(self._operators.actions)
        chaos.heal(self.cluster.place.data)
        self._execute(lambda: self.cluster.service.commands.pause("all", until=None, note="no more faults"))
        paused_at = self.cluster.clock.now()
        self._wait_until_planned(paused_at)
        self._wait_until_idle()
        for _ in range(RETRIES):
            if not self._unfinished():
                break
            self._execute(lambda: self.cluster.service.commands.retry_runs([run.id for run in self._retryable()]))
            self.actions["retries after the faults"] += 1
            self._wait_until_idle()
        if left := self._unfinished():
            self.violations.append(f"what was retried is not done: runs {[run.id for run in left]}")
        self._end()
        return paused_at

    def abort(self) -> None:
        """Ends every process at once."""
        self.cluster.kill_all()
        self._operators.stop()

    def _unfinished(self) -> list[Run]:
        """The runs with unfinished items that were neither cancelled nor retried."""
        return [run for run in self._retryable() if not run.planning_done or run.counts.ok < run.counts.planned]

    def _retryable(self) -> list[Run]:
        return self.cluster.service.history.retryable(UNFINISHED, limit=1000)

    def _left(self) -> list[int]:
        return [max(0, self._kills - self.actions["kills"]), max(0, self._pauses - self.actions["pauses"])]

    def _start_missing(self, *, with_failpoints: bool = True) -> None:
        """Starts processes until enough are running, and resumes those that stopped themselves."""
        for process in self.cluster.running():
            if process.is_stopped:
                self._outlast_lease(process)
        self._record_exits()
        number = self._rng.randint(FEWEST, MOST)
        while len(self.cluster.running()) < number:
            self.cluster.start(self._failpoint() if with_failpoints and self._rng.random() < FAILPOINTS else "")
            self.actions["processes started"] += 1

    def _failpoint(self) -> str:
        action = self._rng.choice(("kill", "kill", "stop"))
        return f"{self._rng.choice(list(Point))}:{1 + int(self._rng.expovariate(0.5))}:{action}"

    def _record_exits(self) -> None:
        for process in self.cluster.processes:
            if process.pid in self._killed or process.is_running:
                continue
            self._killed.add(process.pid)
            if process.failpoint and process.has_logged("failpoint "):
                self.actions["kills"] += 1
                self.actions["kills at a fail point"] += 1
            else:
                code = self.cluster.fork_server.exit_codes().get(process.pid)
                *_, last = ["", *process.log.read_text().splitlines()]
                what = (
                    f"process {process.pid} ended without a fault, code {code}, {process.failpoint or 'no fail point'}"
                )
                self.violations.append(f"{what}; {process.log} ends with {last[:500]!r}")

    # --- actions --------------------------------------------------------------------------------------------------

    def _leader(self) -> Process:
        """Waits for a leader. Raises NoRecovery."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            found = self.cluster.await_leader(0.5)
            if found is not None and not found.is_stopped:
                return found
            self._start_missing()
        raise NoRecovery(f"no leader within {PATIENCE_SECONDS:g} s; see {self.cluster.folder}")

    def _kill(self) -> None:
        leader = self._leader()
        others = [process for process in self.cluster.running() if process.pid != leader.pid]
        if self.cluster.executor == "processes" and self._rng.random() < 0.2:
            worker = self.cluster.worker_of(leader, self._rng)
            if worker is not None:
                os.kill(worker, signal.SIGKILL)
                self.actions["kills"] += 1
                self.actions["kills of a worker"] += 1
        elif others and self._rng.random() < 0.15:
            self._kill_process(self._rng.choice(others))
        else:
            self._kill_process(leader)

    def _kill_process(self, process: Process) -> None:
        leader = self.cluster.leader()
        at = self.cluster.kill(process)
        self._killed.add(process.pid)
        self.actions["kills"] += 1
        if leader is not None and leader.pid == process.pid:
            self.actions["kills of the leader"] += 1
            if any(other.pid != process.pid for other in self.cluster.running()):
                self._killed_leaders.append((leader.token, at))

    def _pause(self) -> None:
        process = self._leader()
        self.cluster.pause(process)
        self._outlast_lease(process)

    def _outlast_lease(self, process: Process) -> None:
        """Keeps a process stopped until its lease has expired, resumes it, and checks that it notices the loss."""
        self.actions["pauses"] += 1
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
            self.actions["pauses in a write, so without a takeover"] += 1
            return
        self.actions["pauses with a takeover"] += 1
        message = f"no longer leading with token {before.token}"
        end = time.monotonic() + PATIENCE_SECONDS
        while process.is_running and not process.has_logged(message) and time.monotonic() < end:
            time.sleep(0.02)
            self._resume_stopped()
        if process.has_logged("no longer leads"):
            self.actions["stale leaders that noticed"] += 1
        if process.is_running and not process.has_logged(message):
            self.violations.append(f"process {process.pid} did not log that it lost token {before.token}")

    def _resume_stopped(self) -> None:
        """Resumes processes that stopped themselves at a fail point: they may hold what others wait for."""
        for process in self.cluster.running():
            if process.is_stopped:
                self.actions["pauses"] += 1
                self.cluster.resume(process)

    def _token(self) -> int | None:
        leader = self.cluster.leader()
        return leader.token if leader else None

    # --- settling --------------------------------------------------------------------------------------------------

    def _execute(self, send: Callable[[], int]) -> None:
        """Sends a command and waits until a leader has executed it. Raises NoRecovery."""
        command = send()
        end = time.monotonic() + PATIENCE_SECONDS
        while self.cluster.service.commands.outcome(command, 0.5) is None:
            self._start_missing(with_failpoints=False)
            if time.monotonic() > end:
                raise NoRecovery(f"command {command} was not executed; see {self.cluster.folder}")

    def _wait_until_planned(self, until: datetime) -> None:
        """Waits until every scheduled time up to `until` is planned: a leader carries out commands before it plans what
        was due at the same moment. Raises NoRecovery.
        """
        catalog, end = self.cluster.place.catalog, time.monotonic() + IDLE_SECONDS
        newest = {job.name: cron.previous(until) for job in catalog if (cron := catalog.cron(job)) is not None}
        while True:
            self._start_missing(with_failpoints=False)
            with self.cluster.place.store.reading() as db:
                found = registrations(db)
            left = [name for name, at in newest.items() if at is not None and found[name].planned_until < at]
            if not left:
                return
            if time.monotonic() > end:
                raise NoRecovery(f"not planned until {until}: {', '.join(left)}; see {self.cluster.folder}")
            time.sleep(0.05)

    def _wait_until_idle(self) -> None:
        """Waits until no run is open. Raises NoRecovery."""
        end = time.monotonic() + IDLE_SECONDS
        while True:
            self._start_missing(with_failpoints=False)
            with self.cluster.place.store.reading() as db:
                left = runs.unfinished(db)
            if not left:
                return
            if time.monotonic() > end:
                message = ", ".join(f"{run.id} of {run.job} ({run.state})" for run in left[:5])
                raise NoRecovery(f"{len(left)} runs do not end: {message}; see {self.cluster.folder}")
            time.sleep(0.05)

    def _end(self) -> None:
        ending = {process.pid for process in self.cluster.running()}
        codes = self.cluster.end()
        self._killed |= ending
        for pid in ending:
            if codes.get(pid) != 128 + signal.SIGTERM:
                self.violations.append(f"process {pid} got SIGTERM and ended with {codes.get(pid)}")
        with self.cluster.place.store.reading() as db:
            taken = write_monitor.tokens(db)
        for token, at in self._killed_leaders:
            after = next((each.at for each in taken if each.token > token), None)
            if after is not None:
                self.takeovers.append(after - at)
