"""A worker's connection to the broker: it announces itself, claims tasks, and delivers their results."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

import msgspec

from opsconsole.core.clock import boottime
from opsconsole.core.errors import Unavailable
from opsconsole.core.supervision import log_failure
from opsconsole.worker.celery.broker import MAX_RESULTS, Broker
from opsconsole.worker.celery.fingerprint import problem
from opsconsole.worker.celery.messages import Answer, LeaderRecord, WorkerRecord
from opsconsole.worker.celery.tasks import GONE_SECONDS
from opsconsole.worker.lease_deadline import LeaseDeadline
from opsconsole.worker.messages import PlanningResult

log = logging.getLogger(__name__)

BUSY_SECONDS, IDLE_SECONDS = 0.5, 1.0
"""Between two announcements, with a task and without."""
RETRY_SECONDS = 0.25
LEADER_SECONDS = 10.0
"""How long a task waits for its leader to be announced: a restarted broker does not have that record yet."""


class Membership:
    """Announces `own` from a thread. `lease` is over when the leader may no longer lead; at most
    `lease_seconds` after the last look. `installation` is what this worker has in common with its leader.
    """

    def __init__(
        self,
        broker: Broker,
        own: WorkerRecord,
        installation: LeaderRecord,
        lease: LeaseDeadline,
        *,
        lease_seconds: float,
    ) -> None:
        self._broker, self._own, self._installation = broker, own, installation
        self._lease, self._seconds = lease, lease_seconds + GONE_SECONDS
        self._token = self._beat = 0
        self._busy: dict[str, int] = {}
        self._ending: set[str] = set()
        self._lock = threading.Lock()
        self._leaving: str | None = None
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._announce, name="announcing", daemon=True)
        self.refused: str | None = None
        """Why this worker may not work for its leader."""
        self.unreachable: str | None = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> None:
        """Withdraws the announcement."""
        self._closing.set()
        self._wake.set()
        self._thread.join()
        with suppress(Unavailable):
            self._broker.detach(self._own.id)

    def leave(self) -> None:
        """Takes no further task."""
        self._own = msgspec.structs.replace(self._own, slots=0)
        self._wake.set()

    def end_all(self, why: str) -> None:
        """Ends the tasks that are being executed."""
        self._leaving = why

    @property
    def is_busy(self) -> bool:
        """Whether a task is being executed."""
        return bool(self._busy)

    def begin(self, token: int, task: str) -> bool:
        """Whether a task is to be executed; then call `finish` at its end."""
        end = time.monotonic() + LEADER_SECONDS
        while self._leaving is None and self.refused is None and token >= self._token:
            try:
                if token != self._token or self._lease.is_over:
                    self._heartbeat()
                leading, is_mine = self._broker.claim(token, task, self._own.id)
            except Unavailable:
                time.sleep(RETRY_SECONDS)
                continue
            if leading is not None and leading.token == token:
                if is_mine:
                    with self._lock:
                        self._busy[task] = token
                    self._wake.set()
                return is_mine
            if leading is not None or time.monotonic() > end:
                return False
            time.sleep(RETRY_SECONDS)
        return False

    def finish(self, task: str) -> None:
        """Ends a task: its results are delivered."""
        with self._lock:
            self._busy.pop(task, None)
            self._ending.discard(task)

    def why_end(self, task: str) -> str | None:
        """Why a task is to be ended now; None while it is not."""
        if self._leaving is not None:
            return self._leaving
        if task in self._ending:
            return "it was stopped"
        if self._busy.get(task) != self._token:
            return "another process leads"
        return "its leader may have lost its lease" if self._lease.is_over else None

    def deliver(self, answer: Answer) -> bool:
        """Sends an answer, as soon as the broker can take it. False when this process ends before."""
        while not self._closing.is_set():
            try:
                if isinstance(answer.result, PlanningResult) and not answer.result.is_last:
                    self._wait_for_room(answer)
                # If another process leads by now, it counts the result and drops it.
                self._broker.send_answer(max(self._token, answer.token), answer)
            except Unavailable:
                if self._leaving is not None:
                    return False
                time.sleep(RETRY_SECONDS)
                continue
            return True
        return False

    def _wait_for_room(self, answer: Answer) -> None:
        while self.why_end(answer.task) is None and self._broker.waiting_answers(answer.token) >= MAX_RESULTS:
            time.sleep(RETRY_SECONDS)

    def _announce(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            try:
                self._heartbeat()
            except Unavailable as error:
                self._fail(error.reason)
            except BaseException as error:  # noqa: BLE001 - the top of a thread
                log_failure("announcing this worker", error)
            self._wake.wait(BUSY_SECONDS if self._busy else IDLE_SECONDS)

    def _heartbeat(self) -> None:
        with self._lock:
            tasks, token = list(self._busy), self._token
            self._beat += 1
            own = msgspec.structs.replace(self._own, busy=tasks, beat=self._beat)
        started = boottime()
        leading, seconds, ending = self._broker.attach(own, self._seconds, token, tasks)
        if self.unreachable is not None:
            log.info("the broker is reachable again")
            self.unreachable = None
        with self._lock:
            self._ending.update(task for task in ending if task in self._busy)
        if leading is None or leading.token < self._token:  # the record of an earlier leader
            return
        if leading.token != self._token:
            log.info("working for the leader on %s", leading.host)
        self._token = leading.token
        self.refused = problem(self._installation, leading)
        self._lease.extend(started + seconds)

    def _fail(self, reason: str) -> None:
        if self.unreachable is None:
            log.warning("the broker is unreachable: %s", reason)
        self.unreachable = reason
