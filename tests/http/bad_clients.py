"""Clients that hold a connection and never get on with it, and clients that send anything."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

HOST = b"Host: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /echo HTTP/1.1\r\n" + HOST
BIG = b"GET /big/1000000 HTTP/1.1\r\n" + HOST + b"\r\n"

Connect = Callable[[], socket.socket]


def silent(_connection: socket.socket) -> None:
    """Sends nothing."""


def half_head(connection: socket.socket) -> None:
    connection.sendall(GET[:20])


def half_head_later(connection: socket.socket) -> None:
    connection.sendall(GET)
    connection.recv(65536)
    connection.sendall(GET[:20])


def half_body(connection: socket.socket) -> None:
    connection.sendall(POST + b"Content-Length: 100\r\n\r\n[")


def half_body_later(connection: socket.socket) -> None:
    connection.sendall(GET)
    connection.recv(65536)
    half_body(connection)


def half_chunk(connection: socket.socket) -> None:
    connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[")


def half_body_of_nothing(connection: socket.socket) -> None:
    """Gets its response at once, and does not send the rest."""
    connection.sendall(POST.replace(b"/echo", b"/nothing") + b"Content-Length: 100\r\n\r\n[")


def idle(connection: socket.socket) -> None:
    connection.sendall(GET)
    connection.recv(65536)


def not_reading(connection: socket.socket) -> None:
    """Requests more than the buffers of a connection hold, and reads none of it."""
    connection.sendall(BIG * 10)


def sending_many(connection: socket.socket) -> None:
    """Sends requests faster than the server can answer them."""
    connection.sendall(GET * 4_000)


def refused(connection: socket.socket) -> None:
    """Keeps the connection open after an error."""
    connection.sendall(b"nonsense\r\n\r\n")


STALLED: dict[str, Callable[[socket.socket], None]] = {
    call.__name__: call
    for call in (
        silent,
        half_head,
        half_head_later,
        half_body,
        half_body_later,
        half_chunk,
        half_body_of_nothing,
        idle,
        not_reading,
        sending_many,
        refused,
    )
}


@contextmanager
def stalled(connect: Connect, count: int, *kinds: Callable[[socket.socket], None]) -> Iterator[list[socket.socket]]:
    """This many connections, of these kinds in turn, open until the end of the block."""
    with ExitStack() as stack:
        connections = []
        for number in range(count):
            connection = stack.enter_context(connect())
            with suppress(OSError):  # the server may have closed it already
                kinds[number % len(kinds)](connection)
            connections.append(connection)
        yield connections


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed the connection; what it has sent is read."""
    connection.setblocking(False)
    try:
        while connection.recv(1_000_000):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def fails_to_send(connection: socket.socket, sent: bytes) -> bool:
    """Whether the server has closed the connection."""
    try:
        connection.sendall(sent)
    except OSError:
        return True
    return False


SEEDS = (
    GET,
    POST + b"Content-Length: 5\r\n\r\n[1,2]",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n0\r\n\r\n",
)


def random_bytes(rng: random.Random) -> bytes:
    """Random bytes, or valid requests with a few bytes changed, removed, repeated or inserted."""
    if rng.random() < 0.3:
        return rng.randbytes(rng.randrange(200))
    sent = bytearray(b"".join(rng.choices(SEEDS, k=rng.randint(1, 3))))
    for _ in range(rng.randint(1, 5)):
        at, length = rng.randrange(len(sent) + 1), rng.randrange(10)
        replacement = rng.choice((rng.randbytes(length), bytes(sent[at : at + length]) * 2, b"", b"\r\n", b"\0", b"\n"))
        sent[at : at + rng.choice((0, length))] = replacement
    return bytes(sent)


def send_at_random(connect: Connect, count: int, seed: int) -> None:
    """Sends random bytes on this many connections, one after the other, and reads each response to its end."""
    rng = random.Random(seed)
    for _ in range(count):
        with suppress(OSError), connect() as connection:
            connection.sendall(random_bytes(rng))
            if rng.random() < 0.9:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass


def attack(connect: Connect, seconds: float, seed: int) -> int:
    """Opens connections that stall and sends random bytes, as fast as one thread can; the number of connections."""
    rng = random.Random(seed)
    kinds = list(STALLED.values())
    opened = 0
    with ExitStack() as stack:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if opened % 100 == 0:
                stack.close()
            with suppress(OSError):
                connection = stack.enter_context(connect())
                opened += 1
                rng.choice(kinds)(connection)
            send_at_random(connect, 1, rng.randrange(2**32))
    return opened
