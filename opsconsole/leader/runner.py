"""Executes runs from queued to their terminal state: the only writer of run state."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from opsconsole import __version__
from opsconsole.authoring.batch import Batch, BatchState
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Selection, Trigger
from opsconsole.authoring.scope import Scope
from opsconsole.core.clock import Clock
from opsconsole.core.database import ErrorKind, error_kind, reason
from opsconsole.core.errors import OpsconsoleError, Unavailable
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.humanize import duration
from opsconsole.leader import backfills as backfilling
from opsconsole.leader.live_run import LiveRun
from opsconsole.leader.population_reader import Empty, Facts, Page
from opsconsole.rules.admission import admissions, predecessors
from opsconsole.store import Store, batches, runs
from opsconsole.worker.executor import Executor
from opsconsole.worker.work import BadPopulation, population, prepared, stale, texts

log = logging.getLogger(__name__)

PAGE_KEYS = 5000
"""How many keys are planned between two results, so that planning a large run delays nothing else."""
MAX_PLANNING = 3
"""How many populations are read at once: each holds a connection until its last page."""
PAGE_WAIT_SECONDS = 0.05
"""How long to wait for a page while no batch is in flight."""
MAX_RECOVERIES = 3
"""A run that is interrupted more often, without a batch done in between, is abandoned."""
FLUSH_SECONDS = 0.25
BACKFILL_SHARE = 4
"""How many batches of other runs come before one of a backfill."""


class Runner:
    """Executes runs with its leader's fencing token.

    `may_start_work` returns whether the lease allows new work; `only_command` limits it to the runs of one command.
    Every method may raise Fenced, or SQLAlchemyError when the store is unreachable: then close the Runner, the store
    has the complete state.
    """

    def __init__(
        self,
        store: Store,
        tools: Resources,
        catalog: Catalog,
        executor: Executor,
        *,
        token: int,
        host: str,
        may_start_work: Callable[[], bool],
        now: Clock,
        only_command: int | None = None,
    ) -> None:
        self._store, self._tools, self._catalog = store, tools, catalog
        self._token, self._host, self._now = token, host, now
        self._may_start_work, self._only_command = may_start_work, only_command
        self._live: dict[int, LiveRun] = {}
        self._turns: list[int] = []
        self._draining = self._freed_slot = False
        self._flushed = 0.0
        self._since_backfill = 0
        self._executor = executor
        self._results = executor(self._feed(), self._is_stopped)

    def open(self, *, conceded: int | None = None) -> None:
        """Starts the executor, and marks the runs of earlier leaders as interrupted. Those of the token `conceded`,
        which this process gave up when the store was unreachable, do not count as recovered.
        """
        with self._store.fenced(self._token) as db:
            runs.interrupt_others(db, self._token, conceded=conceded)
        next(self._results)

    @property
    def has_freed_slot(self) -> bool:
        """Whether a run has ended since the last `admit`."""
        return self._freed_slot

    def admit(self) -> None:
        """Starts the queued and interrupted runs that may start now, and reads which runs are to stop."""
        self._freed_slot = False
        with self._store.reading() as db:
            open_runs = [run for run in runs.unfinished(db) if self._is_mine(run)]
        for run in open_runs:
            if run.id in self._live:
                self._live[run.id].requested_stop = run.stop
        for run, wait in admissions(open_runs, self._job, self._now()):
            if wait is None:
                self._start(run, open_runs)

    def step(self) -> bool:
        """Waits briefly for one result, and advances every live run; False when there is none."""
        if not self._live:
            return False
        result = next(self._results)
        now = self._now()
        if result is not None and result.run in self._live:
            reach(Point.RESULT_RECEIVED)
            with self._store.fenced(self._token) as db:
                self._live[result.run].record(db, result, now)
                reach(Point.RESULT_WRITTEN)
            reach(Point.RESULT_RECORDED)
        flush = time.monotonic() - self._flushed > FLUSH_SECONDS
        for live in list(self._live.values()):
            self._advance(live, now, flush=flush)
        if flush:
            self._flushed = time.monotonic()
        return True

    def drain(self, grace_seconds: float) -> None:
        """Waits for the batches in flight without starting others."""
        self._draining = True
        end = time.monotonic() + grace_seconds
        while any(live.has_in_flight for live in self._live.values()) and time.monotonic() < end:
            self.step()

    def close(self) -> None:
        """Ends the executor and forgets every run."""
        for live in self._live.values():
            live.stop_planning()
        self._live.clear()
        self._executor.close()

    def interrupt(self) -> None:
        """Marks the open runs as interrupted, for the next leader."""
        with self._store.fenced(self._token) as db:
            runs.interrupt(db, self._token)
        reach(Point.RUNS_INTERRUPTED)

    def _is_mine(self, run: Run) -> bool:
        return self._only_command in (None, run.command) or run.state is RunState.RUNNING or run.stop is not None

    def _job(self, name: str) -> Job | None:
        return self._catalog.find(name) if name in self._catalog else None

    def _start(self, run: Run, open_runs: Sequence[Run]) -> None:
        job = self._job(run.job)
        if job is None:
            self._end_waiting(run, RunState.FAILED, f"no loaded pack defines {run.job}")
            return
        if run.stop is not None:
            self._end_waiting(run, RunState.CANCELLED, run.stop.message)
            return
        outlasted = predecessors(run, job, open_runs)
        with self._store.fenced(self._token) as db:
            run = runs.start(db, run, token=self._token, host=self._host, version=__version__, at=self._now())
            live = LiveRun(
                run,
                job,
                None if run.planning_done else lambda: self._pages(run, job),
                last_seq=batches.last_seq(db, run.id),
                waiting=batches.count_waiting(db, run.id),
                at=self._now(),
            )
            if outlasted:
                live.add_log(
                    db,
                    self._now(),
                    f"starting without {outlasted[0].job}, after waiting {duration(job.after_wait)} for it",
                )
        reach(Point.RUN_STARTED)
        if run.recoveries > MAX_RECOVERIES:
            live.stop(RunState.ABANDONED, f"interrupted more than {MAX_RECOVERIES} times without progress")
        self._live[run.id] = live
        self._turns.append(run.id)
        self._advance(live, self._now(), flush=False)  # its first batches need not wait for a result of another run

    def _end_waiting(self, run: Run, state: RunState, error: str) -> None:
        """Ends a queued or interrupted run; its remaining items are not reached."""
        with self._store.fenced(self._token) as db:
            not_reached = batches.close_waiting(db, run.id, BatchState.NOT_REACHED, error)
            runs.end_waiting(
                db, run, token=self._token, state=state, at=self._now(), error=error, not_reached=not_reached
            )
        log.info("%s %s: %s", run.job, run.window.label, state)

    def _advance(self, live: LiveRun, now: datetime, *, flush: bool) -> None:
        live.check_limits(time.monotonic(), now)
        if live.is_planning and not live.ending and self._may_plan(live):
            self._plan_page(live, now)
        if live.needs_rows and not live.ending:
            with self._store.reading() as db:
                live.load(db)
        if live.is_over:
            live.stop_planning()
            with self._store.fenced(self._token) as db:
                at = self._now()
                state = live.end(db, self._token, at)
                backfilling.record_window(db, self._catalog, runs.get(db, live.run.id), at)
                reach(Point.END_WRITTEN)
            reach(Point.RUN_ENDED)
            log.info("%s %s: %s", live.job.name, live.run.window.label, state)
            self._freed_slot = True
            del self._live[live.run.id]
            self._turns.remove(live.run.id)
        elif flush and live.has_unsaved_starts:
            with self._store.fenced(self._token) as db:
                live.flush(db, now)

    def _may_plan(self, live: LiveRun) -> bool:
        planning = [each for each in self._live.values() if each.is_planning and not each.ending]
        return live in planning[:MAX_PLANNING]

    def _plan_page(self, live: LiveRun, now: datetime) -> None:
        is_idle = not any(each.has_in_flight for each in self._live.values())
        try:
            page = live.next_page(PAGE_WAIT_SECONDS if is_idle else 0.0)
        except Empty:
            return
        except Unavailable as error:
            live.retry_planning(error.reason)
        except OpsconsoleError as error:
            live.stop(RunState.FAILED, error.sentence)
        else:
            with self._store.fenced(self._token) as db:
                live.add_page(db, page, now)
            reach(Point.PAGE_PLANNED)

    def _pages(self, run: Run, job: Job) -> Iterator[Page]:
        """The prepared facts, then the keys in pages of whole batches: the population, or its parent's undone keys.

        An interrupted run keeps its prepared facts, and plans only keys that are not planned yet.
        """
        if job.prepare is not None and not run.facts:
            yield Facts(prepared(job, self._scope(run, job), self._tools, run.id))
        planned: set[str] = set()
        with self._store.reading() as db:
            for page in batches.planned_keys(db, run.id):
                planned.update(page)
        size = max(1, PAGE_KEYS // job.batch) * job.batch
        rest: list[str] = []
        for page in self._keys(run, job):
            rest += [key for key in page if key not in planned] if planned else page
            whole = len(rest) // size * size
            for i in range(0, whole, size):
                yield rest[i : i + size]
            rest = rest[whole:]
        if rest:
            yield rest

    def _keys(self, run: Run, job: Job) -> Iterator[list[str]]:
        if run.parent is not None:
            with self._store.reading() as db:
                if runs.get(db, run.parent).planning_done:
                    read = batches.undone_keys if run.selection is Selection.FAILED else batches.planned_keys
                    yield from read(db, run.parent)
                    return
        scope = self._scope(run, job)
        items = stale(job, scope) if run.selection is Selection.STALE else population(job, scope)
        if isinstance(items, tuple):
            yield list(items)
            return
        try:
            with self._tools.data.reading() as db:
                rows = db.execution_options(stream_results=True, max_row_buffer=PAGE_KEYS).execute(items)
                for part in rows.partitions(PAGE_KEYS):
                    yield texts(job, [key for (key,) in part])
        except SQLAlchemyError as error:
            if error_kind(error) is ErrorKind.STATEMENT:
                raise BadPopulation(job.name, f"could not be read: {reason(error)}") from error
            raise Unavailable("data", reason(error)) from error

    def _scope(self, run: Run, job: Job) -> Scope:
        return Scope(run.window, run.as_of, {}, self._catalog.options(job))

    def _feed(self) -> Generator[Batch | None, bool | None, None]:
        """A batch of each live run in turn, so that long runs do not delay short ones. Sent True, it yields a batch
        only of a run that has none in flight.
        """
        starving_only = False
        while True:
            may_start = not self._draining and self._may_start_work()
            starving_only = bool((yield self._next_batch(starving_only) if may_start else None))

    def _next_batch(self, starving_only: bool) -> Batch | None:
        now = self._now()
        backfills_first = self._since_backfill >= BACKFILL_SHARE
        backfilled = {number for number in self._turns if self._live[number].run.trigger is Trigger.BACKFILL}
        for number in sorted(self._turns, key=lambda number: (number in backfilled) is not backfills_first):
            live = self._live[number]
            batch = None if starving_only and live.has_in_flight else live.next_batch(now)
            if batch is not None:
                self._turns.remove(number)
                self._turns.append(number)
                self._since_backfill = 0 if number in backfilled else self._since_backfill + bool(backfilled)
                return batch
        return None

    def _is_stopped(self, batch: Batch) -> bool:
        live = self._live.get(batch.run)
        return live is None or live.ending is not None
