"""Changes of runs by the leader: collected for each run, and written for several runs in a few statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, or_, update

from opsconsole.authoring.batch import BatchResult, BatchState, Failure
from opsconsole.authoring.occurrence import ON_TIME, OccurrenceState
from opsconsole.authoring.run import LIVE, OPEN, Counts, RunState
from opsconsole.core.database import Connection
from opsconsole.store import batches, windows
from opsconsole.store.batches import Row
from opsconsole.store.many_rows import ManyRows, insert_all, parameter
from opsconsole.store.tables import batches as batch_table, failures, log, occurrences, runs
from opsconsole.store.windows import WindowEnd

# Built once: they are executed with every batch, and building one takes longer than SQLite takes to execute it.
_PROGRESS = ("planned", "ok", "failed", "skipped", "not_reached", "batches", "batches_done", "planning_done")
_PROGRESSED: dict[str, Any] = {
    name: parameter(name, runs.c[name]) for name in (*_PROGRESS, "kinds", "metrics", "log_lines", "recoveries")
}
_MINE = runs.c.id == parameter("run", runs.c.id)
_IS_OPEN, _IS_LIVE = (or_(*(runs.c.state == state for state in states)) for states in (OPEN, LIVE))
_ADVANCE = ManyRows(update(runs).where(_MINE).values(_PROGRESSED))
_START = ManyRows(
    update(runs)
    .where(_MINE, _IS_OPEN)
    .values(
        state=RunState.RUNNING,
        attempt=runs.c.attempt + 1,
        token=parameter("by", runs.c.token),
        host=parameter("on", runs.c.host),
        version=parameter("with", runs.c.version),
        started_at=func.coalesce(runs.c.started_at, parameter("at", runs.c.started_at)),
    )
)
_RECORD_START = ManyRows(
    update(occurrences)
    .where(occurrences.c.id == parameter("occurrence", occurrences.c.id), occurrences.c.state == OccurrenceState.DUE)
    .values(
        state=case(
            (occurrences.c.due_at < parameter("late", occurrences.c.due_at), OccurrenceState.LATE),
            else_=OccurrenceState.RAN,
        ),
        started_at=parameter("at", occurrences.c.started_at),
    )
)
_ENDED = {
    "state": parameter("ended_as", runs.c.state),
    "ended_at": parameter("at", runs.c.ended_at),
    "error": parameter("why", runs.c.error),
}
_END = ManyRows(
    update(runs).where(_MINE, runs.c.token == parameter("by", runs.c.token), _IS_LIVE).values(_ENDED | _PROGRESSED)
)
_STORE_FACTS = ManyRows(update(runs).where(_MINE).values(facts=parameter("prepared", runs.c.facts)))


@dataclass(frozen=True, slots=True)
class Start:
    """The start of the next attempt of a run. It was to start `shift` after its scheduled time, the `occurrence`."""

    token: int
    host: str
    version: str
    at: datetime
    occurrence: int | None = None
    shift: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class End:
    """The terminal state of a run, and that of its window if it has one."""

    token: int
    state: RunState
    at: datetime
    error: str | None
    window: WindowEnd | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run."""

    counts: Counts
    batches: int
    batches_done: int
    planning_done: bool
    kinds: Mapping[str, int]
    metrics: Mapping[str, float]
    log_lines: int
    recoveries: int


@dataclass(slots=True)
class RunWrites:
    """The collected changes of one run, for one transaction; they may be written again if that fails. `planned` counts
    the answers to its planning among them.
    """

    run: int
    start: Start | None = None
    facts: Mapping[str, Any] | None = None
    progress: Progress | None = None
    end: End | None = None
    planned: int = 0
    added: list[Row] = field(default_factory=list)
    started: list[tuple[int, datetime]] = field(default_factory=list)
    closed: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)

    def take(self) -> RunWrites:
        """Returns the collected changes, and starts a new collection."""
        taken = replace(self)
        self.start = self.facts = self.progress = self.end = None
        self.planned = 0
        self.added, self.started, self.closed, self.failures, self.log = [], [], [], [], []
        return taken

    def close(self, result: BatchResult, state: BatchState, cause: str | None, started_at: datetime) -> None:
        """Adds the result of a batch."""
        row = batches.closed_row(result, state, cause) | {"at": started_at}
        self.closed.append(row)

    def fail(self, seq: int, failed: Iterable[Failure]) -> None:
        """Adds failures of a batch, with their messages."""
        self.failures += [
            {"run_id": self.run, "seq": seq, "item": each.item, "kind": each.kind, "message": each.message}
            for each in failed
        ]

    def add_log(self, at: datetime, lines: Iterable[str]) -> None:
        """Adds lines to the run's log."""
        self.log += [{"run_id": self.run, "at": at, "line": line} for line in lines]


def write(db: Connection, together: Sequence[RunWrites]) -> None:
    """Writes the collected changes of these runs."""
    starts = [(each.run, each.start) for each in together if each.start is not None]
    _RECORD_START.execute(
        db,
        [
            {"occurrence": start.occurrence, "late": start.at - start.shift - ON_TIME, "at": start.at}
            for _, start in starts
            if start.occurrence is not None
        ],
    )
    _START.execute(
        db,
        [
            {"run": run, "by": start.token, "on": start.host, "with": start.version, "at": start.at}
            for run, start in starts
        ],
    )
    facts = [{"run": each.run, "prepared": dict(each.facts)} for each in together if each.facts is not None]
    _STORE_FACTS.execute(db, facts)
    insert_all(db, batch_table, [batches.added_row(each.run, row) for each in together for row in each.added])
    batches.START.execute(
        db, [{"run": each.run, "number": seq, "at": at} for each in together for seq, at in each.started]
    )
    batches.CLOSE.execute(db, [row for each in together for row in each.closed])
    insert_all(db, failures, [row for each in together for row in each.failures])
    insert_all(db, log, [row for each in together for row in each.log])
    _ADVANCE.execute(db, [_progress(each) for each in together if each.end is None and each.progress is not None])
    _END.execute(db, [_progress(each) | _ending(each.end) for each in together if each.end is not None])
    windows.record_ends(db, [each.end.window for each in together if each.end is not None and each.end.window])


def _progress(writes: RunWrites) -> dict[str, Any]:
    progress = writes.progress
    assert progress is not None  # noqa: S101 - an end comes with the progress until then
    counts = progress.counts
    return {
        "run": writes.run,
        "planned": counts.planned,
        "ok": counts.ok,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "not_reached": counts.not_reached,
        "batches": progress.batches,
        "batches_done": progress.batches_done,
        "planning_done": progress.planning_done,
        "kinds": progress.kinds,
        "metrics": progress.metrics,
        "log_lines": progress.log_lines,
        "recoveries": progress.recoveries,
    }


def _ending(end: End) -> dict[str, Any]:
    return {"by": end.token, "ended_as": end.state, "at": end.at, "why": end.error}
