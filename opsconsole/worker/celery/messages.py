"""What the leader and its attached workers share through the broker, as JSON."""

from __future__ import annotations

from datetime import datetime

import msgspec

from opsconsole.worker.messages import Result


class LeaderRecord(msgspec.Struct, frozen=True):
    """The leader, and what its workers must have in common with it: the version, and digests of the code and of the
    job settings.
    """

    token: int
    host: str
    version: str
    code: str
    settings: str


class WorkerRecord(msgspec.Struct, frozen=True):
    """An attached worker, as it announces itself; `beat` grows each time. `slots` is how many tasks it executes at
    once, `busy` are the tasks that it has begun.
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
    """A result, with its task and that leader's fencing token. `page` counts the answers to a planning from 0."""

    token: int
    task: str
    page: int
    result: Result


class BrokerState(msgspec.Struct, frozen=True):
    """The broker as the leader has read it: the attached workers by id, the worker that has begun each of its tasks,
    and the number of messages that no worker has received.
    """

    workers: dict[str, WorkerRecord]
    claims: dict[str, str]
    waiting: int

    def holder_of(self, task: str) -> str | None:
        """The worker that has begun a task. A broker that lost its data no longer has the claim."""
        return self.claims.get(task) or next((each.id for each in self.workers.values() if task in each.busy), None)
