"""Reads through the cache: whatever Redis does, the answer comes, from the database if need be, and soon."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

import msgspec
import redis

from opsconsole.cache.client import connect, packed, unpacked
from opsconsole.cache.families import BadKey, CacheRequest, Family

BUDGET_SECONDS = 0.05
"""How long a command may take: a database answers about as fast."""
FAILURES = 3
AWAY_SECONDS = 2.0
"""After so many failures in a row Redis is not asked for so long; then one reader tries."""
AWAY = (redis.RedisError, OSError, AttributeError, TypeError, ValueError)
"""The last three are what redis-py stumbles into when something else than Redis answers."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What came of a family's reads in this process: the value was in Redis, or not (`garbage` of the latter were there
    but not readable), or Redis `failed` to say. Readers who waited for another one are not counted.
    """

    hits: int = 0
    misses: int = 0
    garbage: int = 0
    failed: int = 0

    @property
    def hit_rate(self) -> float | None:
        """Hits of all reads that Redis answered; None before the first."""
        answered = self.hits + self.misses
        return self.hits / answered if answered else None


@dataclass
class _Line:
    """Whether Redis is worth asking. Shared by all threads."""

    failures: int = 0
    closed_until: float = float("-inf")
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> bool:
        """Whether to ask now; after a wait, True for one reader, who tries for all."""
        with self.lock:
            if self.failures < FAILURES:
                return True
            now = time.monotonic()
            if now < self.closed_until:
                return False
            self.closed_until = now + AWAY_SECONDS
            return True

    def failed(self) -> None:
        """Redis did not answer in time, or with an error."""
        with self.lock:
            self.failures += 1
            self.closed_until = time.monotonic() + AWAY_SECONDS

    def worked(self) -> None:
        """It answered."""
        with self.lock:
            self.failures = 0


@dataclass(frozen=True, slots=True)
class _Flight:
    """A value on its way: the place in the question, its key, and what others can wait for."""

    n: int
    key: str | None
    value: Future[Any]

    def read(self, kept: bytes | None, ask: CacheRequest) -> str:
        """Ends with what Redis had, if it is a value; says what came of it."""
        if kept is None:
            return "misses"
        try:
            self.value.set_result(msgspec.json.decode(unpacked(kept) or b"", type=ask.shape))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "garbage"
        return "hits"

    def compute(self, ask: CacheRequest) -> None:
        """Ends with the value worked out. Raises what goes wrong, and so does the flight for those who wait."""
        try:
            self.value.set_result(ask.compute())
        except BaseException as error:
            self.value.set_exception(error)
            raise


class Reader:
    """Gets values from Redis, or works them out and puts them there. Threads share one; nothing that Redis does, or
    fails to do, is raised.
    """

    def __init__(self, url: str) -> None:
        self._client = connect(url, timeout_seconds=BUDGET_SECONDS)
        self._line = _Line()
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight] = {}
        self._came: Counter[tuple[str, str]] = Counter()

    def get(self, family: Family, shape: Any, compute: Callable[[], Any], **parts: str) -> Any:
        """One value; see `get_all`."""
        return self.get_all([CacheRequest(family, parts, shape, compute)])[0]

    def get_all(self, asks: Sequence[CacheRequest]) -> list[Any]:
        """The values asked for, in one round trip; those that are not there, or not of their shape, are worked out, by
        one thread each however many want them, and put there in a second one. Raises only what `compute` raises.
        Values are shared between threads: not to be changed.
        """
        mine, others = self._take_off([_key(ask.family, ask.parts) for ask in asks])
        try:
            missing = self._look(asks, mine)
            for flight in missing:
                flight.compute(asks[flight.n])
            self._put(asks, missing)
        finally:
            with self._lock:
                for flight in mine:
                    flight.value.cancel()  # those that an error kept from being worked out
                    self._flights.pop(flight.key or "", None)
        # Its own are done by now: two readers who wait for each other do not wait for ever.
        values = {flight.n: flight.value.result() for flight in mine}
        for flight in others:
            try:
                values[flight.n] = flight.value.result()
            except CancelledError:
                values[flight.n] = asks[flight.n].compute()
        return [values[n] for n in range(len(asks))]

    def put(self, family: Family, value: Any, **parts: str) -> None:
        """Puts a value there for those who will ask for it, if Redis is there."""
        key = _key(family, parts)
        if key is not None and self._line.open():
            self._set([(family, key, value)])

    def reads(self) -> dict[str, Reads]:
        """What came of the reads since this process began, by family."""
        with self._lock:
            came = dict(self._came)
        families = {family for family, _ in came}
        return {
            family: Reads(
                hits=came.get((family, "hits"), 0),
                misses=came.get((family, "misses"), 0) + came.get((family, "garbage"), 0),
                garbage=came.get((family, "garbage"), 0),
                failed=came.get((family, "failed"), 0),
            )
            for family in families
        }

    def close(self) -> None:
        """Closes the pooled connections."""
        self._client.close()

    def _take_off(self, keys: list[str | None]) -> tuple[list[_Flight], list[_Flight]]:
        """The values that this reader gets for all, and those that another is getting already."""
        mine, others = [], []
        with self._lock:
            for n, key in enumerate(keys):
                begun = self._flights.get(key) if key is not None else None
                if begun is not None:
                    others.append(_Flight(n, key, begun.value))
                    continue
                flight = _Flight(n, key, Future())
                mine.append(flight)
                if key is not None:
                    self._flights[key] = flight
        return mine, others

    def _look(self, asks: Sequence[CacheRequest], flights: list[_Flight]) -> list[_Flight]:
        """Ends the flights whose values are in the cache; returns the others."""
        found = self._fetch([flight.key for flight in flights if flight.key is not None])
        missing = []
        came_of = []
        for flight in flights:
            ask = asks[flight.n]
            came = "failed"
            if found is not None and flight.key is not None:
                came = flight.read(found[flight.key], ask)
            if came != "hits":
                missing.append(flight)
            came_of.append((ask.family.name, came))
        with self._lock:
            self._came.update(came_of)
        return missing

    def _fetch(self, keys: list[str]) -> dict[str, bytes | None] | None:
        """What Redis has under the keys; None when it cannot be asked."""
        if not keys:
            return {}
        if not self._line.open():
            return None
        try:
            found: list[Any] = list(self._client.mget(keys))
        except AWAY:
            self._line.failed()
            return None
        self._line.worked()
        return dict(zip(keys, found, strict=True))

    def _put(self, asks: Sequence[CacheRequest], flights: list[_Flight]) -> None:
        """Puts what was worked out into the cache, if Redis is there."""
        kept = [(asks[flight.n].family, flight.key, flight.value.result()) for flight in flights if flight.key]
        if kept and not self._line.failures:
            self._set(kept)

    def _set(self, kept: list[tuple[Family, str, Any]]) -> None:
        try:
            pipeline = self._client.pipeline(transaction=False)
            for family, key, value in kept:
                pipeline.set(key, packed(msgspec.json.encode(value), family.compress_over), ex=family.ttl_seconds)
            pipeline.execute()
        except AWAY:
            self._line.failed()
        else:
            self._line.worked()


def _key(family: Family, parts: Mapping[str, str]) -> str | None:
    """None for an id that no key can hold: such a value is worked out each time."""
    try:
        return family.key(**parts)
    except BadKey:
        return None


__all__ = ["Reader", "Reads"]
