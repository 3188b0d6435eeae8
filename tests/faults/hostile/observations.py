"""What a campaign sees from outside: the leader's memory and lease, the ordinary runs, and what is left at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import redis
from sqlalchemy import func, select

from opsconsole.authoring.outbox import events
from opsconsole.authoring.run import OPEN
from opsconsole.core.database import Database
from opsconsole.leader.event_relay import STREAM
from opsconsole.store import Store, lease
from opsconsole.store.tables import occurrences, runs
from tests.faults.fast_clock import FastClock
from tests.faults.hostile.report import Report, Steady
from tests.waiting import PATIENCE_SECONDS

MARK = "HOSTILE_CAMPAIGN"
SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class LeaderRow:
    """The holder of the lease."""

    pid: int
    token: int


class Observations:
    """Observes the processes of one campaign: those that inherited its mark in their environment."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self.log = folder / "leader.log"
        self._workers_log = folder / "opsconsole" / "workers.log"
        self.mark = {MARK: secrets.token_hex(8)}
        self._sampled = 0.0

    def leader(self) -> LeaderRow | None:
        """The holder of the lease."""
        with self._store.reading() as db:
            found = lease.read(db)
        return None if found is None or found.holder is None else LeaderRow(found.holder.pid, found.token)

    def sample(self, report: Report, pid: int) -> None:
        """Adds the leader's memory, and the token of the lease, twice a second."""
        if time.monotonic() - self._sampled < SAMPLE_SECONDS:
            return
        self._sampled = time.monotonic()
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            report.add_memory(int(status.partition("VmRSS:")[2].split()[0]))
        found = self.leader()
        report.leaders.add((found.token, found.pid) if found is not None else (0, 0))
        report.processes = max(report.processes, len(self._marked()))

    def steady(self, report: Report, clock: FastClock) -> None:
        """Adds the scheduled times of the ordinary jobs and their runs."""
        now = clock.now()
        mine = occurrences.c.job.startswith("steady.") & (occurrences.c.due_at <= now)
        columns = (occurrences, runs.c.started_at, runs.c.ended_at, runs.c.state.label("run_state"), runs.c.error)
        joined = occurrences.outerjoin(runs, runs.c.occurrence_id == occurrences.c.id)
        active = select(func.count()).select_from(joined).where(mine & runs.c.state.in_(OPEN))
        deadline, left = time.monotonic() + PATIENCE_SECONDS, 1
        while left and time.monotonic() < deadline:
            time.sleep(SAMPLE_SECONDS)
            with self._store.reading() as db:
                left = db.execute(active).scalar_one()
        with self._store.reading() as db:
            rows = db.execute(select(*columns, runs.c.kinds).select_from(joined).where(mine).order_by(occurrences.c.id))
            for row in rows:
                times = [(at - row.due_at).total_seconds() / clock.scale for at in row[-5:-3] if at is not None]
                end = row.run_state if row.run_state is not None else row.state
                cause = row.error or ", ".join(row.kinds or ()) or row.reason or ""
                report.add_steady(Steady(row.job, row.due_at, row.instants, end, cause, times))

    def events(self, report: Report, data: Database, redis_url: str) -> None:
        """Checks that every event that is in order is published once the stream is what it should be."""
        with redis.Redis.from_url(redis_url) as client:
            client.delete(STREAM)
        mine = (events.c.name == "hostile.event") & events.c.published_at.is_(None)
        deadline, left = time.monotonic() + PATIENCE_SECONDS, 1
        while left and time.monotonic() < deadline:
            with data.reading() as db:
                left = db.execute(select(func.count()).select_from(events).where(mine)).scalar_one()
            time.sleep(SAMPLE_SECONDS)
        report.check(not left, f"{left} events are not published")

    def orphans(self, report: Report) -> None:
        """Adds the processes that the leader has left."""
        left = self._marked()
        report.orphans = len(left)
        report.check(not left, f"{len(left)} processes are left: {', '.join(sorted(set(left.values())))}")

    def logs(self, report: Report) -> None:
        """Adds the sizes of the logs, and checks the leader's."""
        text = self.log.read_text(errors="replace")
        report.log_bytes = len(text)
        report.workers_log_bytes = self._workers_log.stat().st_size if self._workers_log.exists() else 0
        restarts = text.count("the engine failed and restarts")
        report.check(restarts == 0, f"the engine failed {restarts} times")

    def end_processes(self) -> None:
        """Kills what is left of the campaign."""
        for pid in self._marked():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _marked(self) -> dict[int, str]:
        """The processes of the campaign that have not ended, with their command lines."""
        mark = f"{MARK}={self.mark[MARK]}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80]
        return found
