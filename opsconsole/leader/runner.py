"""Executes runs from queued to their terminal state: the only writer of run state."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from opsconsole import __version__
from opsconsole.authoring import parameters
from opsconsole.authoring.batch import BatchResult, BatchState
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.parameters import BadParameter
from opsconsole.authoring.run import Run, RunState, Trigger
from opsconsole.core.clock import Clock
from opsconsole.core.errors import OpsconsoleError, UnknownRun
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.humanize import duration
from opsconsole.core.text import safe
from opsconsole.leader import backfills as backfilling, run_reports
from opsconsole.leader.containment import Containment
from opsconsole.leader.live_run import LiveRun
from opsconsole.rules.admission import admissions, predecessors
from opsconsole.store import Store, batches, runs
from opsconsole.worker.executor import Executor
from opsconsole.worker.messages import PlanningResult, Work

log = logging.getLogger(__name__)

PLAN_SECONDS = 0.05
"""How long a run's keys are read from the store between two results, so that planning delays nothing else."""
MAX_RECOVERIES = 3
"""A run that is interrupted more often, without a batch done in between, is abandoned."""
FLUSH_SECONDS = 0.25
TEND_SECONDS = 1.0
BACKFILL_SHARE = 4
"""How many batches of other runs come before one of a backfill."""


class TooFewWorkers(OpsconsoleError):
    """There are fewer worker processes than configured."""


