"""Decides when a task that was sent to a worker is lost, and has to be sent again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from opsconsole.authoring.batch import Batch
from opsconsole.core import clock
from opsconsole.worker.celery.messages import BrokerState, WorkerRecord
from opsconsole.worker.messages import Work

UNCLAIMED_SECONDS = 5.0
"""A message that no worker has received this long after it was sent, although the queue is empty, is lost."""
UNANSWERED_SECONDS = 5.0
"""A result that does not arrive this long after its worker has finished is lost."""
LATE_SECONDS = 15.0
"""A worker ends a batch at its timeout. If it has not done so this long after, it is stuck."""
GONE_SECONDS = 1.0
"""A silent worker counts as lost this long after its leader's lease is over."""
MAX_SENT = 3
"""A batch whose worker is lost this often is taken for the cause."""


class Trouble(StrEnum):
    """Why a task is sent again."""

    MESSAGE_LOST = "message_lost"
    WORKER_LOST = "worker_lost"
    RESULT_LOST = "result_lost"
    OVERDUE = "overdue"


@dataclass
class Task:
    """Work that was sent `sent` times. Times are of the steady clock: `progressed` is when the task was sent, was
    begun, or returned its last page. `holder` is the worker that has begun it. `finished` is when that worker was
    first found to have finished, while its result had not arrived. `stopped` is when the task was requested to end.
    """

    id: str
    work: Work
    progressed: float
    sent: int = 1
    holder: str | None = None
    holder_host: str = ""
    holder_beat: int = 0
    finished: float | None = None
    stopped: float | None = None
    pages: int = 0

    @property
    def may_be_sent_again(self) -> bool:
        """Whether another worker may begin it from the start: the leader has no part of its answer yet."""
        return self.pages == 0 and (self.sent < MAX_SENT or not isinstance(self.work, Batch))

    def observe(self, state: BrokerState, now: float) -> Trouble | None:
        """Updates the task from the state of the broker; returns why it has to be sent again, or None."""
        holder = state.holder_of(self.id)
        if holder is None and self.holder is None:
            is_lost = state.waiting == 0 and now - self.progressed > UNCLAIMED_SECONDS
            return Trouble.MESSAGE_LOST if is_lost else None
        is_new = self.holder is None
        self.holder = self.holder or holder
        worker = state.workers.get(self.holder or "")
        if worker is None:
            return Trouble.WORKER_LOST
        self.holder_host = worker.host
        if is_new:
            self.progressed, self.holder_beat = now, worker.beat
        # Records written before the task was begun, or while it was, do not name it.
        if self.id in worker.busy or worker.beat <= self.holder_beat + 1:
            self.finished = None
        else:
            self.finished = self.finished or now
            if now - self.finished > UNANSWERED_SECONDS:
                return Trouble.RESULT_LOST
        overdue = now - self.progressed > self.work.timeout_seconds + LATE_SECONDS
        return Trouble.OVERDUE if overdue else None


class Roster:
    """The workers that are alive: those whose beat has grown within `seconds`, by the leader's clock. A worker without
    a record may still be alive, because the broker may have lost its data.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[str, tuple[WorkerRecord, float]] = {}

    def update(self, state: BrokerState, now: float) -> BrokerState:
        """The state with the workers that are alive. One without a record is alive if it has claimed a task."""
        for task, holder in state.claims.items():
            self._known.setdefault(holder, (WorkerRecord(holder, "", "", 0, clock.now(), 0, [task]), now))
        for each in state.workers.values():
            known = self._known.get(each.id)
            if known is None or known[0].beat != each.beat:
                self._known[each.id] = (each, now)
        self._known = {id_: known for id_, known in self._known.items() if now - known[1] <= self._seconds}
        return BrokerState({id_: each for id_, (each, _) in self._known.items()}, state.claims, state.waiting)
