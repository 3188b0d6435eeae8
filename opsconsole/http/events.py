"""Sends changes as server-sent events, to a bounded number of clients, from a bounded memory."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import msgspec
from starlette.requests import Request as StarletteRequest
from starlette.types import Receive, Scope, Send

from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.supervision import log_failure
from opsconsole.core.text import printable_json
from opsconsole.http.commanding import RunInThread
from opsconsole.http.responses import Busy
from opsconsole.service.live_events import LiveEvent, LiveEvents

log = logging.getLogger(__name__)

PATH = "/api/events"
MAX_CLIENTS = 32
KEPT = 1000
"""How many events a client may be behind. One that is further behind gets the state instead."""
A_CHUNK = 100
POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
"""Proxies close a connection that is silent for longer, often for a minute."""
RETRY_SECONDS = 3
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the events back
]


class EventStreams:
    """Reads the changes while there are clients, and keeps the last ones. A client is only a position among them, so
    a slow one costs nothing. Used by one event loop.
    """

    def __init__(self, live: LiveEvents, in_thread: RunInThread, count_clients: Callable[[int], None]) -> None:
        self._live, self._in_thread, self._count_clients = live, in_thread, count_clients
        self._life = uuid.uuid4().hex[:8]
        """Part of the id of each event: ids of an earlier process are not valid in this one."""
        self._kept: deque[bytes] = deque(maxlen=KEPT)
        self._number = 0
        self._changed = asyncio.Event()
        """Set, and replaced, when there are new events or the streams end."""
        self._clients = 0
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._is_ending = False

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events to a client until it leaves, or this process ends. Raises Busy when there are too many."""
        with self._counted():
            await self._started_reading()
            last = StarletteRequest(scope).headers.get("last-event-id", "")
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if scope["method"] != "HEAD":
                leaving = asyncio.create_task(_left(receive))
                try:
                    await self._send_events(self._place(last), leaving, send)
                finally:
                    leaving.cancel()
            await send({"type": "http.response.body"})

    def end(self) -> None:
        """Ends every stream. Called in the event loop."""
        self._is_ending = True
        self._notify()

    async def _send_events(self, place: int | None, leaving: asyncio.Task[None], send: Send) -> None:
        await _send(send, b"retry: %d\n\n" % (RETRY_SECONDS * 1000))
        while not (self._is_ending or leaving.done()):
            changed = self._changed
            if place is None or place < self._number - len(self._kept):
                place = self._number
                for part in self._encoded_state(place):
                    await _send(send, part)
            elif place < self._number:
                start = len(self._kept) - (self._number - place)
                chunk = list(islice(self._kept, start, start + A_CHUNK))
                place += len(chunk)
                await _send(send, b"".join(chunk))
            else:
                waiting = asyncio.create_task(changed.wait())
                await asyncio.wait({waiting, leaving}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if not changed.is_set():
                    await _send(send, b": heartbeat\n\n")

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # --- reading ------------------------------------------------------------------------------------------------

    async def _started_reading(self) -> None:
        """Reads the current state, unless this was already done for other clients."""
        async with self._starting:  # clients that come at the same time share one reader
            if self._reading is None or self._reading.done():
                await self._read()
                self._reading = asyncio.create_task(self._read_repeatedly())

    async def _read_repeatedly(self) -> None:
        while self._clients and not self._is_ending:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._read()
            except OpsconsoleError as error:
                log.debug("http: no events could be read: %s", error.sentence)
            except Exception as error:  # noqa: BLE001 - the clients stay, and the next read may succeed
                log_failure("reading events", error)

    async def _read(self) -> None:
        found = await self._in_thread(self._live.read)
        for event in found:
            self._number += 1
            self._kept.append(self._encoded(event, self._number))
        if found:
            self._notify()

    # --- texts --------------------------------------------------------------------------------------------------

    def _place(self, last: str) -> int | None:
        """The event after which a client continues; None if that is not available."""
        life, _, number = last.partition("-")
        if life != self._life or not (number.isascii() and number.isdigit() and len(number) < 20):
            return None
        return int(number) if int(number) <= self._number else None

    def _encoded(self, event: LiveEvent, number: int) -> bytes:
        data = printable_json(msgspec.json.encode(event.document).decode())
        return f"id: {self._life}-{number}\nevent: {event.kind}\ndata: {data}\n\n".encode()

    def _encoded_state(self, number: int) -> Iterator[bytes]:
        """The state from which a client starts that is new or too far behind."""
        yield f"id: {self._life}-{number}\nevent: state\ndata: {{}}\n\n".encode()
        events = iter(self._live.state())
        while part := list(islice(events, A_CHUNK)):
            yield b"".join(self._encoded(event, number) for event in part)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._clients >= MAX_CLIENTS:
            raise Busy
        self._clients += 1
        self._count_clients(self._clients)
        try:
            yield
        finally:
            self._clients -= 1
            self._count_clients(self._clients)


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _left(receive: Receive) -> None:
    """Returns when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
