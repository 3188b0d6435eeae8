"""Executes batches and plannings in `opsconsole worker` processes, on any number of machines.

The broker may lose everything, and a worker may vanish at any time: the leader knows what it has sent, and sends it
again. The first result of a task counts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from queue import Empty

from opsconsole.authoring.batch import Batch, BatchResult, Lost
from opsconsole.core import clock
from opsconsole.core.clock import Clock
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.humanize import words
from opsconsole.rules.system_health import WorkerLoss
from opsconsole.worker.celery.app import celery_app
from opsconsole.worker.celery.broker import BROKER
from opsconsole.worker.celery.link import Link
from opsconsole.worker.celery.messages import Answer, BrokerState, LeaderRecord, WorkerRecord
from opsconsole.worker.celery.tasks import GONE_SECONDS, Roster, Task, Trouble
from opsconsole.worker.executor import AttachedWorker, Feed, Results, Stopped
from opsconsole.worker.handle import lost
from opsconsole.worker.lease_deadline import LeaseDeadline
from opsconsole.worker.messages import PlanningResult, Result, Work
from opsconsole.worker.processes import MAX_LOSSES

log = logging.getLogger(__name__)

TICK_SECONDS = 0.05
OPEN_SECONDS = 2.0
"""How long to wait until the broker has been read for the first time."""
RESTART_SECONDS = 3.0
"""A broker that answers again within this time has been restarted, and nobody notices..."""
OUTAGE_SECONDS = 60.0
"""... and what workers have is waited for as long as this. A run waits for the broker itself, as for other services."""
HANDOVER_SECONDS = 1.5
"""How long workers may take to notice a new leader."""
STOP_SECONDS = 15.0
"""How long a worker may take to end a task."""

WORKERS = "workers"
"""The name of this dependency."""
NO_WORKER = "no worker is attached; start `opsconsole worker`"


class CeleryExecutor:
    """The executor for several machines. `leading` is what workers compare with their own installation; they end what
    they do for this leader when its `lease` is over. `tag_of` gives the log tag of a job.
    """

    def __init__(
        self,
        broker_url: str,
        leading: LeaderRecord,
        *,
        longest_batch_seconds: float,
        lease: LeaseDeadline,
        lease_seconds: float,
        tag_of: Callable[[str], str] = "[{}]".format,
        now: Clock = clock.now,
    ) -> None:
        self._leading, self._tag_of, self._now = leading, tag_of, now
        self._tasks: dict[str, Task] = {}
        self._ids = 0
        self._link = Link(
            broker_url,
            celery_app(broker_url, longest_batch_seconds=longest_batch_seconds),
            leading,
            lease,
            is_busy=lambda: bool(self._tasks) or self._room() == 0,
        )
        self._roster = Roster(lease_seconds + GONE_SECONDS)
        self._state: BrokerState | None = None
        self._is_closed = False
        self.losses: tuple[WorkerLoss, ...] = ()
        self.dropped = 0
        """The number of results that came too late, or were for an earlier leader."""

    @property
    def attached(self) -> Sequence[AttachedWorker]:
        """The workers that are attached."""
        return [
            AttachedWorker(each.id, each.who, each.host, each.pid, each.since, len(each.busy), each.slots)
            for each in self._workers
        ]

    @property
    def lacks(self) -> str | None:
        """`broker` or `workers` if nothing can be executed without them now."""
        if self._link.unreachable is not None:
            return BROKER
        return WORKERS if self._state is not None and not self._workers else None

    @property
    def _workers(self) -> Sequence[WorkerRecord]:
        return () if self._state is None else tuple(self._state.workers.values())

    @property
    def problem(self) -> str | None:
        """Why nothing can be executed now; None while something can."""
        if self._link.unreachable is not None:
            return f"the broker is unreachable: {self._link.unreachable[0]}"
        return NO_WORKER if self.lacks == WORKERS else None

    def __call__(self, feed: Feed, stopped: Stopped) -> Results:
        """Yields the arrived results and then None, at least every 50 ms. The first comes after reading which
        workers are attached.

        A batch whose worker was lost several times has all its keys in `again`, and `lost` set; a planning has `lost`
        set. While the broker is unreachable for long, work is `broken`.
        """
        self._link.start()
        try:
            self._wait_until_open()
            while True:
                self._hand_out(feed)
                results = self._collect()
                results += self._enforce(stopped)
                self._hand_out(feed)
                results += self._give_up(feed)
                yield from results
                yield None
        finally:
            self.close()

    def withdraw(self, run: int) -> None:
        """Withdraws the work of a run that no worker has begun: its results are lost as STOPPED."""
        for task in self._tasks.values():
            if task.work.run == run and task.holder is None:
                self._link.withdraw(task.id, end=False)

    def wake(self) -> None:
        """Ends a wait for results."""
        self._link.events.put(None)

    def close(self) -> None:
        """Requests that workers end their tasks for this leader."""
        if not self._is_closed:
            self._is_closed = True
            self._link.close(list(self._tasks))

    def _wait_until_open(self) -> None:
        end = time.monotonic() + OPEN_SECONDS
        while self._state is None and self._link.unreachable is None and time.monotonic() < end:
            self._collect()

    # --- sending ----------------------------------------------------------------------------------------------------

    def _hand_out(self, feed: Feed) -> None:
        while len(self._tasks) < self._room() and (work := next(feed)) is not None:
            self._send(Task(self._new_id(work), work, time.monotonic()))
            reach(Point.BATCH_SENT)

    def _room(self) -> int:
        """How many tasks the workers execute at once; none while they may still end those of another leader."""
        if self._state is None or self._link.unreachable is not None or self._link.is_following(HANDOVER_SECONDS):
            return 0
        prefix = f"{self._leading.token}."
        if any(not task.startswith(prefix) for worker in self._workers for task in worker.busy):
            return 0
        return sum(worker.slots for worker in self._workers)

    def _new_id(self, work: Work) -> str:
        self._ids += 1
        return f"{self._leading.token}.{self._ids}.{work.run}"

    def _send(self, task: Task) -> None:
        self._tasks[task.id] = task
        self._link.send(task.id, task.work)

    # --- receiving --------------------------------------------------------------------------------------------------

    def _collect(self) -> list[Result]:
        results: list[Result] = []
        wait = TICK_SECONDS
        while True:
            try:
                event = self._link.events.get(timeout=wait)
            except Empty:
                return results
            wait = 0.0
            match event:
                case Answer():
                    results += self._take(event)
                case BrokerState():
                    self._state = self._roster.update(event, time.monotonic())
                    results += self._find_lost_tasks(self._state)
                case str():
                    results += self._take_back(event)
                case None:
                    pass  # it only ends the wait

    def _take_back(self, task_id: str) -> list[Result]:
        task = self._tasks.get(task_id)
        if task is None:
            return []
        return self._end(task, lost(task.work, Lost.STOPPED, "it was withdrawn", "no worker had begun it"))

    def _take(self, answer: Answer) -> list[Result]:
        """The result in an answer, if it is the first one to a task of this leader."""
        task, result = self._tasks.get(answer.task), answer.result
        if task is None or answer.token != self._leading.token:
            self.dropped += 1
            why = "another leader" if answer.token != self._leading.token else "a task that has ended"
            log.info("dropped a result of run %s: it was for %s (%s so far)", result.run, why, self.dropped)
            return []
        work = task.work
        if isinstance(work, Batch) != isinstance(result, BatchResult):
            return self._end(task, lost(work, Lost.BAD_RESULT, "its worker sent something else", task.holder_host))
        if result.lost is Lost.STOPPED and task.stopped is None:  # its worker ends
            return self._send_again(task, "its worker was stopped", counts=False)
        if result.lost is not None and result.lost is not Lost.STOPPED:
            self._record_loss(result.lost)
        if isinstance(result, PlanningResult) and result.lost is None:
            if answer.page != task.pages:
                return self._end(task, lost(work, Lost.WORKER_DIED, "the broker has lost a part of it", ""))
            task.pages, task.progressed = task.pages + 1, time.monotonic()
            return self._end(task, result) if result.is_last else [result]
        return self._end(task, result)

    def _end(self, task: Task, result: Result) -> list[Result]:
        del self._tasks[task.id]
        self._link.forget(task.id)
        return [result]

    # --- losses -----------------------------------------------------------------------------------------------------

    def _find_lost_tasks(self, state: BrokerState) -> list[Result]:
        now = time.monotonic()
        results: list[Result] = []
        for task in list(self._tasks.values()):
            trouble = task.observe(state, now)
            if trouble is None:
                continue
            if task.stopped is not None:
                results += self._end(task, lost(task.work, Lost.STOPPED, "it was stopped", words(trouble)))
                continue
            if trouble in (Trouble.WORKER_LOST, Trouble.OVERDUE):
                self._record_loss(Lost.WORKER_DIED)
            results += self._send_again(task, words(trouble), counts=trouble is not Trouble.MESSAGE_LOST)
        return results

    def _send_again(self, task: Task, why: str, *, counts: bool) -> list[Result]:
        """Sends the work of a task as a new task. The old one is closed: its message and its result are dropped."""
        where = f" on {task.holder_host}" if task.holder_host else ""
        tag = self._tag_of(task.work.job)
        fields = {"tag": tag, "job": task.work.job, "run": task.work.run}
        if not task.may_be_sent_again:
            log.warning("%s run %s: %s%s", tag, task.work.run, why, where, extra=fields)
            return self._end(task, lost(task.work, Lost.WORKER_DIED, f"{why}{where}", f"a worker{where}"))
        log.warning("%s run %s: %s%s; it is sent again", tag, task.work.run, why, where, extra=fields)
        del self._tasks[task.id]
        self._link.forget(task.id)
        self._send(Task(self._new_id(task.work), task.work, time.monotonic(), sent=task.sent + counts))
        return []

    def _enforce(self, stopped: Stopped) -> list[Result]:
        """Requests that workers end the work of runs that have ended."""
        now = time.monotonic()
        results: list[Result] = []
        for task in list(self._tasks.values()):
            if not stopped(task.work):
                continue
            if task.stopped is None:
                task.stopped = now
                self._link.withdraw(task.id, end=True)
            elif now - task.stopped > STOP_SECONDS:
                results += self._end(task, lost(task.work, Lost.STOPPED, "it was stopped", "its worker did not answer"))
        return results

    def _give_up(self, feed: Feed) -> list[Result]:
        """Breaks work that cannot be sent, and work in flight when the broker stays unreachable."""
        outage = self._link.unreachable
        if outage is None or (seconds := time.monotonic() - outage[1]) < RESTART_SECONDS:
            return []
        results: list[Result] = []
        if seconds > OUTAGE_SECONDS:
            results += [self._end(task, _broken(task.work, outage[0]))[0] for task in list(self._tasks.values())]
        work = next(feed)
        return results if work is None else [*results, _broken(work, outage[0])]

    def _record_loss(self, why: Lost) -> None:
        self.losses = (*self.losses[1 - MAX_LOSSES :], WorkerLoss(self._now(), why))


def _broken(work: Work, reason: str) -> Result:
    if isinstance(work, Batch):
        return BatchResult(work.run, work.seq, work.attempt, again=work.keys, broken=BROKER, reason=reason)
    return PlanningResult(work.run, broken=BROKER, reason=f"the broker is unreachable: {reason}")
