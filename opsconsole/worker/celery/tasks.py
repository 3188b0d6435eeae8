"""The tasks that a leader has sent, and when one of them is lost: decisions over values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from opsconsole.authoring.batch import Batch
from opsconsole.worker.celery.messages import Seen
from opsconsole.worker.messages import Work

UNCLAIMED_SECONDS = 5.0
"""A message that no worker has received this long after it was sent, although the queue is empty, is lost."""
UNANSWERED_SECONDS = 5.0
"""A result that does not arrive this long after its worker has finished is lost."""
LATE_SECONDS = 15.0
"""A worker ends a batch at its timeout. One that has not this long after it is stuck."""
MAX_SENT = 3
"""A batch whose worker is lost this often counts as the one that ended it."""


class Trouble(StrEnum):
    """Why a task is sent again."""

    MESSAGE_LOST = "message_lost"
    WORKER_LOST = "worker_lost"
    RESULT_LOST = "result_lost"
    OVERDUE = "overdue"


@dataclass
class Task:
    """Work that was sent, as the `sent`-th message for it. Times are of the steady clock: `progressed` is when it was
    sent, begun, or its last page came. `holder` is the worker that has begun it, `finished` when that worker had
    finished although no result had come; `stopped` is when it was to be ended.
    """

    id: str
    work: Work
    progressed: float
    sent: int = 1
    holder: str | None = None
    holder_host: str = ""
    finished: float | None = None
    stopped: float | None = None
    pages: int = 0

    @property
    def may_be_sent_again(self) -> bool:
        """Whether another worker may begin it from the start: the leader has no part of its answer yet."""
        return self.pages == 0 and (self.sent < MAX_SENT or not isinstance(self.work, Batch))

    def observe(self, seen: Seen, now: float) -> Trouble | None:
        """Notes what the broker shows of this task; returns why it has to be sent again, if it has."""
        holder = seen.holder_of(self.id)
        if holder is None and self.holder is None:
            is_lost = seen.waiting == 0 and now - self.progressed > UNCLAIMED_SECONDS
            return Trouble.MESSAGE_LOST if is_lost else None
        if self.holder is None:
            self.holder, self.progressed = holder, now
        worker = seen.workers.get(self.holder or "")
        if worker is None:
            return Trouble.WORKER_LOST
        self.holder_host = worker.host
        if self.id in worker.busy:
            self.finished = None
        else:
            self.finished = self.finished or now
            if now - self.finished > UNANSWERED_SECONDS:
                return Trouble.RESULT_LOST
        overdue = now - self.progressed > self.work.timeout_seconds + LATE_SECONDS
        return Trouble.OVERDUE if overdue else None
