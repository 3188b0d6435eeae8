"""What jobs and the console do with Redis; every failure to reach it is one error, Unavailable."""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import islice, product
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from opsconsole.cache.families import BadKey, Family
from opsconsole.core.errors import Unavailable
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.cache.clearing import ClearProgress
    from opsconsole.cache.read_through import Reader
    from opsconsole.cache.statistics import Recent, RedisStats, UsageSurvey

TIMEOUT_SECONDS = 1.0
CHUNK = 500
"""So many keys a command: the server is busy with it for well under a millisecond."""
COMPRESSED = b"\x78"
"""The first byte of a zlib stream, with which no JSON begins: readers need no other sign."""
LARGEST_VALUE = 64 * 1024 * 1024
"""What unpacks to more than this many bytes is no value of ours."""


def connect(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> redis.Redis:
    """A client that gives up after `timeout_seconds` and never sends a command twice by itself."""
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
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
        self._url = url
        self.client = connect(url)

    @cached_property
    def reader(self) -> Reader:
        """Reads through the cache, for those who have no time to wait for it."""
        from opsconsole.cache.read_through import Reader

        return Reader(self._url)

    @cached_property
    def _recent(self) -> Recent:
        from opsconsole.cache.statistics import Recent

        return Recent()

    def replace(
        self,
        family: Family,
        values: Mapping[str, bytes | None],
        *,
        by: str,
        ttl_seconds: Mapping[str, int] | int | None = None,
        compress_over: int | None = None,
        **parts: str,
    ) -> dict[str, str]:
        """Makes the family's keys for `values` (the part named `by` -> value) be exactly that, in one round trip.

        A value is set with the family's time to live, or with `ttl_seconds` (for all, or for those it names); None
        removes the key. A value of more than `compress_over` bytes, the family's when None, is compressed. Returns who
        could not be written, and why. Raises Unavailable when Redis cannot be reached.
        """
        own_ttl = ttl_seconds if isinstance(ttl_seconds, Mapping) else {}
        usual_ttl = ttl_seconds if isinstance(ttl_seconds, int) else family.ttl_seconds
        limit = family.compress_over if compress_over is None else compress_over
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
                    pipeline.set(key, packed(value, limit), ex=own_ttl.get(owner, usual_ttl))
                asked.append(owner)
            answers = pipeline.execute(raise_on_error=False)
        refused.update(_refusals(asked, answers))
        return refused

    def fill(self, entries: Iterable[tuple[Family, Mapping[str, str], bytes]]) -> list[str | None]:
        """Sets values of any families under their parts, in one round trip; for each the reason why it could not be
        written, or None. Raises Unavailable when Redis cannot be reached.
        """
        refused: list[str | None] = []
        asked: list[int] = []
        with reaching():
            pipeline = self.client.pipeline(transaction=False)
            for n, (family, parts, value) in enumerate(entries):
                try:
                    key = family.key(**parts)
                except BadKey as error:
                    refused.append(error.why)
                    continue
                refused.append(None)
                pipeline.set(key, packed(value, family.compress_over), ex=family.ttl_seconds)
                asked.append(n)
            answers = pipeline.execute(raise_on_error=False)
        for n, reason in _refusals(asked, answers):
            refused[n] = reason
        return refused

    def read(self, family: Family, owners: Iterable[str], *, by: str, **parts: str) -> dict[str, bytes | None]:
        """The family's values for `owners` (each the part named `by`), in one round trip.

        None for who has no value, one that is no text or cannot be unpacked, or an id that no key can hold. Raises
        Unavailable when Redis cannot be reached.
        """
        values: dict[str, bytes | None] = dict.fromkeys(owners)
        keys: dict[str, str] = {}
        for owner in values:
            try:
                keys[owner] = family.key(**parts, **{by: owner})
            except BadKey:
                continue
        if keys:
            with reaching(), refusing():
                pipeline = self.client.pipeline(transaction=False)
                for chunk in chunks(keys.values()):
                    pipeline.mget(chunk)
                found = [value for answer in pipeline.execute() for value in answer]
            values.update(zip(keys, map(unpacked, found), strict=True))
        return values

    def forget(self, families: Iterable[Family], source: str, **parts: Iterable[str]) -> int:
        """Removes what was made from `source`, for every combination of `parts`, in one round trip; how many keys went.

        A family with a part that is not given is left alone. Raises Unavailable when Redis cannot be reached, or
        refuses it.
        """
        given = {part: tuple(ids) for part, ids in parts.items()}
        keys = [
            key
            for family in families
            if source in family.made_from and set(family.parts) <= given.keys()
            for key in _keys(family, given)
        ]
        return self.unlink(keys)

    def unlink(self, keys: Iterable[str | bytes]) -> int:
        """Removes keys, in one round trip; how many of them there were. Raises Unavailable as `forget` does."""
        with reaching(), refusing():
            pipeline = self.client.pipeline(transaction=False)
            for chunk in chunks(keys):
                pipeline.unlink(*chunk)
            return sum(pipeline.execute())

    def statistics(self) -> tuple[RedisStats, float | None]:
        """What the server says about itself, and the hit rate of all its readers over the last minutes, as far as this
        was asked for in them. Raises Unavailable.
        """
        from opsconsole.cache.statistics import sample

        stats = sample(self.client)
        return stats, self._recent.add(stats, time.monotonic())

    def survey(self, families: Iterable[Family], *, seconds: float) -> UsageSurvey:
        """What the server holds of each family, as far as that can be found out in so many seconds. Raises
        Unavailable.
        """
        from opsconsole.cache.statistics import survey

        ends = time.monotonic() + seconds
        steps = survey(self.client, families)
        told = next(steps)
        while not told.done and time.monotonic() < ends:
            told = next(steps)
        return told

    def clear(self, families: Iterable[Family], **wanted: str) -> ClearProgress:
        """Removes the families' keys that meet all the conditions (`user`, `subject`, `family`, `date`), in small
        steps, and says how many of each went. Raises what `clearing.sweep` does.
        """
        from opsconsole.cache.clearing import ClearFilter, sweep

        (last,) = deque(sweep(self.client, families, ClearFilter(**wanted), remove=True), maxlen=1)
        return last

    def close(self) -> None:
        """Closes the pooled connections."""
        self.client.close()
        if "reader" in self.__dict__:
            self.reader.close()


def _refusals(asked: Iterable[Any], answers: Iterable[Any]) -> Iterator[tuple[Any, str]]:
    """Of what was asked in a pipeline, what the server refused, and why. Raises Unavailable."""
    for what, answer in zip(asked, answers, strict=True):
        if isinstance(answer, redis.ConnectionError | redis.TimeoutError | redis.ReadOnlyError):
            raise Unavailable("redis", why(answer)) from answer
        if isinstance(answer, Exception):
            yield what, why(answer)


def packed(value: bytes, over: int | None) -> bytes:
    """A value as it is kept: compressed when it has more than `over` bytes and that makes it smaller."""
    if over is None or len(value) <= over:
        return value
    smaller = zlib.compress(value)
    return smaller if len(smaller) < len(value) else value


def unpacked(kept: bytes | None) -> bytes | None:
    """A kept value as it was; None when there is none or it cannot be read."""
    if kept is None or not kept.startswith(COMPRESSED):
        return kept
    stream = zlib.decompressobj()
    try:
        value = stream.decompress(kept, LARGEST_VALUE)
    except zlib.error:
        return None
    return value if stream.eof else None


def chunks(keys: Iterable[Any]) -> Iterator[list[Any]]:
    """The keys in lists of 500."""
    waiting = iter(keys)
    while chunk := list(islice(waiting, CHUNK)):
        yield chunk


@contextmanager
def refusing() -> Iterator[None]:
    """Turns a command that the server will not carry out, for want of rights say, into Unavailable."""
    try:
        yield
    except redis.ResponseError as error:
        raise Unavailable("redis", why(error)) from error


def _keys(family: Family, given: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for ids in product(*(given[part] for part in family.parts)):
        try:
            yield family.key(**dict(zip(family.parts, ids, strict=True)))
        except BadKey:
            continue  # nothing can be kept under it
