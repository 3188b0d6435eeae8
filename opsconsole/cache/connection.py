"""The connection to Redis: how it is opened, and how its errors become Unavailable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from opsconsole.core.errors import Unavailable
from opsconsole.core.text import safe

TIMEOUT_SECONDS = 1.0
CHUNK = 500
"""Keys per command: it occupies the server for well under a millisecond."""
SCAN_COUNT = 500
"""Keys examined per SCAN step: measured at a tenth of a millisecond of server time."""


def connect(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> redis.Redis:
    """A client that gives up after `timeout_seconds` and never resends a command."""
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        client_name="opsconsole",
    )


@contextmanager
def translating_connection_errors() -> Iterator[None]:
    """Raises Unavailable when the server cannot be used at all. Other errors of single commands pass through."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError, OSError) as error:
        raise Unavailable("redis", describe(error)) from error


@contextmanager
def translating_errors() -> Iterator[None]:
    """Raises Unavailable when the server cannot be used, or refuses a command, for example for lack of permissions."""
    with translating_connection_errors():
        try:
            yield
        except redis.ResponseError as error:
            raise Unavailable("redis", describe(error)) from error


def describe(error: BaseException) -> str:
    """A Redis error in one line that is safe to show."""
    if isinstance(error, redis.OutOfMemoryError):
        return "Redis refused the write: out of memory"
    if isinstance(error, redis.AuthenticationError):
        return "it refused the user name or password"
    if isinstance(error, redis.BusyLoadingError):
        return "it is still loading its data"
    if isinstance(error, redis.ReadOnlyError):
        return "it is a read-only replica"
    if isinstance(error, redis.TimeoutError):
        return f"no answer within {TIMEOUT_SECONDS:g} s"
    if isinstance(error, redis.ConnectionError):
        return "the connection was refused or closed"
    if isinstance(error, redis.ResponseError):
        return f"Redis refused the command: {safe(error, 180)}"  # shown as an item's error, without further context
    return safe(error, 200)


def chunked(keys: Iterable[Any]) -> Iterator[list[Any]]:
    """The keys in lists of at most `CHUNK`."""
    remaining = iter(keys)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk
