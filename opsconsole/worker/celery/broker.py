"""The broker's records beside the queue: the leader, the attached workers, the open tasks, and the results.

Every key that opsconsole uses there has its name here. The database is not the cache: it must not evict anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from opsconsole.cache.connection import connect, translating_errors
from opsconsole.core.errors import Unavailable
from opsconsole.core.text import safe
from opsconsole.worker.celery.messages import Answer, BrokerState, LeaderRecord, WorkerRecord

BROKER = "broker"
"""The name of this dependency."""
QUEUE = "opsconsole"
"""The queue of Celery's messages, and the list that holds them."""
LEADER, WORKERS = "opsconsole.leader", "opsconsole.workers"
OPEN, STOPPING = b"open", b"stopping"
KEPT_SECONDS = 3600
"""The records of a leader expire this long after they were last written."""
MAX_RESULTS = 32
"""A planning waits while this many results wait for the leader, so that the broker does not fill up."""

T = TypeVar("T")

_leading = msgspec.json.Decoder(LeaderRecord)
_attachment = msgspec.json.Decoder(WorkerRecord)
_answer = msgspec.json.Decoder(Answer)


class Broker:
    """A connection to the broker. Thread-safe. Every method raises Unavailable when the broker cannot be used."""

    def __init__(self, url: str, *, timeout_seconds: float = 1.0) -> None:
        self._client: Any = connect(url, timeout_seconds=timeout_seconds)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def ping(self) -> None:
        """Checks that the broker answers."""
        with _translating():
            self._client.ping()

    # --- the leader -------------------------------------------------------------------------------------------------

    def lead(self, leading: LeaderRecord, seconds: float) -> int | None:
        """Announces the leader for some seconds; returns the token of the one that was announced before, if any."""

        def commands(pipe: Any) -> None:
            pipe.set(LEADER, msgspec.json.encode(leading), px=_milliseconds(seconds), get=True)
            for key in (_tasks(leading.token), _claims(leading.token)):
                pipe.expire(key, KEPT_SECONDS)

        before = self._transaction(commands)[0]
        return None if before is None else _decoded(_leading, before).token

    def read_state(self, token: int) -> BrokerState:
        """The attached workers, the tasks that they have begun, and the number of waiting messages."""

        def commands(pipe: Any) -> None:
            pipe.smembers(WORKERS)
            pipe.hgetall(_claims(token))
            pipe.llen(QUEUE)

        ids, claims, waiting = self._transaction(commands)
        workers: dict[str, WorkerRecord] = {}
        names = sorted(ids)
        with _translating():
            values = self._client.mget([_worker(name.decode()) for name in names]) if names else []
            if gone := [name for name, value in zip(names, values, strict=True) if value is None]:
                self._client.srem(WORKERS, *gone)
        for value in filter(None, values):
            found = _decoded(_attachment, value)
            workers[found.id] = found
        return BrokerState(workers, {task.decode(): worker.decode() for task, worker in claims.items()}, int(waiting))

    def open(self, token: int, task: str) -> None:
        """Opens a task, before its message is sent."""
        with _translating():
            self._client.hset(_tasks(token), task, OPEN)

    def close_task(self, token: int, task: str) -> None:
        """Closes a task: messages for it are dropped."""

        def commands(pipe: Any) -> None:
            pipe.hdel(_tasks(token), task)
            pipe.hdel(_claims(token), task)

        self._transaction(commands)

    def withdraw(self, token: int, task: str, *, end: bool) -> bool:
        """Closes a task that no worker has begun. Returns False when one has; with `end`, that worker is to end it."""

        def commands(pipe: Any) -> None:
            pipe.hdel(_tasks(token), task)
            pipe.hexists(_claims(token), task)

        _, is_claimed = self._transaction(commands)
        if is_claimed and end:
            with _translating():
                self._client.hset(_tasks(token), task, STOPPING)
        return not is_claimed

    def next_answer(self, token: int, seconds: float) -> Answer | None:
        """The oldest answer, waiting for one up to some seconds; the timeout of the connection must be longer."""
        with _translating():
            found = self._client.brpop(_results(token), seconds)
        return None if found is None else _decoded(_answer, found[1])

    # --- workers ----------------------------------------------------------------------------------------------------

    def leading(self) -> LeaderRecord | None:
        """The leader, if there is one."""
        with _translating():
            found = self._client.get(LEADER)
        return None if found is None else _decoded(_leading, found)

    def attach(
        self, own: WorkerRecord, seconds: float, token: int, tasks: Sequence[str]
    ) -> tuple[LeaderRecord | None, float, list[str]]:
        """Announces a worker for some seconds. Returns the leader, how many seconds it leads without a renewal, and
        which of the `tasks` of the leader with this `token` are to be ended.
        """

        def commands(pipe: Any) -> None:
            pipe.get(LEADER)
            pipe.pttl(LEADER)
            pipe.sadd(WORKERS, own.id)
            pipe.set(_worker(own.id), msgspec.json.encode(own), px=_milliseconds(seconds))
            if tasks:
                pipe.hmget(_tasks(token), tasks)

        found, left, _, _, *states = self._transaction(commands)
        ending = [task for task, state in zip(tasks, states[0] if states else (), strict=True) if state == STOPPING]
        if found is None:
            return None, 0.0, ending
        return _decoded(_leading, found), max(0, int(left)) / 1000, ending

    def detach(self, worker: str) -> None:
        """Withdraws the announcement of a worker that ends."""

        def commands(pipe: Any) -> None:
            pipe.srem(WORKERS, worker)
            pipe.delete(_worker(worker))

        self._transaction(commands)

    def claim(self, token: int, task: str, worker: str) -> tuple[LeaderRecord | None, bool]:
        """Claims an open task for a worker. Returns the leader, and whether the task is this worker's now: not when it
        was closed, is to be ended, or was claimed before.
        """

        def commands(pipe: Any) -> None:
            pipe.get(LEADER)
            pipe.hget(_tasks(token), task)
            pipe.hsetnx(_claims(token), task, worker)
            pipe.expire(_claims(token), KEPT_SECONDS)

        found, state, is_first, _ = self._transaction(commands)
        leading = None if found is None else _decoded(_leading, found)
        return leading, state == OPEN and bool(is_first)

    def send_answer(self, to: int, answer: Answer) -> None:
        """Sends an answer to the leader with the token `to`."""

        def commands(pipe: Any) -> None:
            pipe.lpush(_results(to), msgspec.json.encode(answer))
            pipe.expire(_results(to), KEPT_SECONDS)

        self._transaction(commands)

    def waiting_answers(self, token: int) -> int:
        """How many answers wait for a leader."""
        with _translating():
            return int(self._client.llen(_results(token)))

    def _transaction(self, commands: Callable[[Any], None]) -> list[Any]:
        with _translating(), self._client.pipeline() as pipe:
            commands(pipe)
            return list(pipe.execute())


def _tasks(token: int) -> str:
    return f"opsconsole.tasks.{token}"


def _claims(token: int) -> str:
    return f"opsconsole.claims.{token}"


def _results(token: int) -> str:
    return f"opsconsole.results.{token}"


def _worker(worker: str) -> str:
    return f"opsconsole.worker.{worker}"


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _decoded(decoder: msgspec.json.Decoder[T], value: bytes) -> T:
    """Decodes a value. Raises Unavailable if it is none of this version's."""
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable(BROKER, f"it has values that this opsconsole cannot read: {safe(error)}") from error


@contextmanager
def _translating() -> Iterator[None]:
    try:
        with translating_errors():
            yield
    except Unavailable as error:
        if error.dependency == BROKER:
            raise
        raise Unavailable(BROKER, error.reason, permanent=error.permanent) from error
