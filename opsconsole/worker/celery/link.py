"""The leader's connection to the broker: two threads, so that the leader never waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from celery import Celery

from opsconsole.core.errors import Unavailable
from opsconsole.core.supervision import log_failure
from opsconsole.worker.celery.app import send
from opsconsole.worker.celery.broker import BROKER, Broker
from opsconsole.worker.celery.messages import Answer, BrokerState, LeaderRecord
from opsconsole.worker.lease_deadline import LeaseDeadline
from opsconsole.worker.messages import Work

log = logging.getLogger(__name__)

BUSY_SECONDS, IDLE_SECONDS = 0.5, 2.0
"""Seconds between two reads of the broker's state, with tasks in flight and without."""
RETRY_SECONDS = 0.5
"""Between two attempts while the broker is unreachable."""
RECEIVE_SECONDS = 5.0
"""How long one request to the broker waits for an answer of a worker."""
TIMEOUT_SECONDS = 2.0

Withdrawn = str
"""A task that was withdrawn before a worker had begun it."""


class Link:
    """Sends tasks, announces the leader while its `lease` lasts, and receives into `events`.

    `is_busy` returns whether tasks are in flight. `unreachable` is why the broker cannot be used, and since when on the
    steady clock.
    """

    def __init__(
        self, url: str, app: Celery, leading: LeaderRecord, lease: LeaseDeadline, *, is_busy: Callable[[], bool]
    ) -> None:
        self._app, self._leading, self._lease, self._is_busy = app, leading, lease, is_busy
        self._token = leading.token
        self._broker = Broker(url, timeout_seconds=TIMEOUT_SECONDS)
        self._receiving = Broker(url, timeout_seconds=TIMEOUT_SECONDS + RECEIVE_SECONDS)
        self.events: SimpleQueue[Answer | BrokerState | Withdrawn | None] = SimpleQueue()
        self.unreachable: tuple[str, float] | None = None
        self._outbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._unsent: deque[Callable[[], None]] = deque()
        self._beat = 0.0
        self._followed: float | None = None
        self._ending: Sequence[str] = ()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._serve, "broker"), (self._receive, "answers of workers"))
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def close(self, tasks: Sequence[str]) -> None:
        """Requests that workers end these tasks, and stops the threads. Does not wait for an unreachable broker.

        The announcement of the leader expires: a successor knows by it that workers may still end something.
        """
        self._ending = tasks
        self._closing.set()
        self._outbox.put(None)
        self._threads[0].join(TIMEOUT_SECONDS)

    def is_following(self, seconds: float) -> bool:
        """Whether this leader has replaced another one less than some seconds ago."""
        return self._followed is not None and time.monotonic() - self._followed < seconds

    # --- called by the executor -------------------------------------------------------------------------------------

    def send(self, task: str, work: Work) -> None:
        """Sends a task, and repeats that until it has arrived."""

        def command() -> None:
            self._broker.open(self._token, task)
            send(self._app, self._token, task, work)

        self._outbox.put(command)

    def forget(self, task: str) -> None:
        """Closes a task."""
        self._outbox.put(lambda: self._broker.close_task(self._token, task))

    def withdraw(self, task: str, *, end: bool) -> None:
        """Withdraws a task. A Withdrawn event follows unless a worker has begun it; with `end`, that worker ends it."""

        def command() -> None:
            if self._broker.withdraw(self._token, task, end=end):
                self.events.put(task)

        self._outbox.put(command)

    # --- threads ----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                self._step()
            except Unavailable as error:
                self._fail(error.reason)
            except BaseException as error:  # noqa: BLE001 - the top of a thread
                log_failure("sending work to workers", error)
                self._fail(f"{type(error).__name__}")
        with suppress(Unavailable):
            for task in self._ending:
                self._broker.withdraw(self._token, task, end=True)
        self._broker.close()
        with suppress(Exception):  # a connection that is broken already
            self._app.close()

    def _step(self) -> None:
        if self.unreachable is not None or time.monotonic() - self._beat >= self._beat_seconds:
            self._heartbeat()
            self.unreachable = None
        while self._unsent:
            self._unsent[0]()
            self._unsent.popleft()
        with suppress(Empty):
            command = self._outbox.get(timeout=max(0.0, self._beat + self._beat_seconds - time.monotonic()))
            while command is not None:
                self._unsent.append(command)
                command = self._outbox.get_nowait()

    def _heartbeat(self) -> None:
        """Announces the leader, and reads the attached workers and their tasks."""
        seconds = self._lease.seconds_left
        if seconds <= 0:
            raise Unavailable(BROKER, "the lease is over")
        before = self._broker.lead(self._leading, seconds)
        if before is not None and before < self._token:
            self._followed = time.monotonic()
        self._beat = time.monotonic()
        self.events.put(self._broker.read_state(self._token))

    @property
    def _beat_seconds(self) -> float:
        return min(BUSY_SECONDS if self._is_busy() else IDLE_SECONDS, self._lease.seconds_left / 3)

    def _fail(self, reason: str) -> None:
        if self.unreachable is None:
            log.warning("the broker is unreachable: %s", reason)
            self.unreachable = reason, time.monotonic()
        else:
            self.unreachable = reason, self.unreachable[1]
        self._closing.wait(RETRY_SECONDS)

    def _receive(self) -> None:
        while not self._closing.is_set():
            try:
                answer = self._receiving.next_answer(self._token, RECEIVE_SECONDS)
                if answer is not None:
                    self.events.put(answer)
            except Unavailable:  # the other thread reports it
                self._closing.wait(RETRY_SECONDS)
            except BaseException as error:  # noqa: BLE001 - the top of a thread
                log_failure("receiving the results of workers", error)
                self._closing.wait(RETRY_SECONDS)
        self._receiving.close()
