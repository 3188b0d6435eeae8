"""The totals of a run: counts, failures by kind, metrics, and a bounded log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from opsconsole.authoring import metrics
from opsconsole.authoring.batch import DETAILED_FAILURES, BatchResult, Failure
from opsconsole.authoring.context import MAX_LOG_LINES
from opsconsole.authoring.job import Job
from opsconsole.authoring.metrics import MAX_METRICS, OTHER_METRICS
from opsconsole.authoring.run import Counts, Run, RunState
from opsconsole.core.text import safe
from opsconsole.store.run_writes import RunWrites

LONGEST_LINE = 1000
MAX_KINDS = 50
OTHER_KINDS = "other"
HITS = "_hits"


class RunTotals:
    """Continues from the totals that the store has. Failures and lines of the log go to `writes`."""

    def __init__(self, run: Run, job: Job, writes: RunWrites) -> None:
        self.counts: Counts = run.counts
        self.kinds, self.metrics = dict(run.kinds), dict(run.metrics)
        self.log_lines = run.log_lines
        self._writes, self._tag = writes, job.log_tag
        self._kept = 0

    @property
    def room(self) -> int:
        """How many more failures are stored with their messages."""
        return DETAILED_FAILURES - self._kept

    def add(self, **more: int) -> None:
        """Counts more items as planned, ok, failed, skipped or not_reached."""
        self.counts = replace(self.counts, **{name: getattr(self.counts, name) + n for name, n in more.items()})

    def add_result(self, seq: int, result: BatchResult, at: datetime) -> None:
        """Adds the result of a batch."""
        self.add(ok=result.ok, failed=len(result.failed), skipped=sum(result.skipped.values()))
        self.add_failures(seq, result.failures, result.kinds)
        had_room = OTHER_METRICS not in self.metrics
        for metric, n in result.metrics.items():
            metrics.add(self.metrics, metric, n)
        if had_room and OTHER_METRICS in self.metrics:
            self.log(at, f"more than {MAX_METRICS} metrics: further ones are counted as {OTHER_METRICS}")
        for hits in [name for name in result.metrics if name.endswith(HITS) and name in self.metrics]:
            of = hits.removesuffix(HITS)
            tried = self.metrics[hits] + self.metrics.get(f"{of}_misses", 0)
            if tried:
                self.metrics[f"{of}_hit_rate"] = round(self.metrics[hits] / tried, 4)

    def add_failures(self, seq: int, failures: list[Failure], kinds: Mapping[str, int]) -> None:
        """Stores the first failures with their messages and counts all by kind; after fifty kinds, as `other`."""
        kept = failures[: self.room]
        self._writes.fail(seq, kept)
        self._kept += len(kept)
        for kind, n in kinds.items():
            if n:
                name = kind if kind in self.kinds or len(self.kinds) < MAX_KINDS else OTHER_KINDS
                self.kinds[name] = self.kinds.get(name, 0) + n

    def log(self, at: datetime, *lines: str, force: bool = False) -> None:
        """Adds lines to the run's log while it has room, or always with `force`; all are counted."""
        kept = lines if force else lines[: max(0, MAX_LOG_LINES - self.log_lines)]
        self._writes.add_log(at, [f"{self._tag} {safe(line, LONGEST_LINE)}" for line in kept])
        self.log_lines += len(lines)

    @property
    def outcome(self) -> RunState:
        """The state of a run with no open batch."""
        if not self.counts.failed:
            return RunState.SUCCEEDED
        return RunState.PARTIAL if self.counts.ok or self.counts.skipped else RunState.FAILED