class UnreadableRun(OpsconsoleError):
    """A run whose record is damaged."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"its record cannot be read: {run.unreadable}")


class Runner:
    """Executes runs with its leader's fencing token.

    `may_start_work` returns whether the lease allows new work; `only_command` limits it to the runs of one command.
    Every method may raise Fenced, what `check_lease` raises when the lease is over, or SQLAlchemyError when the store
    is unreachable: then close the Runner, the store has the complete state. Whatever else the work on a run raises ends
    that run as failed.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        executor: Executor,
        *,
        token: int,
        host: str,
        may_start_work: Callable[[], bool],
        now: Clock,
        containment: Containment,
        only_command: int | None = None,
        check_lease: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._catalog = store, catalog
        self._containment = containment
        self._token, self._host, self._now = token, host, now
        self._may_start_work, self._only_command = may_start_work, only_command
        self._check_lease = check_lease
        self._live: dict[int, LiveRun] = {}
        self._turns: list[int] = []
        self._draining = self._freed_slot = False
        self._flushed = self._tended = 0.0
        self._since_backfill = 0
        self._executor = executor
        feed = self._feed()
        next(feed)
        self._results = executor(feed, self._is_stopped)

    def open(self, *, leader_died: bool) -> None:
        """Starts the executor, and marks the runs of earlier leaders as interrupted. It counts as a recovery of the run
        if the process that executed it died.
        """
        with self._store.fenced(self._token) as db:
            runs.interrupt_others(db, self._token, recovered=leader_died)
        next(self._results)

    def check_workers(self) -> None:
        """Raises TooFewWorkers when worker processes do not start."""
        if self._executor.problem is not None:
            raise TooFewWorkers(self._executor.problem)

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
                self._live[run.id].request_stop(run.stop, self._now())
                if run.stop is not None:
                    self._executor.withdraw(run.id)
        for run in open_runs:
            if run.unreadable and run.id not in self._live and not self._containment.has_set_aside(_name(run)):
                with self._contained(run):
                    raise UnreadableRun(run)
        open_runs = [run for run in open_runs if not run.unreadable]
        for run, wait in admissions(open_runs, self._job, self._now()):
            if wait is None and not self._containment.has_set_aside(_name(run)):
                with self._contained(run):
                    self._start(run, open_runs)

    def step(self) -> bool:
        """Waits briefly for one result, and advances every live run; False when there is none."""
        if not self._live:
            self._tend_workers()
            return False
        result = next(self._results)
        if result is not None:
            self._check_lease()  # workers that ended with the lease are no fault of their run
        now = self._now()
        live = self._live.get(result.run) if result is not None else None
        if isinstance(result, PlanningResult) and live is not None:
            with self._contained(live.run):
                with self._store.fenced(self._token) as db:
                    live.record_planning(db, result, now)
                reach(Point.PAGE_PLANNED)
        elif isinstance(result, BatchResult) and live is not None:
            reach(Point.RESULT_RECEIVED)
            with self._contained(live.run):
                with self._store.fenced(self._token) as db:
                    live.record(db, result, now)
                    reach(Point.RESULT_WRITTEN)
                reach(Point.RESULT_RECORDED)
        flush = time.monotonic() - self._flushed > FLUSH_SECONDS
        for each in list(self._live.values()):
            with self._contained(each.run):
                self._advance(each, now, flush=flush)
        if flush:
            self._flushed = time.monotonic()
        return True

    def _tend_workers(self) -> None:
        """Replaces workers that have ended, now and then while nothing runs: this may wait for a moment."""
        now = time.monotonic()
        if now - self._tended > TEND_SECONDS:
            self._tended = now
            next(self._results)

    def drain(self, grace_seconds: float) -> None:
        """Waits for the batches in flight without starting others."""
        self._draining = True
        end = time.monotonic() + grace_seconds
        while any(live.has_in_flight for live in self._live.values()) and time.monotonic() < end:
            self.step()

    def close(self) -> None:
        """Ends the executor and forgets every run."""
        self._live.clear()
        self._results.close()
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
            self._end_now(run, RunState.FAILED, f"no loaded pack defines {run.job}")
            return
        if run.stop is not None:
            self._end_now(run, RunState.CANCELLED, run.stop.message)
            return
        try:
            parameters.checked(job, run.params)
        except BadParameter as error:  # the job has changed since
            self._end_now(run, RunState.FAILED, error.sentence)
            return
        outlasted = predecessors(run, job, open_runs)
        with self._store.fenced(self._token) as db:
            run = runs.start(db, run, token=self._token, host=self._host, version=__version__, at=self._now())
            live = LiveRun(
                run,
                job,
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

    def _contained(self, run: Run) -> AbstractContextManager[None]:
        return self._containment.around(_name(run), lambda cause: self._fail(run, cause))

    def _fail(self, run: Run, cause: str) -> None:
        """Ends a run whose state in memory can no longer be used; its workers are ended."""
        live = self._live.pop(run.id, None)
        if live is not None:
            self._turns.remove(run.id)
            self._freed_slot = True
        self._end_now(live.run if live else run, RunState.FAILED, f"the leader could not continue it: {cause}")

    def _end_now(self, run: Run, state: RunState, error: str) -> None:
        """Ends a run from what the store has; its remaining items are not reached."""
        error = safe(error)
        with self._store.fenced(self._token) as db:
            at = self._now()
            not_reached = batches.close_waiting(db, run.id, BatchState.NOT_REACHED, error)
            runs.end_now(db, run, token=self._token, state=state, at=at, error=error, not_reached=not_reached)
            ended = runs.get(db, run.id)
            with self._containment.around(f"the window of {_name(run)}", lambda _: None), db.begin_nested():
                backfilling.record_window(db, self._catalog, ended, at)
        _log_end(run, self._job(run.job), state)
        run_reports.report(ended)

    def _advance(self, live: LiveRun, now: datetime, *, flush: bool) -> None:
        live.check_limits(time.monotonic())
        if live.planner.needs_store and not live.ending:
            self._plan_from_store(live, now)
        if live.needs_rows and not live.ending:
            with self._store.reading() as db:
                live.load(db, now)
        if live.is_over:
            with self._store.fenced(self._token) as db:
                at = self._now()
                state = live.end(db, self._token, at)
                ended = runs.get(db, live.run.id)
                backfilling.record_window(db, self._catalog, ended, at)
                reach(Point.END_WRITTEN)
            reach(Point.RUN_ENDED)
            _log_end(live.run, live.job, state)
            run_reports.report(ended)
            self._freed_slot = True
            del self._live[live.run.id]
            self._turns.remove(live.run.id)
        elif flush and live.has_unsaved_starts:
            with self._store.fenced(self._token) as db:
                live.flush(db, now)

    def _plan_from_store(self, live: LiveRun, now: datetime) -> None:
        """Plans what the store has, for a short time: a page at a time, so that no other write waits long."""
        end = time.monotonic() + PLAN_SECONDS
        try:
            while live.planner.needs_store and time.monotonic() < end:
                with self._store.fenced(self._token) as db:
                    live.plan_from_store(db, now)
                reach(Point.PAGE_PLANNED)
        except UnknownRun as error:
            live.stop(RunState.FAILED, error.sentence)

    def _feed(self) -> Generator[Work | None, bool | None, None]:
        """The planning or a batch of each live run in turn, so that long runs do not delay short ones. Sent True, it
        yields only work of a run that has no batch in flight.
        """
        starving_only = bool((yield None))  # the first value is for the caller that primes it: then True can be sent
        while True:
            may_start = not self._draining and self._may_start_work()
            starving_only = bool((yield self._next_work(starving_only) if may_start else None))

    def _next_work(self, starving_only: bool) -> Work | None:
        backfills_first = self._since_backfill >= BACKFILL_SHARE
        backfilled = {number for number in self._turns if self._live[number].run.trigger is Trigger.BACKFILL}
        for number in sorted(self._turns, key=lambda number: (number in backfilled) is not backfills_first):
            live = self._live[number]
            work = None
            with self._contained(live.run):
                work = None if starving_only and live.has_in_flight else live.next_planning() or live.next_batch()
            if work is not None:
                self._turns.remove(number)
                self._turns.append(number)
                self._since_backfill = 0 if number in backfilled else self._since_backfill + bool(backfilled)
                return work
        return None

    def _is_stopped(self, work: Work) -> bool:
        live = self._live.get(work.run)
        return live is None or live.ending is not None


def _name(run: Run) -> str:
    return f"run {run.id}"


def _log_end(run: Run, job: Job | None, state: RunState) -> None:
    """Logs the end of a run with its tag, as text for people who search for it and as a field for programs."""
    tag = f"[{run.job}]" if job is None else job.log_tag
    fields = {"tag": tag, "job": run.job, "run": run.id}
    log.info("%s run %s of %s for %s: %s", tag, run.id, run.job, run.window.label, state, extra=fields)
