"""Executes batches and plannings in worker processes: neither the console nor the scheduler waits for job code, and
work that hangs is ended with its process."""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from opsconsole.authoring.batch import Lost
from opsconsole.core import clock
from opsconsole.core.clock import Clock
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.supervision import log_failure
from opsconsole.rules.system_health import WorkerLoss
from opsconsole.worker.descendants import end_abandoned
from opsconsole.worker.executor import AttachedWorker, Feed, Results, Stopped
from opsconsole.worker.handle import CHUNK_BYTES, NotAnAnswer, Worker, lost
from opsconsole.worker.lease_deadline import LeaseDeadline
from opsconsole.worker.messages import Counted, Counting, PlanningResult, Result, Work
from opsconsole.worker.output import limit_output

log = logging.getLogger(__name__)

TICK_SECONDS = 0.05
GATHER_SECONDS, NEXT_SECONDS = 0.05, 0.025
"""How long results of small batches are gathered, and how soon the next one has to follow."""
MOST_PAGES = 4
"""How many pages of keys are gathered, so that memory does not grow with a population."""
OPEN_SECONDS = 15.0
"""How long to wait for the first workers."""
MAX_FAILED_STARTS = 3
RESTART_SECONDS, MAX_RESTART_SECONDS = 0.5, 60.0
"""The wait before a worker is started again after it could not start; it doubles with each failure."""
BUSY_SECONDS = 1.0
"""When every worker has had its work for this long, a run without a batch in flight gets an extra worker..."""
MAX_EXTRA_WORKERS = 4
"""... up to this number, so that jobs that hang do not keep others from starting."""

ALONE_SECONDS = 0.2
"""How long the worker that was started ahead works alone: many runs of one command end sooner than another starts."""

MAX_LOSSES = 1000
"""Lost workers that are remembered."""
OUTPUT_CHECK_SECONDS = 1.0


class WorkersCannotStart(OpsconsoleError):
    """Worker processes end before they are ready."""


