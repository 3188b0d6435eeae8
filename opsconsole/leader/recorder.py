"""Writes the progress and the results of runs to the store with the fencing token, several runs in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState
from opsconsole.core.clock import Clock
from opsconsole.core.database import Connection
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.text import safe
from opsconsole.core.version import VERSION
from opsconsole.leader import backfills as backfilling, run_reports
from opsconsole.leader.containment import Containment, ends_leadership
from opsconsole.leader.live_run import LiveRun
from opsconsole.store import Store, batches, run_writes, runs, windows
from opsconsole.store.run_writes import RunWrites, Start
from opsconsole.store.windows import WindowEnd

log = logging.getLogger(__name__)


class Recorder:
    """The only writer of run state. Its methods raise Fenced, or SQLAlchemyError when the store is unreachable."""

    def __init__(
        self, store: Store, catalog: Catalog, containment: Containment, *, token: int, host: str, now: Clock
    ) -> None:
        self._store, self._catalog, self._containment = store, catalog, containment
        self._token, self._host, self._now = token, host, now

    def start_of(self, run: Run, at: datetime) -> Start:
        """The start of a run by this leader. A scheduled time is recorded with the first one."""
        occurrence = run.occurrence if run.state is RunState.QUEUED else None
        shift = self._catalog.find(run.job).shift
        return Start(self._token, self._host, VERSION, at, occurrence, shift)

    def write(self, writes: Sequence[RunWrites]) -> bool:
        """Writes the collected changes of several runs together. If that raises, returns False; `write_alone` then
        writes each run, so that the one that fails does not stop the others.
        """
        try:
            self._write(writes)
        except Exception as error:
            if ends_leadership(error):
                raise
            return False
        return True

    def write_alone(self, writes: RunWrites, fail: Callable[[str], None]) -> None:
        """Writes the collected changes of one run. If that raises, calls `fail` with the cause."""
        with self._containment.around(name(writes.run), fail):
            self._write([writes])

    def _write(self, writes: Sequence[RunWrites]) -> None:
        with self._store.fenced(self._token) as db:
            run_writes.write(db, writes)
            for each in writes:
                for _ in each.closed:
                    reach(Point.RESULT_WRITTEN)
                if each.end is not None:
                    reach(Point.END_WRITTEN)
        for each in writes:
            for _ in each.closed:
                reach(Point.RESULT_RECORDED)
            if each.start is not None:
                reach(Point.RUN_STARTED)

    def resume(self, run: Run, at: datetime) -> tuple[Run, int, int]:
        """Starts the next attempt of an interrupted run: returns the run, its last batch and how many are pending."""
        with self._store.fenced(self._token) as db:
            batches.reopen(db, run.id)
            run_writes.write(db, [RunWrites(run.id, start=self.start_of(run, at))])
            found = runs.get(db, run.id), batches.last_seq(db, run.id), batches.count_waiting(db, run.id)
        reach(Point.RUN_STARTED)
        return found

    def plan_from_store(self, live: LiveRun, at: datetime) -> None:
        """Plans a page of keys that the store has. Raises UnknownRun."""
        with self._store.fenced(self._token) as db:
            self._write_of(db, live, at)
            live.plan_from_store(db, at)
            self._write_of(db, live, at)
        reach(Point.PAGE_PLANNED)

    def end_early(self, live: LiveRun, at: datetime) -> Run:
        """Ends a run before all of its batches are done, or one that retried another."""
        with self._store.fenced(self._token) as db:
            self._write_of(db, live, at)
            live.close_the_rest(db, at)
            parent = runs.get(db, live.run.parent) if live.run.parent is not None else None
            ended = live.end(self._token, at, lambda run: self.window_end(run, at, parent))
            self._write_of(db, live, at)
            reach(Point.END_WRITTEN)
        return ended

    def end(self, live: LiveRun, at: datetime) -> Run:
        """Ends a run whose batches are done. Its end is to be written with the rest."""
        return live.end(self._token, at, lambda run: self.window_end(run, at, None))

    def end_now(self, run: Run, state: RunState, error: str) -> None:
        """Ends a run from what the store has; its remaining items are not reached."""
        error = safe(error)
        with self._store.fenced(self._token) as db:
            at = self._now()
            not_reached = batches.close_waiting(db, run.id, BatchState.NOT_REACHED, error)
            runs.end_now(db, run, token=self._token, state=state, at=at, error=error, not_reached=not_reached)
            ended = runs.get(db, run.id)
            with self._containment.around(f"the window of {name(run.id)}", lambda _: None), db.begin_nested():
                parent = runs.get(db, ended.parent) if ended.parent is not None else None
                window = self.window_end(ended, at, parent)
                windows.record_ends(db, [] if window is None else [window])
        self.report_end(ended)

    def window_end(self, run: Run, at: datetime, parent: Run | None) -> WindowEnd | None:
        """The state in which an ended run leaves its window."""
        return backfilling.window_end(self._catalog, run, parent, at)

    def report_end(self, run: Run) -> None:
        """Logs the end of a run with its tag, as text to search for and as a JSON field."""
        job: Job | None = self._catalog.find(run.job) if run.job in self._catalog else None
        tag = f"[{run.job}]" if job is None else job.log_tag
        fields = {"tag": tag, "job": run.job, "run": run.id}
        log.info("%s run %s of %s for %s: %s", tag, run.id, run.job, run.window.label, run.state, extra=fields)
        run_reports.report(run)

    def _write_of(self, db: Connection, live: LiveRun, at: datetime) -> None:
        writes = live.take_writes(at)
        if writes is not None:
            run_writes.write(db, [writes])


def name(run: int) -> str:
    """The name of a run among the problems of a leader."""
    return f"run {run}"
