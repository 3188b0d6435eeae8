"""What a run's results add up to: counts, failures by cause, metrics, and a log that stays short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from opsconsole.authoring.batch import DETAILED_FAILURES, BatchResult, Failure
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Counts, Run, RunState
from opsconsole.core.database import Connection
from opsconsole.store import runs

LOG_LINES = 1000
CAUSES = 50
OTHER_CAUSES = "other"
HITS = "_hits"


class RunTotals:
    """Goes on from what the store has of a run; `db` is a fenced transaction of the store."""

    def __init__(self, run: Run, job: Job) -> None:
        self.counts: Counts = run.counts
        self.kinds, self.metrics = dict(run.kinds), dict(run.metrics)
        self.log_lines = run.log_lines
        self._run, self._tag = run.id, job.tag or f"[{job.name}]"
        self._kept = 0

    @property
    def room(self) -> int:
        """How many more failures are kept whole."""
        return DETAILED_FAILURES - self._kept

    def add(self, **more: int) -> None:
        """Counts more items as planned, ok, failed, skipped or not_reached."""
        self.counts = replace(self.counts, **{name: getattr(self.counts, name) + n for name, n in more.items()})

    def take(self, db: Connection, seq: int, result: BatchResult) -> None:
        """Adds what came of a batch."""
        self.add(ok=result.ok, failed=len(result.failed), skipped=sum(result.skipped.values()))
        self.fail(db, seq, result.failures, result.kinds)
        for metric, n in result.metrics.items():
            self.metrics[metric] = self.metrics.get(metric, 0) + n
        for hits in [name for name in result.metrics if name.endswith(HITS)]:
            of = hits.removesuffix(HITS)
            tried = self.metrics[hits] + self.metrics.get(f"{of}_misses", 0)
            if tried:
                self.metrics[f"{of}_hit_rate"] = round(self.metrics[hits] / tried, 4)

    def fail(self, db: Connection, seq: int, told: list[Failure], kinds: Mapping[str, int]) -> None:
        """Keeps the first failures whole and counts all by cause; past fifty causes the rest are counted as one."""
        kept = told[: self.room]
        runs.add_failures(db, self._run, seq, kept)
        self._kept += len(kept)
        for kind, n in kinds.items():
            if n:
                name = kind if kind in self.kinds or len(self.kinds) < CAUSES else OTHER_CAUSES
                self.kinds[name] = self.kinds.get(name, 0) + n

    def log(self, db: Connection, at: datetime, *lines: str, room: bool = False) -> None:
        """Adds lines to the run's log as far as there is room, or with `room` made for them; all are counted."""
        kept = lines if room else lines[: max(0, LOG_LINES - self.log_lines)]
        runs.add_log(db, self._run, at, [f"{self._tag} {line}" for line in kept])
        self.log_lines += len(lines)

    @property
    def outcome(self) -> RunState:
        """The state of a run whose every batch is closed."""
        if not self.counts.failed:
            return RunState.SUCCEEDED
        return RunState.PARTIAL if self.counts.ok or self.counts.skipped else RunState.FAILED
