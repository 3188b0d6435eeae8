"""Publishes the outbox to the Redis stream `events`: in order and at least once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.context import Resources
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import OpsconsoleError, Unavailable
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.file_changes import FileChanges
from opsconsole.core.problems import Work
from opsconsole.core.supervision import Loop, describe, is_outage
from opsconsole.core.text import safe
from opsconsole.store import Store, events, set_aside
from opsconsole.store.events import UnpublishedEvent
from opsconsole.store.set_aside import Kind, SetAside

log = logging.getLogger(__name__)

STREAM = "events"
LENGTH = 100_000
"""The stream is trimmed near this length; the table keeps every event."""
PAGE = 500
PAGE_CHARACTERS = 4_000_000
MAX_CHARACTERS = 8_000_000
"""A longer payload is not published."""
POLL_SECONDS = 1.0
DRAIN_SECONDS = 1.0
MAX_REFUSED = 3
"""When Redis refuses this number of events in a row, Redis has a problem and not the events."""

OnPoison = Callable[[int, BaseException], None]


class TooLong(OpsconsoleError):
    """A payload that is longer than an event may be."""

    def __init__(self, characters: int) -> None:
        super().__init__(f"its payload has {characters:,} characters, and {MAX_CHARACTERS:,} are allowed")


def publish(
    tools: Resources, *, may_continue: Callable[[], bool] = lambda: True, on_poison: OnPoison | None = None
) -> int:
    """Publishes the unpublished events, oldest first, and returns how many. Raises Unavailable.

    A page is published as a whole and marked afterwards: after a crash in between it is published again. An event that
    cannot be published is marked too, and given to `on_poison`: those behind it do not wait for it.
    """
    done = 0
    while may_continue():
        try:
            with tools.data.reading() as db:
                page = events.unpublished(db, limit=PAGE, size=PAGE_CHARACTERS)
            if not page:
                break
            done += _publish_page(tools, page, on_poison)
        except SQLAlchemyError as error:
            raise Unavailable("data", reason(error)) from error
    return done


def _publish_page(tools: Resources, page: Sequence[int], on_poison: OnPoison | None) -> int:
    try:
        return _publish(tools, page)
    except Exception as error:
        if on_poison is None or is_outage(error):
            raise
        if isinstance(error, Unavailable) and (len(page) == 1 or not _responds(tools)):
            raise
    done = 0
    refused: list[tuple[int, Unavailable]] = []
    for number in page:
        try:
            done += _publish(tools, [number])
        except Unavailable as error:
            refused.append((number, error))
            if len(refused) == MAX_REFUSED:
                raise
            continue
        except Exception as error:
            if is_outage(error):
                raise
            _set_aside(tools, number, error, on_poison)
            continue
        # Redis accepts others, so it is the refused events that cannot be published.
        for earlier, refusal in refused:
            _set_aside(tools, earlier, refusal, on_poison)
        refused.clear()
    if refused:
        raise refused[0][1]
    return done


def _publish(tools: Resources, ids: Sequence[int]) -> int:
    from opsconsole.cache.stream import append  # redis-py, which is not needed before there is an event

    with tools.data.reading() as db:
        if len(ids) == 1 and (length := events.length(db, ids[0])) > MAX_CHARACTERS:
            raise TooLong(length)
        page = events.read(db, ids)
    append(tools.cache.client, STREAM, [_fields(event) for event in page], max_length=LENGTH)
    reach(Point.EVENTS_PUBLISHED)
    _mark(tools, ids)
    return len(ids)


def _set_aside(tools: Resources, number: int, error: BaseException, on_poison: OnPoison) -> None:
    on_poison(number, error)
    _mark(tools, [number])


def _mark(tools: Resources, ids: Sequence[int]) -> None:
    with tools.data.writing() as db:
        events.mark_published(db, ids, tools.now())


def _responds(tools: Resources) -> bool:
    try:
        return bool(tools.cache.client.ping())
    except Exception:  # noqa: BLE001 - no event is the cause
        return False


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

    def __init__(self, store: Store, tools: Resources, token: int, *, may_start_work: Callable[[], bool]) -> None:
        self._store, self._tools, self._token = store, tools, token
        self._may_start_work = may_start_work
        self._changes = FileChanges(tools.data)
        self._stop_by = 0.0
        self._is_behind = True
        self.loop = Loop(Work.EVENT_RELAY, self._step, seconds=POLL_SECONDS, now=tools.now, last=self._step)

    def start(self) -> None:
        """Starts with the events of earlier leaders."""
        self.loop.start()

    def stop(self) -> None:
        """Publishes the last events, for a second at most, and closes its connections."""
        self._stop_by = time.monotonic() + DRAIN_SECONDS
        self.loop.stop()
        self._changes.close()
        self._tools.close()

    def _may_continue(self) -> bool:
        self.loop.repeated.progress()
        return self._may_start_work() and (not self.loop.is_stopping or time.monotonic() < self._stop_by)

    def _step(self) -> None:
        if self._may_continue() and (self._changes.has_changed() or self._is_behind):
            self._is_behind = True
            publish(self._tools, may_continue=self._may_continue, on_poison=self._set_aside)
            self._is_behind = not self._may_continue()

    def _set_aside(self, number: int, error: BaseException) -> None:
        why, name = describe(error)[0], self._name(number)
        log.error("event %s (%s) cannot be published and is set aside: %s", number, name, why)
        with self._store.fenced(self._token) as db:
            set_aside.add(db, SetAside(Kind.EVENT, str(number), name, self._tools.now(), why))

    def _name(self, number: int) -> str:
        try:
            with self._tools.data.reading() as db:
                return safe(events.name(db, number), 200)
        except Exception as error:
            if is_outage(error):
                raise
            return "unreadable"
