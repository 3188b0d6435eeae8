"""Executes runs from queued to their terminal state."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial

from opsconsole.authoring.batch import BatchResult
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Trigger
from opsconsole.core.clock import Clock
from opsconsole.core.errors import OpsconsoleError, Unavailable, UnknownRun
from opsconsole.core.failpoints import Point, reach
from opsconsole.leader.containment import Containment
from opsconsole.leader.live_run import LiveRun
from opsconsole.leader.open_runs import OpenRuns
from opsconsole.leader.planned_runs import PlannedRuns
from opsconsole.leader.recorder import Recorder, name
from opsconsole.leader.starts import Starts
from opsconsole.leader.turns import Turns
from opsconsole.store import Store, runs
from opsconsole.store.run_writes import RunWrites
from opsconsole.worker.executor import Executor
from opsconsole.worker.messages import Result, Work

PLAN_SECONDS = 0.05
"""How long a run's keys are read from the store between two results, so that planning delays nothing else."""
MOST_TOGETHER = 100
"""The most results that are recorded in one transaction."""
FLUSH_SECONDS = 0.25
TEND_SECONDS = 5.0


Taken = tuple[LiveRun, RunWrites]
"""A run and its collected changes."""


class TooFewWorkers(OpsconsoleError):
    """There are fewer worker processes than configured."""


class NoWorkers(Unavailable):
    """Nothing can be executed: no worker is attached, or the broker is unreachable."""

    @property
    def sentence(self) -> str:
        """The whole message, one line."""
        return self.reason


