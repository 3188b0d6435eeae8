"""The connection to Redis: how it is opened, and how its errors become Unavailable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from opsconsole.cache.faults import AFTER_HANDSHAKE, CLOSED, ERRORS, STRANGE, Effect, fault, unavailable
from opsconsole.core.errors import NotPermitted

T = TypeVar("T")

TIMEOUT_SECONDS = 1.0
CLIENT_NAME = "opsconsole"
CHUNK = 500
"""Keys per command: it occupies the server for well under a millisecond."""
SCAN_COUNT = 500
"""Keys examined per SCAN step: measured at a tenth of a millisecond of server time."""


class _Careful(AbstractConnection):
    """A connection that needs no permission beyond the commands it is used for, and that is never reopened silently."""

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Authenticates and selects the database. What the server refuses here concerns every command."""
        name, self.client_name = self.client_name, None
        send: Any = self.send_command
        try:
            super().on_connect_check_health(check_health=check_health)
            with suppress(redis.ResponseError):  # the name only helps in a list of clients
                send("CLIENT", "SETNAME", name or CLIENT_NAME, check_health=False)
                self.read_response()
        except redis.ResponseError as error:
            raise redis.ConnectionError("the server refused the connection") from error
        except STRANGE as error:
            raise redis.InvalidResponse("the server sent a strange answer") from error
        finally:
            self.client_name = name

    def send_packed_command(self, command: Any, check_health: Any = True) -> None:
        """Sends a command. Raises ConnectionError when the connection has been lost: redis-py would open another one,
        on which a WATCH has no effect, and wait for it once more.
        """
        if not self.is_connected:
            raise redis.ConnectionError("the connection was closed")
        send: Any = super().send_packed_command
        send(command, check_health=check_health)

    def read_response(self, *args: Any, **options: Any) -> Any:
        """The next answer. A server that has become a replica is left: the address may lead to its successor."""
        try:
            return super().read_response(*args, **options)
        except redis.ReadOnlyError:
            self._should_reconnect = True
            raise


class _Tcp(_Careful, Connection):
    pass


class _Tls(_Careful, SSLConnection):
    def on_connect_check_health(self, check_health: bool = True) -> None:
        """As above. A server that refuses the client's certificate reports it after the handshake, or just closes."""
        try:
            super().on_connect_check_health(check_health)
        except redis.ConnectionError as error:
            if fault(error).reason != CLOSED:
                raise
            raise redis.ConnectionError(AFTER_HANDSHAKE) from error


class _Unix(_Careful, UnixDomainSocketConnection):
    pass


_CLASSES: dict[Any, type[_Tcp | _Tls | _Unix]] = {
    Connection: _Tcp,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}


def connect(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> redis.Redis:
    """A client that gives up after `timeout_seconds`, or after the time in the URL, and never resends a command."""
    options = parse_url(url)  # type: ignore[no-untyped-call]
    for name in ("socket_timeout", "socket_connect_timeout"):
        given = options.get(name, timeout_seconds)
        options[name] = given if timeout_seconds == TIMEOUT_SECONDS else min(given, timeout_seconds)
    options["connection_class"] = _CLASSES[options.get("connection_class", Connection)]
    # RESP2 and no CLIENT SETINFO: nothing to permit, no unrequested messages, and fewer round trips to connect.
    options = {"protocol": 2, "driver_info": None, **options}
    pool = ConnectionPool(
        **options,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return redis.Redis.from_pool(pool)


@contextmanager
def translating_connection_errors() -> Iterator[None]:
    """Raises Unavailable when the server cannot be used. Errors of single commands pass through, and those of the
    caller: values that cannot be sent.
    """
    try:
        yield
    except (redis.DataError, UnicodeEncodeError):
        raise
    except ERRORS as error:
        if isinstance(error, redis.ResponseError) and fault(error).effect is Effect.ITEM:
            raise
        raise unavailable(error) from error


@contextmanager
def translating_errors() -> Iterator[None]:
    """Raises Unavailable when the server cannot be used, or refuses a command, for example for lack of permissions."""
    with translating_connection_errors():
        try:
            yield
        except redis.ResponseError as error:
            raise unavailable(error) from error


def if_permitted(call: Callable[[], T]) -> tuple[T | None, str | None]:
    """The result of a command that opsconsole can do without, or None and the command that the Redis user may not run.
    Raises Unavailable.
    """
    try:
        with translating_errors():
            return call(), None
    except NotPermitted as error:
        return None, error.command


def key_count(client: redis.Redis) -> int:
    """How many keys the server has; 0 when the Redis user may not ask. Raises Unavailable."""
    keys, _ = if_permitted(lambda: int(client.dbsize()))
    return keys or 0


def scan(client: redis.Redis, cursor: int, match: str | None = None) -> tuple[int, list[bytes]]:
    """One SCAN step: the next cursor, 0 after the last step, and the keys. Raises Unavailable."""
    with translating_errors():
        following, found = client.scan(cursor, match=match, count=SCAN_COUNT)
        keys = [key for key in found if isinstance(key, bytes)]
        if following == cursor != 0 or len(keys) != len(found):
            raise ValueError("no answer to SCAN")
        return following, keys


def chunked(keys: Iterable[Any]) -> Iterator[list[Any]]:
    """The keys in lists of at most `CHUNK`."""
    remaining = iter(keys)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk
