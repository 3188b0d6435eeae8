"""What a campaign with the hostile pack has found."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from opsconsole.authoring.run import Run, RunState
from tests.faults.hostile.cases import Case

MEGABYTE = 1 << 20
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Steady:
    """A scheduled time of an ordinary job: how it ended, and its run's start and end in seconds after it was due."""

    job: str
    due_at: datetime
    instants: int
    end: str
    cause: str
    seconds: Sequence[float]


@dataclass
class Report:
    """Counts, and the problems found. The clock of the processes is `scale` times as fast as the time.
    `latest_seconds` is how late an ordinary run may start.
    """

    database: str
    seed: int
    scale: float = 1.0
    latest_seconds: float = math.inf
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    durations: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    steady: list[Steady] = field(default_factory=list)
    leaders: set[tuple[int, int]] = field(default_factory=set)
    first_kilobytes: int = 0
    most_kilobytes: int = 0
    processes: int = 0
    orphans: int = 0
    commands: int = 0
    responses: int = 0
    log_bytes: int = 0
    workers_log_bytes: int = 0

    @property
    def runs(self) -> int:
        """How many runs of odd jobs have ended."""
        return sum(map(len, self.durations.values()))

    @property
    def most_megabytes(self) -> float:
        """The largest resident memory of the leader."""
        return self.most_kilobytes / 1024

    @property
    def latest(self) -> float:
        """The latest start of an ordinary run, in seconds."""
        return max((each.seconds[0] for each in self.steady if each.seconds), default=0.0)

    def check(self, holds: bool, sentence: str) -> None:
        """Records the sentence when something does not hold."""
        if not holds:
            self.violations.append(sentence)

    def add(self, case: Case, run: Run) -> None:
        """Adds a run of an odd job."""
        self.outcomes[case.job.name][f"{run.state} {', '.join(run.kinds) or run.error or ''}".strip()] += 1
        self.durations[case.job.name].append((run.seconds or 0.0) / self.scale)
        mismatch = case.mismatch(run)
        self.check(mismatch is None, mismatch or "")

    def add_steady(self, steady: Steady) -> None:
        """Adds a scheduled time of an ordinary job."""
        self.steady.append(steady)
        label = f"{steady.job} {steady.due_at:%H:%M}"
        self.check(steady.instants == 1, f"{label}: {steady.instants} scheduled times without a run ({steady.cause})")
        good = steady.end == RunState.SUCCEEDED
        self.check(good, f"{label} ended {steady.end} ({steady.cause})")
        if steady.seconds:
            late = steady.seconds[0]
            self.check(late <= self.latest_seconds, f"{label} started {late:.2f} s late")

    def add_memory(self, kilobytes: int) -> None:
        """Adds the resident memory of the leader."""
        self.first_kilobytes = self.first_kilobytes or kilobytes
        self.most_kilobytes = max(self.most_kilobytes, kilobytes)

    def lines(self) -> Iterator[str]:
        """The report, in lines."""
        yield f"hostile pack on {self.database}, seed {self.seed}: {self.runs} runs in {self.seconds:.0f} s"
        for name, outcomes in sorted(self.outcomes.items()):
            ends = "; ".join(f"{n} x {outcome[:70]}" for outcome, n in outcomes.most_common())
            yield f"  {name:<40} {median(self.durations[name]):>5.1f} s  {ends}"
        starts = [each.seconds[0] for each in self.steady if each.seconds]
        ends_after = [each.seconds[-1] for each in self.steady if len(each.seconds) == 2]
        if starts and ends_after:
            yield (
                f"  ordinary jobs: {len(self.steady)} scheduled times, started {median(starts):.2f} s late (median), "
                f"{max(starts):.2f} s (maximum), ended after {median(ends_after):.1f} s, {max(ends_after):.1f} s"
            )
        yield f"  odd commands refused, odd responses: {self.commands}, {self.responses}"
        yield f"  leaderships: {len(self.leaders)}"
        first = self.first_kilobytes / 1024
        yield f"  memory of the leader: {first:.0f} MB at first, {self.most_megabytes:.0f} MB at most"
        yield f"  processes at most, left at the end: {self.processes}, {self.orphans}"
        yield (
            f"  logs of the leader and of its workers: {self.log_bytes / MEGABYTE:.1f} MB, "
            f"{self.workers_log_bytes / MEGABYTE:.1f} MB"
        )
        yield f"  violations: {len(self.violations)}"
        counted = Counter(self.violations)
        yield from (
            f"  ! {sentence}" + (f" ({n} times)" if n > 1 else "") for sentence, n in counted.most_common(SHOWN)
        )
