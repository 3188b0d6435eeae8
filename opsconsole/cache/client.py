"""What jobs and the console do with Redis; every failure to reach it is one error, Unavailable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from opsconsole.cache.families import BadKey, Family
from opsconsole.errors import Unavailable
from opsconsole.text import safe

TIMEOUT_SECONDS = 1.0


def connect(url: str) -> redis.Redis:
    """A client that gives up after a second and never sends a command twice by itself."""
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        client_name="opsconsole",
    )


@contextmanager
def reaching() -> Iterator[None]:
    """Turns what redis-py raises when the server cannot be used at all into Unavailable."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError, OSError) as error:
        raise Unavailable("redis", why(error)) from error


def why(error: BaseException) -> str:
    """A Redis error in one safe line."""
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
        return "the connection was refused or cut"
    if isinstance(error, redis.ResponseError):
        return f"Redis refused it: {safe(error, 180)}"  # an item's cause, which does not say of itself whose it is
    return safe(error, 200)


class Cache:
    """Families of keys in one Redis server."""

    def __init__(self, url: str) -> None:
        self.client = connect(url)

    def replace(self, family: Family, values: Mapping[str, bytes | None], *, by: str, **parts: str) -> dict[str, str]:
        """Makes the family's keys for `values` (the part named `by` -> value) be exactly that, in one round trip.

        A value is set with the family's time to live, None removes the key. Returns who could not be written, and
        why. Raises Unavailable when Redis cannot be reached.
        """
        refused: dict[str, str] = {}
        asked: list[str] = []
        with reaching():
            pipeline = self.client.pipeline(transaction=False)
            for owner, value in values.items():
                try:
                    key = family.key(**parts, **{by: owner})
                except BadKey as error:
                    refused[owner] = error.why
                    continue
                if value is None:
                    pipeline.unlink(key)
                else:
                    pipeline.set(key, value, ex=family.ttl_seconds)
                asked.append(owner)
            answers = pipeline.execute(raise_on_error=False)
        for owner, answer in zip(asked, answers, strict=True):
            if isinstance(answer, redis.ConnectionError | redis.TimeoutError | redis.ReadOnlyError):
                raise Unavailable("redis", why(answer)) from answer
            if isinstance(answer, Exception):
                refused[owner] = why(answer)
        return refused

    def close(self) -> None:
        """Closes the pooled connections."""
        self.client.close()
