"""Publishes the outbox to the Redis stream `events`: in order and at least once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.context import Resources
from opsconsole.cache.stream import append
from opsconsole.core.database import reason
from opsconsole.core.errors import Unavailable
from opsconsole.core.failpoints import Point, reach
from opsconsole.store import events
from opsconsole.store.events import UnpublishedEvent

log = logging.getLogger(__name__)

STREAM = "events"
LENGTH = 100_000
"""The stream is trimmed near this length; the table keeps every event."""
PAGE = 500
POLL_SECONDS = 1.0
MAX_WAIT_SECONDS = 30.0
DRAIN_SECONDS = 1.0
JOIN_SECONDS = 5.0
"""A database that hangs must not keep a leader from ending."""


def publish(tools: Resources, *, may_continue: Callable[[], bool] = lambda: True) -> int:
    """Publishes the unpublished events, oldest first, and returns how many. Raises Unavailable, or SQLAlchemyError.

    A page is published as a whole and marked afterwards: after a crash in between it is published again.
    """
    done = 0
    while may_continue():
        with tools.data.reading() as db:
            page = events.unpublished(db, limit=PAGE)
        if not page:
            break
        append(tools.cache.client, STREAM, [_fields(event) for event in page], max_length=LENGTH)
        reach(Point.EVENTS_PUBLISHED)
        with tools.data.writing() as db:
            events.mark_published(db, [event.id for event in page], tools.now())
        done += len(page)
    return done


def _fields(event: UnpublishedEvent) -> dict[str, str | bytes]:
    return {
        "id": str(event.id),
        "name": event.name,
        "key": event.key,
        "payload": msgspec.json.encode(event.payload),
        "occurred_at": event.occurred_at.isoformat(timespec="milliseconds"),
    }


class EventRelay:
    """Publishes in a background thread while its leader holds the lease, as reported by `may_start_work`."""

    def __init__(self, tools: Resources, *, may_start_work: Callable[[], bool]) -> None:
        self._tools, self._may_start_work = tools, may_start_work
        self._stopping = threading.Event()
        self._stop_by = 0.0
        self._thread = threading.Thread(target=self._main, name="relay", daemon=True)

    def start(self) -> None:
        """Starts with the events of earlier leaders."""
        self._thread.start()

    def stop(self) -> None:
        """Publishes the last events, for a second at most, and closes its connections."""
        self._stop_by = time.monotonic() + DRAIN_SECONDS
        self._stopping.set()
        self._thread.join(JOIN_SECONDS)
        self._tools.close()

    def _may_continue(self) -> bool:
        return self._may_start_work() and (not self._stopping.is_set() or time.monotonic() < self._stop_by)

    def _main(self) -> None:
        problem, wait = "", POLL_SECONDS
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(wait)
            try:
                publish(self._tools, may_continue=self._may_continue)
            except (Unavailable, SQLAlchemyError) as error:
                message = error.sentence if isinstance(error, Unavailable) else f"data database: {reason(error)}"
                wait = min(MAX_WAIT_SECONDS, 2 * wait)
                if message != problem:
                    log.warning("events are not published: %s", message)
                problem = message
            else:
                if problem:
                    log.info("events are published again")
                problem, wait = "", POLL_SECONDS
