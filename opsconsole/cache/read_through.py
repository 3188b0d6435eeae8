"""Get-or-compute: reads values from Redis within a time budget, and computes those that it does not return."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

import msgspec

from opsconsole.cache.compression import compress, decompress
from opsconsole.cache.connection import connect
from opsconsole.cache.families import BadKey, CacheRequest, Family
from opsconsole.cache.faults import ERRORS
from opsconsole.cache.reads import ReadCounts, Reads
from opsconsole.core.breaker import CircuitBreaker, Recovery

BUDGET_SECONDS = 0.05
"""Timeout of a command: computing the value from the database takes about as long."""
NEGATIVE_SECONDS = 60
"""The longest TTL of None: what is missing now may be added at any time, by programs that do not invalidate it."""
PROBE_SECONDS = 2.0
"""While the circuit breaker is open, one reader probes Redis in each such interval."""


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A value that is being read or computed: its place in the request, its key, and a future that others wait for."""

    n: int
    key: str | None
    value: Future[Any]

    def decode(self, stored: bytes | None, request: CacheRequest) -> str:
        """Resolves the future with the stored value if it is valid. Returns the outcome as a field of Reads."""
        if stored is None:
            return "misses"
        try:
            self.value.set_result(msgspec.json.decode(decompress(stored) or b"", type=request.shape))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return "garbage"
        return "hits"

    def compute(self, request: CacheRequest) -> None:
        """Resolves the future with the computed value. Raises what the computation raises, here and for all waiters."""
        try:
            self.value.set_result(request.compute())
        except BaseException as error:
            self.value.set_exception(error)
            raise


class ReadThroughCache:
    """Gets values from Redis, or computes and stores them. Thread-safe; never raises errors of Redis.

    `limits` are the bytes over which values are compressed, by family; a family's own without it. Reads are added to
    `counts`.
    """

    def __init__(
        self, url: str, limits: Mapping[str, int | None] | None = None, counts: ReadCounts | None = None
    ) -> None:
        self._limits = limits or {}
        self._counts = counts or ReadCounts()
        self._client = connect(url, timeout_seconds=BUDGET_SECONDS)
        self._breaker = CircuitBreaker(Recovery(every=PROBE_SECONDS))
        self._lock = threading.Lock()
        self._in_flight: dict[str, _InFlight] = {}

    def get(self, family: Family, shape: Any, compute: Callable[[], Any], **parts: str) -> Any:
        """One value; see `get_all`."""
        return self.get_all([CacheRequest(family, parts, shape, compute)])[0]

    def get_all(self, requests: Sequence[CacheRequest]) -> list[Any]:
        """The requested values, in one round trip. Values that are missing or not of their type are computed, each by
        one thread however many request it, and stored in a second round trip. Raises only what `compute` raises.
        Threads share the returned values: do not modify them.
        """
        own, others = self._claim([_key(request.family, request.parts) for request in requests])
        try:
            missing = self._look_up(requests, own)
            for pending in missing:
                pending.compute(requests[pending.n])
            self._store(requests, missing)
        finally:
            with self._lock:
                for pending in own:
                    pending.value.cancel()  # those that an error kept from being computed
                    self._in_flight.pop(pending.key or "", None)
        # Its own values are resolved by now, so that two readers waiting for each other cannot deadlock.
        values = {pending.n: pending.value.result() for pending in own}
        for pending in others:
            try:
                values[pending.n] = pending.value.result()
            except CancelledError:
                values[pending.n] = requests[pending.n].compute()
        return [values[n] for n in range(len(requests))]

    def put(self, family: Family, value: Any, **parts: str) -> None:
        """Stores a value for later readers, if Redis is reachable."""
        key = _key(family, parts)
        if key is not None and self._breaker.allows_request(time.monotonic()):
            self._set([(family, key, value)])

    def reads(self) -> dict[str, Reads]:
        """Outcomes of the reads since this process started, by family."""
        return self._counts.totals()

    def close(self) -> None:
        """Closes the pooled connections."""
        self._client.close()

    def _claim(self, keys: list[str | None]) -> tuple[list[_InFlight], list[_InFlight]]:
        """The values that this caller resolves, and those that another thread is resolving already."""
        own, others = [], []
        with self._lock:
            for n, key in enumerate(keys):
                active = self._in_flight.get(key) if key is not None else None
                if active is not None:
                    others.append(_InFlight(n, key, active.value))
                    continue
                pending = _InFlight(n, key, Future())
                own.append(pending)
                if key is not None:
                    self._in_flight[key] = pending
        return own, others

    def _look_up(self, requests: Sequence[CacheRequest], claimed: list[_InFlight]) -> list[_InFlight]:
        """Resolves the values that are in the cache. Returns the others."""
        stored = self._fetch([pending.key for pending in claimed if pending.key is not None])
        missing = []
        outcomes = []
        for pending in claimed:
            request = requests[pending.n]
            outcome = "failed"
            if stored is not None and pending.key is not None:
                outcome = pending.decode(stored[pending.key], request)
            if outcome != "hits":
                missing.append(pending)
            outcomes.append((request.family.name, outcome))
        self._counts.add(outcomes)
        return missing

    def _fetch(self, keys: list[str]) -> dict[str, bytes | None] | None:
        """The values stored under the keys; None when Redis is not available."""
        if not keys:
            return {}
        if not self._breaker.allows_request(time.monotonic()):
            return None
        try:
            stored: dict[str, Any] = dict(zip(keys, self._client.mget(keys), strict=True))
            if not all(isinstance(value, bytes | None) for value in stored.values()):
                raise TypeError("not an answer to MGET")
        except ERRORS:
            self._breaker.record_failure(time.monotonic())
            return None
        self._breaker.record_success()
        return stored

    def _store(self, requests: Sequence[CacheRequest], computed: list[_InFlight]) -> None:
        """Stores computed values, if Redis is reachable."""
        entries = [(requests[each.n].family, each.key, each.value.result()) for each in computed if each.key]
        if entries and not self._breaker.failures:
            self._set(entries)

    def _set(self, entries: list[tuple[Family, str, Any]]) -> None:
        try:
            pipeline = self._client.pipeline(transaction=False)
            for family, key, value in entries:
                limit = self._limits.get(family.name, family.compress_over)
                pipeline.set(key, compress(msgspec.json.encode(value), limit), ex=_ttl(family, value))
            pipeline.execute()
        except ERRORS:
            self._breaker.record_failure(time.monotonic())
        else:
            self._breaker.record_success()


def _ttl(family: Family, value: Any) -> int | None:
    if value is not None:
        return family.ttl_seconds
    return NEGATIVE_SECONDS if family.ttl_seconds is None else min(NEGATIVE_SECONDS, family.ttl_seconds)


def _key(family: Family, parts: Mapping[str, str]) -> str | None:
    """None for an id that cannot be part of a key: such a value is computed each time."""
    try:
        return family.key(**parts)
    except BadKey:
        return None


__all__ = ["ReadThroughCache", "Reads"]