class Processes:
    """The default executor: `count` worker processes, replaced when they end.

    `wiring` is the value of `Settings.for_workers`; `errors` is a file for the output of the workers. They end
    themselves when the `lease` is over. `tag_of` gives the log tag of a job. With a worker that was started `ahead`,
    the others start once that is not enough.
    """

    lacks: str | None = None
    attached: tuple[AttachedWorker, ...] = ()

    def __init__(
        self,
        wiring: dict[str, Any],
        count: int,
        *,
        errors: Path,
        lease: LeaseDeadline | None = None,
        tag_of: Callable[[str], str] = "[{}]".format,
        now: Clock = clock.now,
        ahead: Worker | None = None,
    ) -> None:
        self._wiring, self._count, self._errors, self._lease, self._now = wiring, count, errors, lease, now
        self._tag_of = tag_of
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self._woken, self._waking = socket.socketpair()
        for end in (self._woken, self._waking):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._works_alone = ahead is not None
        self._first_work: float | None = None
        if ahead is not None:
            self._add(ahead)
        # Ending everything that a worker has started can take seconds on a busy machine; the leader does not wait.
        self._closer = ThreadPoolExecutor(1, thread_name_prefix="closing workers")
        self._closing: deque[tuple[Future[None], list[Result]]] = deque()
        self._failed_starts = 0
        self._start_not_before = self._output_checked = 0.0
        self.problem: str | None = None
        self.losses: tuple[WorkerLoss, ...] = ()

    def __call__(self, feed: Feed, stopped: Stopped) -> Results:
        """Yields the arrived results and then None, at least every 50 ms; the first when the workers are ready.

        A batch whose worker ended has all its keys in `again`, and `lost` set; a planning has `lost` set. Raises
        WorkersCannotStart when no worker is ready and several in a row could not start.
        """
        try:
            end_abandoned()
            self._wait_until_ready()
            while True:
                self._start_missing()
                self._hand_out(feed)
                results = self._gather(feed)
                results += self._enforce(stopped)
                results += self._adjust_extra_workers(feed)
                yield from results
                yield None
        finally:
            self.close()

    def withdraw(self, run: int, /) -> None:
        """Does nothing: work starts at once."""

    def wake(self) -> None:
        """Ends a wait for results."""
        with suppress(OSError):  # it is closed, or will wake up anyway
            self._waking.send(b"!")

    def close(self) -> None:
        """Ends every worker now."""
        for worker in self._workers:
            worker.kill()
        for worker in list(self._workers):
            self._forget(worker)
        self._closer.shutdown()
        for end in (self._woken, self._waking):
            end.close()

    def _wait_until_ready(self) -> None:
        """Waits until all workers can take work, so that no run's timeout starts earlier."""
        end = time.monotonic() + OPEN_SECONDS
        while time.monotonic() < end:
            self._start_missing()
            self._collect(TICK_SECONDS)
            self._enforce(lambda _work: False)
            if len(self._workers) >= self._wanted and all(worker.ready for worker in self._workers):
                return

    def _start_missing(self) -> None:
        self._end_solo_if_due()
        while len(self._workers) < self._wanted and time.monotonic() >= self._start_not_before:
            try:
                self._start()
            except OSError as error:
                self._record_failed_start(str(error))

    def _start(self) -> Worker:
        return self._add(Worker(self._wiring, self._errors, lease=self._lease))

    @property
    def _wanted(self) -> int:
        """How many workers there should be now."""
        return 1 if self._works_alone else self._count

    def _end_solo_if_due(self) -> None:
        """Lets the other workers start once the one that was started ahead has worked for a while."""
        if self._works_alone and self._first_work is not None:
            self._works_alone = time.monotonic() - self._first_work < ALONE_SECONDS

    def _add(self, worker: Worker) -> Worker:
        self._workers.append(worker)
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)
        self._watch_input(worker)
        return worker

    def _watch_input(self, worker: Worker) -> None:
        """Has the selector report when a worker's pipe has room again, as long as something waits for it."""
        watched = worker.input in self._selector.get_map()
        if worker.has_unsent and not watched:
            self._selector.register(worker.input, selectors.EVENT_WRITE, worker)
        elif watched and not worker.has_unsent:
            self._selector.unregister(worker.input)

    def _adjust_extra_workers(self, feed: Feed) -> list[Result]:
        """Starts an extra worker for a run that would wait for jobs that hang, and ends those that are idle. Returns
        the work that it was to get, if it cannot be started.
        """
        limit = time.monotonic() - BUSY_SECONDS
        room = self._count + MAX_EXTRA_WORKERS - len(self._workers)
        unstarted: list[Result] = []
        if room > 0 and all(worker.ready and worker.work and worker.work_started < limit for worker in self._workers):
            work = feed.send(True)
            if work is not None:
                unstarted = self._start_for(work)
        for worker in [worker for worker in self._workers if worker.idle][: max(0, -room + MAX_EXTRA_WORKERS)]:
            self._forget(worker)
        return unstarted

    def _start_for(self, work: Work) -> list[Result]:
        try:
            worker = self._start()
        except OSError as error:
            return [lost(work, Lost.WORKER_DIED, f"its worker could not be started: {error}", "no worker process")]
        worker.take(work)
        self._watch_input(worker)
        reach(Point.BATCH_SENT)
        return []

    def _gather(self, feed: Feed) -> list[Result]:
        """Waits for a result, and gathers those of small batches that follow at once: they are recorded together."""
        results = self._collect(TICK_SECONDS)
        end = time.monotonic() + GATHER_SECONDS
        # Idle workers get their next work before the results are recorded; pages of keys only wait while none is idle.
        while (
            results
            and (self._hand_out(feed) or may_gather(results, all_busy=self._all_busy))
            and time.monotonic() < end
        ):
            more = self._collect(NEXT_SECONDS)
            if not more:
                break
            results += more
        return results

    @property
    def _all_busy(self) -> bool:
        return not any(worker.idle for worker in self._workers)

    def _hand_out(self, feed: Feed) -> bool:
        """Gives idle workers their next work; whether one got some."""
        is_busier = False
        for worker in self._workers:
            if worker.idle and worker.process.poll() is None:
                work = next(feed)
                if work is None:
                    break
                worker.take(work)
                self._first_work = self._first_work or time.monotonic()
                self._watch_input(worker)
                reach(Point.BATCH_SENT)
                is_busier = True
        return is_busier

    def _collect(self, seconds: float) -> list[Result]:
        results: list[Result] = []
        for key, _ in self._selector.select(seconds):
            worker: Worker | None = key.data
            if worker is None:
                self._woken.recv(CHUNK_BYTES)
            elif key.fd == worker.input:
                worker.flush()
                self._watch_input(worker)
            else:
                results += self._read(worker)
        return results

    def _read(self, worker: Worker) -> list[Result]:
        """The answers that a worker has sent; what is no answer ends it."""
        was_ready = worker.ready
        try:
            answers = worker.read()
        except NotAnAnswer as error:
            answers = None
            worker.end(Lost.WORKER_DIED, str(error))
        if answers is None:
            self._selector.unregister(worker.answers)
            return []
        if worker.ready and not was_ready:
            self._failed_starts, self.problem = 0, None
        results = [answer for answer in answers if not isinstance(answer, Counted)]
        for result in results:
            if result.lost is not None:  # the worker lives, but not the process that it had started for this
                self._record_loss(result.lost)
        return results

    def _enforce(self, stopped: Stopped) -> list[Result]:
        """Ends workers that are over a limit or whose run has ended; returns the lost work of those that are gone."""
        now = time.monotonic()
        results: list[Result] = []
        for worker in list(self._workers):
            if worker.process.poll() is not None:
                self._bury(worker)
            elif worker.terminated_at is not None or (isinstance(worker.work, Work) and stopped(worker.work)):
                worker.end(Lost.STOPPED, "it was stopped")
            elif (late := worker.is_late(now)) is not None:
                worker.end(*late)
        if now - self._output_checked > OUTPUT_CHECK_SECONDS:
            self._output_checked = now
            limit_output(self._errors)
        while self._closing and self._closing[0][0].done():
            results += self._closing.popleft()[1]
        return results

    def _bury(self, worker: Worker) -> None:
        """Removes a process that has ended. Its last answers, and its work if that has none, are results once nothing
        that it has started runs any more: no batch is tried again beside its first try.
        """
        results: list[Result] = []
        while worker.answers in self._selector.get_map():
            answers = self._read(worker)
            if not answers:
                break
            results += answers
        results += worker.lost()
        work = worker.work
        self._forget(worker, results)
        why, message = worker.end_reason or (Lost.WORKER_DIED, f"its worker {worker.how_it_ended}")
        if why is not Lost.STOPPED:
            tag, fields = self._about(work)
            log.warning(
                "%sworker process %s %s (%s)", tag, worker.process.pid, worker.how_it_ended, message, extra=fields
            )
            if worker.ready:
                self._record_loss(why)
            else:
                self._record_failed_start(worker.problem or message)

    def _record_loss(self, why: Lost) -> None:
        self.losses = (*self.losses[1 - MAX_LOSSES :], WorkerLoss(self._now(), why))

    def _about(self, work: Work | Counting | None) -> tuple[str, dict[str, object]]:
        """The start of a log line about a worker, and the fields of the job and run that it worked for."""
        if work is None or isinstance(work, Counting):
            return "", {}
        tag = self._tag_of(work.job)
        return f"{tag} ", {"tag": tag, "job": work.job, "run": work.run}

    def _record_failed_start(self, why: str) -> None:
        self._failed_starts += 1
        wait = min(MAX_RESTART_SECONDS, RESTART_SECONDS * 2.0 ** min(self._failed_starts - 1, 10))
        self._start_not_before = time.monotonic() + wait
        self.problem = f"no worker process can start: {why}; see {self._errors}"
        log.warning("%s", self.problem)
        if self._failed_starts >= MAX_FAILED_STARTS and not any(each.ready for each in self._workers):
            raise WorkersCannotStart(self.problem)

    def _forget(self, worker: Worker, results: Sequence[Result] = ()) -> None:
        for descriptor in (worker.answers, worker.input):
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)
        self._workers.remove(worker)
        self._closing.append((self._closer.submit(_close, worker), list(results)))


def may_gather(results: Sequence[Result], *, all_busy: bool) -> bool:
    """Whether results with pages of keys may wait for more of them, although no worker could be given work."""
    pages = sum(isinstance(result, PlanningResult) for result in results)
    return all_busy and 0 < pages < MOST_PAGES


def _close(worker: Worker) -> None:
    try:
        worker.close()
    except Exception as error:  # noqa: BLE001 - the top of a thread
        log_failure(f"ending worker process {worker.process.pid}", error)
