"""What jobs and the console do with Redis. Every failure to reach it raises one error, Unavailable."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any

from redis.client import Pipeline

from opsconsole.cache.clearing import ClearProgress, sweep
from opsconsole.cache.compression import compress, decompress_all
from opsconsole.cache.connection import CHUNK, chunked, connect, translating_connection_errors, translating_errors
from opsconsole.cache.families import BadKey, Family
from opsconsole.cache.faults import Effect, fault, unavailable
from opsconsole.cache.figures import RecentHitRate, RedisStats, UsageSurvey
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.read_through import ReadThroughCache
from opsconsole.cache.reads import ReadCounts, Reads
from opsconsole.cache.statistics import sample, survey


class Cache:
    """Families of keys in one Redis server. `families` have the configured limits of compression."""

    def __init__(self, url: str, families: Iterable[Family] = ()) -> None:
        self._url = url
        self._limits = {family.name: family.compress_over for family in families}
        self._counts = ReadCounts()
        self.client = connect(url)
        self._recent_hit_rate = RecentHitRate()

    @cached_property
    def reader(self) -> ReadThroughCache:
        """Reads through the cache within a small time budget, for requests that cannot wait for Redis."""
        return ReadThroughCache(self._url, self._limits, self._counts)

    def reads(self) -> dict[str, Reads]:
        """Outcomes of `read` and of the reader in this process, by family."""
        return self._counts.totals()

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
        """Sets the family's keys for `values` (the part named `by` -> value) in one round trip.

        A value is set with the family's TTL, or with `ttl_seconds` (one for all, or one per owner); None removes the
        key. A value of more than `compress_over` bytes (by default the family's limit) is compressed. Returns the
        owners whose value could not be written, with the reason. Raises Unavailable when Redis cannot be reached.
        """
        own_ttl = ttl_seconds if isinstance(ttl_seconds, Mapping) else {}
        usual_ttl = ttl_seconds if isinstance(ttl_seconds, int) else family.ttl_seconds
        threshold = self._limits.get(family.name, family.compress_over) if compress_over is None else compress_over
        keys, refused = family.keys(values, by=by, **parts)
        pipeline = self.client.pipeline(transaction=False)
        for owner, key in keys.items():
            value = values[owner]
            if value is None:
                pipeline.unlink(key)
            else:
                pipeline.set(key, compress(value, threshold), ex=own_ttl.get(owner, usual_ttl))
        refused.update(_refusals(list(keys), pipeline))
        return refused

    def fill(self, entries: Iterable[tuple[Family, Mapping[str, str], bytes]]) -> list[str | None]:
        """Sets values of any families under their parts, in one round trip. Returns for each the reason why it could
        not be written, or None. Raises Unavailable when Redis cannot be reached.
        """
        refused: list[str | None] = []
        sent: list[int] = []
        pipeline = self.client.pipeline(transaction=False)
        for n, (family, parts, value) in enumerate(entries):
            try:
                key = family.key(**parts)
            except BadKey as error:
                refused.append(error.why)
                continue
            refused.append(None)
            limit = self._limits.get(family.name, family.compress_over)
            pipeline.set(key, compress(value, limit), ex=family.ttl_seconds)
            sent.append(n)
        for n, reason in _refusals(sent, pipeline):
            refused[n] = reason
        return refused

    def read(self, family: Family, owners: Iterable[str], *, by: str, **parts: str) -> dict[str, bytes | None]:
        """The family's values for `owners` (each the part named `by`), in one round trip.

        None for an owner without a value, with a value that is not a string or cannot be decompressed, or with an id
        that cannot be part of a key. Raises Unavailable when Redis cannot be reached.
        """
        values: dict[str, bytes | None] = dict.fromkeys(owners)
        keys, _ = family.keys(values, by=by, **parts)
        if keys:
            with translating_errors():
                stored = self._stored(list(keys.values()))
                values.update(zip(keys, stored, strict=True))
            misses = stored.count(None)
            self._counts.add_all(family.name, hits=len(stored) - misses, misses=misses)
        return values

    def _stored(self, keys: list[str]) -> list[bytes | None]:
        if len(keys) <= CHUNK:
            return decompress_all(self.client.mget(keys))
        pipeline = self.client.pipeline(transaction=False)
        for chunk in chunked(keys):
            pipeline.mget(chunk)
        return [value for result in pipeline.execute() for value in decompress_all(result)]

    def forget(self, families: Iterable[Family], source: str, **parts: Iterable[str]) -> int:
        """Removes the values made from `source` for every combination of `parts`, in one round trip. Returns how many
        keys were removed.

        Families with a part that is not given are skipped. Raises Unavailable when Redis cannot be reached or refuses
        the command.
        """
        given = {part: tuple(ids) for part, ids in parts.items()}
        keys = [
            key
            for family in families
            if source in family.computed_from and set(family.parts) <= given.keys()
            for key in _keys(family, given)
        ]
        return self.unlink(keys)

    def unlink(self, keys: Iterable[str | bytes]) -> int:
        """Removes keys in one round trip. Returns how many existed. Raises Unavailable as `forget` does."""
        with translating_errors():
            pipeline = self.client.pipeline(transaction=False)
            for chunk in chunked(keys):
                pipeline.unlink(*chunk)
            return sum(pipeline.execute())

    def statistics(self) -> tuple[RedisStats, float | None]:
        """The server's figures, and its hit rate over the last five minutes of calls to this method. Raises
        Unavailable.
        """
        stats = sample(self.client)
        return stats, self._recent_hit_rate.add(stats, time.monotonic())

    def survey(self, families: Iterable[Family], *, seconds: float) -> UsageSurvey:
        """What the server holds of each family, estimated when the survey takes longer than `seconds`. Raises
        Unavailable.
        """
        deadline = time.monotonic() + seconds
        steps = survey(self.client, families)
        latest = next(steps)
        while not latest.done and time.monotonic() < deadline:
            latest = next(steps)
        return latest

    def clear(self, families: Iterable[Family], **conditions: str) -> ClearProgress:
        """Removes the families' keys that meet all conditions (`user`, `subject`, `family`, `date`), in small steps.
        Returns the number of removed keys per family. Raises what `clearing.sweep` raises.
        """
        (last,) = deque(sweep(self.client, families, ClearFilter(**conditions), remove=True), maxlen=1)
        return last

    def close(self) -> None:
        """Closes the pooled connections."""
        self.client.close()
        if "reader" in self.__dict__:
            self.reader.close()


def _refusals(sent: Sequence[Any], pipeline: Pipeline) -> Iterator[tuple[Any, str]]:
    """Executes the pipeline. Returns the commands that the server refused, with the reason. Raises Unavailable, also
    for a refusal that concerns the whole server.
    """
    with translating_connection_errors():
        results = pipeline.execute(raise_on_error=False)
        if len(results) != len(sent) or any(result is None or result is False for result in results):
            raise ValueError("not one answer a command")
    for command, result in zip(sent, results, strict=True):
        if isinstance(result, Exception):
            if fault(result).effect is not Effect.ITEM:
                raise unavailable(result) from result
            yield command, fault(result).reason


def _keys(family: Family, given: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """The keys of all combinations; no value can be stored under the others."""
    if not family.parts:
        yield family.key()
        return
    by = max(family.parts, key=lambda part: len(given[part]))
    others = [part for part in family.parts if part != by]
    for ids in product(*(given[part] for part in others)):
        keys, _ = family.keys(given[by], by=by, **dict(zip(others, ids, strict=True)))
        yield from keys.values()
