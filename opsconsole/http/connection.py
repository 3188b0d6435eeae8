"""One connection of a client: strict parsing, and limits of time, size and number for every request on it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from opsconsole.authoring.extensions import Reply
from opsconsole.http.responses import response

MAX_CONNECTIONS = 256
"""Each is an open file, and the databases need some as well. More than the requests that wait for the server may be."""
CLIENT_SECONDS = 15.0
"""How long a client may take to send the head of a request, its body, or to read a response. Longer than what
`requests` allows a body, so that a slow one gets a response.
"""
IDLE_SECONDS = 75
"""How long a connection may be idle between two requests. Clients that scrape or poll once a minute keep theirs."""
ANNOUNCED_SECONDS = 60
"""IDLE_SECONDS as the Keep-Alive header announces it to clients. It is less, because a request that is sent while the
server closes the connection is lost.
"""
MAX_HEAD_BYTES = 16 * 1024
MAX_UNREAD_BYTES = 16 * 1024 * 1024
"""Of all responses that clients do not read."""
MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""How much of a request is read before the connection is cut, independent of the response."""
GRACE_SECONDS = 2
"""How long active requests may take when the process ends; runs are waited for afterwards."""

_CLOSE = (b"connection", b"close")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_AMBIGUOUS = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\n[ \t]|\0")


class Connection(H11Protocol):
    """A client that is waited for does not keep others out: each step has a time limit, and when too many connections
    are open, one that waits for its client is closed for a new one.

    uvicorn's own limits are not enough. `limit_concurrency` refuses new clients and leaves the bad ones;
    `timeout_keep_alive` ends with the first byte of a request; nothing limits how long a client may not read.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _StrictParser(h11.SERVER, MAX_HEAD_BYTES)
        self.timeout_keep_alive = IDLE_SECONDS
        self.waiting_since = self.loop.time()
        self._received_bytes = 0
        self._is_refused = False
        self._is_half_closed = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a complete request waits for its response, and not the server for the client."""
        if self.cycle is None:
            return False
        return not (self.cycle.response_complete or self.cycle.more_body or self.flow.write_paused)

    @property
    def _is_idle(self) -> bool:
        """Whether the client has its response and has sent nothing since. uvicorn closes what stays idle."""
        if self._is_refused or self.cycle is None:
            return False
        return self.cycle.response_complete and not (self.conn.trailing_data[0] or self.unread_bytes)

    @property
    def unread_bytes(self) -> int:
        """How much of its responses the client has not taken."""
        return self.transport.get_write_buffer_size()

    @property
    def origin(self) -> str | None:
        """The address of the client; None for a unix socket."""
        return self.client[0] if self.client else None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._close_if_overdue()
        if len(self.connections) > MAX_CONNECTIONS:
            _close_one([each for each in self._all if each is not self])

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes > MAX_REQUEST_BYTES:
            self.abort()
        elif not self._is_refused:
            if self._is_idle:
                self.waiting_since = self.loop.time()
            super().data_received(data)

    def handle_events(self) -> None:
        previous = self.cycle
        super().handle_events()
        if self.cycle is not previous:
            self.waiting_since = self.loop.time()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that sends no more still gets the responses to what it sent."""
        self._is_half_closed = True
        return self.is_busy

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not a valid request. What follows is read and ignored for a while: closing at once would
        reset the connection before the client has read the response.
        """
        del msg  # a client that sends garbage gets no details
        self._is_refused = True
        self._unset_keepalive_if_required()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_REFUSAL)
            self.transport.write_eof()
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        self.waiting_since, self._received_bytes = self.loop.time(), 0
        if self.unread_bytes:
            unread = [each for each in self._all if each.unread_bytes]
            if sum(each.unread_bytes for each in unread) > MAX_UNREAD_BYTES:
                _close_one(unread)
        super().on_response_complete()
        if self._is_half_closed and not self.is_busy:
            self.transport.close()

    def shutdown(self) -> None:
        """Ends the connection: at once, or within the grace period if the client is to get a response."""
        if self._is_refused or not (self.is_busy or self.unread_bytes):
            self.abort()
        else:
            scope = self.cycle.scope
            scope["headers"] = [*scope["headers"], _CLOSE]  # of the request; uvicorn repeats it in the response
            super().shutdown()
            self.loop.call_later(GRACE_SECONDS, self.abort)

    @property
    def _all(self) -> list[Connection]:
        return [each for each in self.connections if isinstance(each, Connection)]

    def _close_if_overdue(self) -> None:
        left = self.waiting_since + CLIENT_SECONDS - self.loop.time()
        if self.is_busy or self._is_idle:
            left = CLIENT_SECONDS
        if left > 0:
            self._timer = self.loop.call_later(left, self._close_if_overdue)
        else:
            self.abort()

    def abort(self) -> None:
        """Closes the connection at once."""
        self.connections.discard(self)
        self.transport.abort()


def _close_one(connections: list[Connection]) -> None:
    """Closes a connection that waits for its client: of the address that has most, the one that has waited longest.

    One with further requests in its buffer counts as waiting, because it would otherwise never be closed.
    """
    per_origin = Counter(each.origin for each in connections)

    def order(each: Connection) -> tuple[bool, int, float]:
        return not each.is_busy or each.flow.read_paused, per_origin[each.origin], -each.waiting_since

    max(connections, key=order).abort()


class _StrictParser(h11.Connection):
    """Refuses requests that h11 accepts, but that a proxy in front could read as something else: lines that end in LF
    or CR alone, folded headers, and two ways to say where the body ends (RFC 9112, sections 2.2, 5.2 and 6.3).
    """

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self.their_state is h11.IDLE:
            _check_head(self.trailing_data[0])
        event = super().next_event()
        if isinstance(event, h11.Request):
            _check_framing(event)
        return event


def _check_head(received: bytes) -> None:
    """Checks the head of a request as far as it was received. Raises RemoteProtocolError."""
    blank_line = _BLANK_LINE.search(received)
    end = blank_line.end() if blank_line else len(received)
    if end > MAX_HEAD_BYTES or _AMBIGUOUS.search(received, 0, end):
        raise h11.RemoteProtocolError("the head of the request is ambiguous or too long")


def _check_framing(request: h11.Request) -> None:
    """Raises RemoteProtocolError."""
    names = {name for name, _ in request.headers}
    if request.http_version not in (b"1.0", b"1.1"):
        raise h11.RemoteProtocolError("unknown version of HTTP")
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version == b"1.0"):
        raise h11.RemoteProtocolError("the length of the body is ambiguous")


def _raw(reply: Reply) -> bytes:
    """A response that closes the connection, as it is sent."""
    full = response(reply, {"connection": "close"})
    lines = [b"HTTP/1.1 %d Bad Request" % full.status_code, *(b": ".join(header) for header in full.raw_headers)]
    return b"\r\n".join([*lines, b"", full.body])


_REFUSAL = _raw(Reply.error(400, "bad_request", "this is not a valid HTTP request"))