class UnreadableRun(OpsconsoleError):
    """A run whose record is damaged."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"its record cannot be read: {run.unreadable}")


class Runner:
    """Executes runs with its leader's fencing token.

    `may_start_work` returns whether the lease allows new work; `only_command` limits it to the runs of one command.
    Every method may raise Fenced, what `check_lease` raises when the lease is over, or SQLAlchemyError when the store
    is unreachable: then close the Runner, the store has the complete state. Any other exception ends the run that
    raised it as failed.
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
        planned: PlannedRuns,
        only_command: int | None = None,
        check_lease: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._catalog = store, catalog
        self._containment = containment
        self._token, self._now = token, now
        self._may_start_work, self._only_command = may_start_work, only_command
        self._check_lease = check_lease
        self._recorder = Recorder(store, catalog, containment, token=token, host=host, now=now)
        self._open, self._planned = OpenRuns(self._job), planned
        self._starts = Starts(self._recorder, self._job)
        self._live: dict[int, LiveRun] = {}
        self._turns = Turns(self._live, self._contained)
        self._draining = self._has_read = False
        self.needs_admission = self.has_news = False
        self._flushed = self._tended = 0.0
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
        """Raises NoWorkers when nothing can be executed, and TooFewWorkers when worker processes do not start."""
        problem, lacks = self._executor.problem, self._executor.lacks
        if problem is not None and lacks is not None:
            raise NoWorkers(lacks, problem)
        if problem is not None:
            raise TooFewWorkers(problem)

    # --- starting -----------------------------------------------------------------------------------------------

    def admit(self) -> None:
        """Starts the queued and interrupted runs that may start now, and reads which runs are to stop."""
        self.needs_admission = False
        with self._planned.reading(), self._store.reading() as db:
            unfinished = runs.unfinished_since(db, self._open.by_number)
        open_runs = [run for run in unfinished if self._is_mine(run)]
        for run in open_runs:
            if run.id in self._live:
                self._live[run.id].request_stop(run.stop, self._now())
                if run.stop is not None:
                    self._executor.withdraw(run.id)
        for run in open_runs:
            if run.unreadable and run.id not in self._live and not self._containment.has_set_aside(name(run.id)):
                with self._contained(run):
                    raise UnreadableRun(run)
        self._open.replace(run for run in open_runs if not run.unreadable)
        self._has_read = True
        now, queued = self._now(), []
        for run, outlasted in self._open.startable(now):
            if self._containment.has_set_aside(name(run.id)):
                continue
            live = self._starts.queued(run, outlasted, now)
            if live is not None:
                queued.append(live)
                continue
            with self._contained(run):
                refusal = self._starts.refusal(run)
                if refusal is not None:
                    self._end_now(run, *refusal)
                else:
                    self._add(self._starts.resumed(run, outlasted, now))
        self._write(queued, now)
        self._advance(list(self._live.values()), now)  # what the store has for them need not wait for a result

    @property
    def has_planned(self) -> bool:
        """Whether runs were planned that `start_planned` can consider: the first time, `admit` reads all open runs."""
        return self._has_read and self._planned.are_waiting

    def start_planned(self) -> None:
        """Starts runs that were just planned, without reading them. What they need besides that is left to `admit`."""
        now = self._now()
        try:
            self._open.add(self._planned.take())
            self._write(self._next_ones(now), now)
        except BaseException:
            self.needs_admission = True
            raise

    def _add(self, live: LiveRun) -> None:
        self._live[live.run.id] = live
        self._turns.add(live.run)
        self._open.start(live.run)

    # --- advancing ----------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Waits briefly for results, records them, and advances every live run; False when there is none."""
        if not self._live:
            self._tend_workers()
            return False
        self._turns.begin()
        results = self._collect()
        if results:
            self._check_lease()  # workers that ended with the lease are no fault of their run
        now = self._now()
        for result in results:
            live = self._live.get(result.run)
            if live is not None:
                with self._contained(live.run):
                    self._take(live, result, now)
        flush = time.monotonic() - self._flushed > FLUSH_SECONDS
        self._advance(list(self._live.values()), now, flush=flush)
        if flush:
            self._flushed = time.monotonic()
        return True

    def _collect(self) -> list[Result]:
        """The results that have arrived."""
        results: list[Result] = []
        while len(results) < MOST_TOGETHER and (result := next(self._results)) is not None:
            results.append(result)
        return results

    def _take(self, live: LiveRun, result: Result, now: datetime) -> None:
        if isinstance(result, BatchResult):
            reach(Point.RESULT_RECEIVED)
            live.record(result, now)
        else:
            live.record_planning(result, now)

    def _advance(self, lives: Iterable[LiveRun], now: datetime, *, flush: bool = False) -> None:
        """Plans the keys that the store has, writes the collected changes, and ends the runs that are over. The runs
        that take their slots are started in the same transaction.
        """
        together, over = [], []
        for live in lives:
            with self._contained(live.run):
                live.check_limits(time.monotonic())
                if live.planner.needs_store and not live.ending:
                    self._plan_from_store(live, now)
                if live.is_over and (live.ends_early or live.run.parent is not None):
                    self._has_ended(self._recorder.end_early(live, now))
                elif live.is_over:
                    over.append(self._recorder.end(live, now))
                    together.append(live)
                elif live.has_writes or (flush and live.has_unsaved_starts):
                    together.append(live)
        for run in over:
            self._open.end(run.id)
        started = self._next_ones(now) if over else []
        self._write([*together, *started], now, over)
        for live in list(self._live.values()):
            if live.needs_rows:
                with self._contained(live.run), self._store.reading() as db:
                    live.load(db, now)

    def _next_ones(self, now: datetime) -> list[LiveRun]:
        """The runs in memory that may start now, such as instead of those that have ended. Runs that need more than a
        start are left to `admit`.
        """
        if self._draining or not self._may_start_work():
            return []
        started = []
        for run, outlasted in self._open.startable(now):
            if not self._containment.has_set_aside(name(run.id)):
                live = self._starts.queued(run, outlasted, now)
                self.needs_admission |= live is None
                started += [live] if live is not None else []
        return started

    def _write(self, lives: Iterable[LiveRun], now: datetime, over: Sequence[Run] = ()) -> None:
        """Writes the collected changes of these runs, of the runs that are `over`, and of those that replace them."""
        taken = [(live, writes) for live in lives if (writes := live.take_writes(now)) is not None]
        if not taken:
            return
        if len(taken) == 1 or not self._recorder.write([writes for _, writes in taken]):
            taken = self._write_each(taken, is_place_free=not over)
        written = {live.run.id for live, _ in taken}
        for live, writes in taken:
            for _ in range(writes.planned):
                reach(Point.PAGE_PLANNED)
            if writes.start is not None:
                self._add(live)
        for run in over:
            if run.id in written:
                self._has_ended(run)

    def _write_each(self, taken: Iterable[Taken], *, is_place_free: bool) -> list[Taken]:
        """Writes each alone and returns those that were written. A run that cannot be written is ended, and nothing
        starts in its place until that has worked.
        """
        failed: set[int] = set()

        def fail(run: Run, cause: str) -> None:
            failed.add(run.id)
            self._fail(run, cause)

        for live, writes in taken:
            if writes.start is None or is_place_free:
                self._recorder.write_alone(writes, partial(fail, live.run))
            else:
                failed.add(live.run.id)
                self.needs_admission = True
        return [each for each in taken if each[0].run.id not in failed]

    def _has_ended(self, run: Run) -> None:
        reach(Point.RUN_ENDED)
        self._forget(run)
        self._recorder.report_end(run)

    def _forget(self, run: Run) -> None:
        """Frees the slot of a run that has ended. A backfill may have another window for it."""
        self._live.pop(run.id, None)
        self._turns.remove(run.id)
        self._open.end(run.id)
        self.needs_admission |= run.trigger is Trigger.BACKFILL
        self.has_news |= run.state is not RunState.SUCCEEDED

    def _plan_from_store(self, live: LiveRun, now: datetime) -> None:
        """Plans the keys that the store has, page by page and for a short time, so that no other write waits long."""
        end = time.monotonic() + PLAN_SECONDS
        try:
            while live.planner.needs_store and time.monotonic() < end:
                self._recorder.plan_from_store(live, now)
        except UnknownRun as error:
            live.stop(RunState.FAILED, error.sentence)

    def _tend_workers(self) -> None:
        """Replaces workers that have ended, now and then while nothing runs: this may wait for a moment."""
        now = time.monotonic()
        if now - self._tended > TEND_SECONDS:
            self._tended = now
            next(self._results)

    # --- the end ------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Ends the wait of a step: there may be a run to start. Any thread may call it."""
        self._executor.wake()

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

    def _contained(self, run: Run) -> AbstractContextManager[None]:
        return self._containment.around(name(run.id), lambda cause: self._fail(run, cause))

    def _fail(self, run: Run, cause: str) -> None:
        """Ends a run whose state in memory can no longer be used; its workers are ended."""
        live = self._live.pop(run.id, None)
        self._turns.remove(run.id)
        self._end_now(live.run if live else run, RunState.FAILED, f"the leader could not continue it: {cause}")

    def _end_now(self, run: Run, state: RunState, error: str) -> None:
        self.needs_admission = self.has_news = True
        self._recorder.end_now(run, state, error)
        self._open.end(run.id)

    # --- the executor's side ------------------------------------------------------------------------------------

    def _feed(self) -> Generator[Work | None, bool | None, None]:
        """The planning or a batch of each live run in turn, so that long runs do not delay short ones. Sent True, it
        yields only work of a run that has no batch in flight.
        """
        starving_only = bool((yield None))  # the first value is for the caller that primes it: then True can be sent
        while True:
            may_start = not self._draining and self._may_start_work()
            starving_only = bool((yield self._turns.next_work(starving_only) if may_start else None))

    def _is_stopped(self, work: Work) -> bool:
        live = self._live.get(work.run)
        return live is None or live.ending is not None

    def _is_mine(self, run: Run) -> bool:
        return self._only_command in (None, run.command) or run.state is RunState.RUNNING or run.stop is not None

    def _job(self, job: str) -> Job | None:
        return self._catalog.find(job) if job in self._catalog else None
