"""Runs as a leader records them, a piece at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from opsconsole.authoring.batch import BatchResult, BatchState, Failure
from opsconsole.authoring.run import Counts, Run, RunState
from opsconsole.core.database import Connection
from opsconsole.rules.backfill import WindowState
from opsconsole.store import run_writes, runs, windows
from opsconsole.store.batches import Row
from opsconsole.store.run_writes import End, Progress, RunWrites, Start
from opsconsole.store.windows import WindowEnd


def start(db: Connection, run: Run, *, token: int, host: str, version: str, at: datetime) -> Run:
    """Starts a queued run, and returns it as it is then."""
    run_writes.write(db, [RunWrites(run.id, start=Start(token, host, version, at, run.occurrence))])
    return runs.get(db, run.id)


def add_batches(db: Connection, run: int, rows: Sequence[Row]) -> None:
    run_writes.write(db, [RunWrites(run, added=list(rows))])


def close_batch(db: Connection, result: BatchResult, state: BatchState, cause: str | None) -> None:
    writes = RunWrites(result.run)
    writes.close(result, state, cause, started_at=datetime.now().astimezone())
    run_writes.write(db, [writes])


def add_failures(db: Connection, run: int, seq: int, failed: Sequence[Failure]) -> None:
    writes = RunWrites(run)
    writes.fail(seq, failed)
    run_writes.write(db, [writes])


def end(
    db: Connection,
    run: int,
    *,
    token: int,
    state: RunState,
    at: datetime,
    counts: Counts | None = None,
    kinds: Mapping[str, int] | None = None,
    batches: int = 0,
    log_lines: int = 0,
    error: str | None = None,
) -> None:
    """Ends a run that has these totals."""
    progress = Progress(counts or Counts(), batches, batches, batches > 0, kinds or {}, {}, log_lines, recoveries=0)
    run_writes.write(db, [RunWrites(run, progress=progress, end=End(token, state, at, error))])


def end_window(db: Connection, run: Run, result: WindowState) -> None:
    """Writes the result of a run's window, which is complete."""
    end = WindowEnd(run.job, run.window, run.id, result, complete=True, items=run.counts.planned, seconds=1.0)
    windows.record_ends(db, [end])
