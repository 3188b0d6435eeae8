"""Publishes what jobs emit to the Redis stream `events`: in order, at least once, however long Redis was away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring import outbox
from opsconsole.authoring.context import Resources
from opsconsole.cache.stream import append
from opsconsole.core.database import reason
from opsconsole.core.errors import Unavailable
from opsconsole.core.failpoints import Point, reach

log = logging.getLogger(__name__)

STREAM = "events"
LENGTH = 100_000
"""The stream is kept near this length; the table has them all."""
PAGE = 500
LOOK_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
LAST_SECONDS = 1.0
JOIN_SECONDS = 5.0
"""A database that hangs does not keep a leader from ending."""


def publish(tools: Resources, *, sure: Callable[[], bool] = lambda: True) -> int:
    """Publishes the events that wait, oldest first, and returns how many. Raises Unavailable, or SQLAlchemyError.

    A page is published whole or not at all and marked afterwards: whoever dies in between publishes it again.
    """
    done = 0
    while sure():
        with tools.data.reading() as db:
            page = outbox.waiting(db, limit=PAGE)
        if not page:
            break
        append(tools.cache.client, STREAM, [_fields(event) for event in page], max_length=LENGTH)
        reach(Point.EVENTS_PUBLISHED)
        with tools.data.writing() as db:
            outbox.published(db, [event.id for event in page], tools.now())
        done += len(page)
    return done


def _fields(event: outbox.Waiting) -> dict[str, str | bytes]:
    return {
        "id": str(event.id),
        "name": event.name,
        "key": event.key,
        "payload": msgspec.json.encode(event.payload),
        "occurred_at": event.occurred_at.isoformat(timespec="milliseconds"),
    }


class EventRelay:
    """Publishes in a thread of its own as long as its leader is `sure` that it leads."""

    def __init__(self, tools: Resources, *, sure: Callable[[], bool]) -> None:
        self._tools, self._sure = tools, sure
        self._stopping = threading.Event()
        self._stop_by = 0.0
        self._thread = threading.Thread(target=self._main, name="relay", daemon=True)

    def start(self) -> None:
        """Begins with what others have left."""
        self._thread.start()

    def stop(self) -> None:
        """Publishes for a moment longer what was emitted last, and closes its connections."""
        self._stop_by = time.monotonic() + LAST_SECONDS
        self._stopping.set()
        self._thread.join(JOIN_SECONDS)
        self._tools.close()

    def _goes_on(self) -> bool:
        return self._sure() and (not self._stopping.is_set() or time.monotonic() < self._stop_by)

    def _main(self) -> None:
        trouble, wait = "", LOOK_SECONDS
        ends = False
        while not ends:
            ends = self._stopping.wait(wait)
            try:
                publish(self._tools, sure=self._goes_on)
            except (Unavailable, SQLAlchemyError) as error:
                why = error.sentence if isinstance(error, Unavailable) else f"data database: {reason(error)}"
                wait = min(LONGEST_WAIT_SECONDS, 2 * wait)
                if why != trouble:
                    log.warning("events wait to be published: %s", why)
                trouble = why
            else:
                if trouble:
                    log.info("events are published again")
                trouble, wait = "", LOOK_SECONDS
