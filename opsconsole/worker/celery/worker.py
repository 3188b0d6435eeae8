"""An attached worker: Celery receives the tasks, and opsconsole's worker processes execute them.

A task that hangs or ends its process does not end the worker, and packs do not affect each other.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

import msgspec
from celery.worker import WorkController, state
from celery.worker.consumer import Consumer

from opsconsole.authoring.batch import Batch, Lost
from opsconsole.authoring.catalog import Catalog
from opsconsole.core import clock
from opsconsole.core.errors import BadSettings, OpsconsoleError
from opsconsole.core.settings import Settings
from opsconsole.worker.celery.app import celery_app, register
from opsconsole.worker.celery.broker import Broker
from opsconsole.worker.celery.fingerprint import leading, problem
from opsconsole.worker.celery.membership import Membership
from opsconsole.worker.celery.messages import Answer, WorkerRecord
from opsconsole.worker.celery.slot import CannotStart, Slot
from opsconsole.worker.descendants import end_abandoned
from opsconsole.worker.handle import lost
from opsconsole.worker.lease_deadline import LeaseDeadline
from opsconsole.worker.messages import Planning, Result, Work

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
RECONNECT_SECONDS = 0.5
MAX_FAILED_STARTS = 3
FAILED_START_SECONDS = 1.0
"""How long a slot takes no tasks after its process could not start."""

_work: msgspec.json.Decoder[Work] = msgspec.json.Decoder(Batch | Planning)


class CeleryWorker:
    """Executes up to `slots` tasks at once, until it is closed.

    Raises Unavailable without a broker, BadSettings when the leader's installation is another one, and CannotStart when
    no worker process can start.
    """

    def __init__(self, settings: Settings, catalog: Catalog, slots: int) -> None:
        url = broker_url(settings)
        self._broker = Broker(url)
        installation = leading(settings, catalog, 0)
        leader = self._broker.leading()
        if leader is not None and (why := problem(installation, leader)):
            raise BadSettings([why])
        end_abandoned()
        lease = LeaseDeadline()
        self._slots: SimpleQueue[Slot] = SimpleQueue()
        self._all_slots = [Slot(settings.for_workers(), settings.folder / "workers.log", lease) for _ in range(slots)]
        own = WorkerRecord(uuid4().hex[:12], settings.actor.name, settings.host, os.getpid(), clock.now(), slots)
        seconds = settings.engine.lease_seconds
        self._membership = Membership(self._broker, own, installation, lease, lease_seconds=seconds)
        self._failed_starts = 0
        app = celery_app(url, longest_batch_seconds=longest_batch_seconds(catalog))
        register(app, self._execute)
        self._controller: Any = WorkController(
            app=app,
            hostname=f"{own.id}@{socket.gethostname()}",
            pool_cls="threads",
            concurrency=slots,
            consumer_cls=_Consumer,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._thread = threading.Thread(target=self._controller.start, name="celery", daemon=True)

    def start(self) -> None:
        """Starts the processes, and then takes tasks."""
        for slot in self._all_slots:
            slot.start()
            self._slots.put(slot)
        self._membership.start()
        self._thread.start()

    def check(self) -> None:
        """Raises the error that ends this worker, if there is one."""
        if self._membership.refused is not None:
            raise BadSettings([self._membership.refused])
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise CannotStart("worker processes end before they are ready; see the log")
        if not self._thread.is_alive():
            raise CeleryEnded

    def close(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Takes no further tasks. Those being executed may finish within the grace period; the others are ended, and
        the leader gives them to another worker.
        """
        self._membership.leave()
        state.should_stop = 0
        end = time.monotonic() + grace_seconds
        while self._membership.is_busy and time.monotonic() < end:
            time.sleep(0.05)
        self._membership.end_all("its worker was stopped")
        if self._thread.is_alive():
            self._thread.join()
        self._membership.close()
        for slot in self._all_slots:
            slot.close()
        self._broker.close()

    def _execute(self, token: int, task: str, text: str) -> None:
        work = _work.decode(text)
        if not self._membership.begin(token, task):
            return
        slot = self._slots.get()
        try:
            for page, result in enumerate(self._results(slot, task, work)):
                if not self._membership.deliver(Answer(token, task, page, result)):
                    break
        finally:
            self._slots.put(slot)
            self._membership.finish(task)

    def _results(self, slot: Slot, task: str, work: Work) -> Iterator[Result]:
        try:
            yield from slot.execute(work, lambda: self._membership.why_end(task))
            self._failed_starts = 0
        except CannotStart as error:
            self._failed_starts += 1
            log.warning("%s", error.sentence)
            time.sleep(FAILED_START_SECONDS)
            yield lost(work, Lost.STOPPED, error.sentence, "no worker process")


class _Consumer(Consumer):  # type: ignore[misc] # Celery has no types
    """Celery's consumer would wait up to half a minute between two attempts to reach a broker."""

    def ensure_connected(self, conn: Any) -> Any:
        """Waits until the broker can be reached; the membership logs that it cannot."""
        wait = {"interval_start": RECONNECT_SECONDS, "interval_step": 0, "interval_max": RECONNECT_SECONDS}
        return conn.ensure_connection(lambda *_: None, None, **wait, callback=state.maybe_shutdown)


class CeleryEnded(OpsconsoleError):
    """Celery has stopped receiving tasks."""

    def __init__(self) -> None:
        super().__init__("Celery no longer receives tasks; see the log, and start the worker again")


def broker_url(settings: Settings) -> str:
    """The URL of the broker."""
    assert settings.broker_url is not None  # noqa: S101 - a configuration with this executor has one
    return settings.broker_url.reveal()


def longest_batch_seconds(catalog: Catalog) -> float:
    """The longest timeout of a batch."""
    return max((job.batch_timeout.total_seconds() for job in catalog), default=0.0)
