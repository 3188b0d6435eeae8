"""What the leader and its attached workers share through the broker, as JSON."""

from __future__ import annotations

from datetime import datetime

import msgspec

from opsconsole.worker.messages import Result


class Leading(msgspec.Struct, frozen=True):
    """Who leads, and what workers must have in common with it: the version, and digests of the code and of the settings
    of jobs.
    """

    token: int
    host: str
    version: str
    code: str
    settings: str


class Attachment(msgspec.Struct, frozen=True):
    """An attached worker, which writes this regularly: `beat` grows each time. `slots` is how many tasks it executes at
    once, `busy` has the tasks that it has begun.
    """

    id: str
    who: str
    host: str
    pid: int
    since: datetime
    slots: int
    busy: list[str] = []
    beat: int = 0


class Answer(msgspec.Struct, frozen=True):
    """A result, and the task and fencing token that it is for. `page` counts the answers to a planning from 0."""

    token: int
    task: str
    page: int
    result: Result


class Seen(msgspec.Struct, frozen=True):
    """What the leader found in the broker: the attached workers by id, who has begun which of its tasks, and the number
    of messages that no worker has received.
    """

    workers: dict[str, Attachment]
    claims: dict[str, str]
    waiting: int

    def holder_of(self, task: str) -> str | None:
        """The worker that has begun a task. A broker that has lost its data does not have the claim."""
        return self.claims.get(task) or next((each.id for each in self.workers.values() if task in each.busy), None)
