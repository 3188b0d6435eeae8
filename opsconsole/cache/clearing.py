"""Counts and clears cached keys: only keys of declared families, in steps that other clients do not notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any

import redis

from opsconsole.cache.connection import SCAN_COUNT, chunked, key_count, scan, translating_errors
from opsconsole.cache.families import Families, Family, check
from opsconsole.cache.filters import ClearFilter
from opsconsole.core.errors import Exit, OpsconsoleError

SAMPLES = 5


class BadClearFilter(OpsconsoleError):
    """Conditions that select nothing to clear."""

    exit_code = Exit.USAGE


@dataclass(frozen=True, slots=True)
class ClearProgress:
    """Progress of a sweep: keys found, or removed, per family; how many keys were `scanned` out of `of`, which grows
    when the Redis user may not run DBSIZE; samples of the keys found; the families that lack a given part and are
    skipped.
    """

    found: Mapping[str, int]
    scanned: int
    of: int
    samples: tuple[str, ...] = ()
    skipped_families: tuple[str, ...] = ()
    done: bool = False

    @property
    def total(self) -> int:
        """Keys found, or removed, in all families."""
        return sum(self.found.values())


def sweep(
    client: redis.Redis, families: Iterable[Family], conditions: ClearFilter, *, remove: bool
) -> Iterator[ClearProgress]:
    """Scans the server's keys and counts or removes the matches. Yields progress after each step, the last time with
    `done`. The caller may stop at any step.

    Counts of removed keys come from the server. Raises BadClearFilter or BadKey before the first step, and Unavailable
    at any step.
    """
    parts = conditions.parts
    check(parts)
    selected, skipped_families = _select(tuple(families), conditions)
    exact = [family.key(**parts) for family in selected if set(family.parts) <= parts.keys()]
    to_scan = [family for family in selected if not set(family.parts) <= parts.keys()]
    match = _match(to_scan, parts) if to_scan else None
    return _sweep(client, Families(selected), parts, exact, match, skipped_families, remove=remove)


def _select(families: tuple[Family, ...], conditions: ClearFilter) -> tuple[list[Family], tuple[str, ...]]:
    """The families to search, and the names of those that lack one of the parts."""
    if not conditions.parts and conditions.family is None and conditions.source is None:
        raise BadClearFilter("give a user, a subject, a family or a date: nothing is cleared without a condition")
    if conditions.date is not None:
        try:
            canonical = date.fromisoformat(conditions.date).isoformat()
        except ValueError:
            canonical = None
        if canonical != conditions.date:
            raise BadClearFilter(f"{conditions.date!r} is not a date; write it as 2026-01-19")
    names = [family.name for family in families]
    if conditions.family is not None and conditions.family not in names:
        close = get_close_matches(conditions.family, names, n=3) or sorted(names)
        raise BadClearFilter(
            f"there is no cache family {conditions.family!r}; the families are {', '.join(close) or 'none'}"
        )
    sources = sorted({source for family in families for source in family.computed_from})
    if conditions.source is not None and conditions.source not in sources:
        close = get_close_matches(conditions.source, sources, n=3) or sources
        raise BadClearFilter(
            f"no cached value is computed from {conditions.source!r}, but from {', '.join(close) or 'nothing'}"
        )
    named = [
        family
        for family in families
        if conditions.family in (None, family.name) and conditions.source in (None, *family.computed_from)
    ]
    selected = [family for family in named if conditions.parts.keys() <= set(family.parts)]
    return selected, tuple(family.name for family in named if family not in selected)


def _match(families: list[Family], parts: Mapping[str, str]) -> str:
    """A SCAN pattern for all keys to find: the pattern of a single family; for several, one with the longest part."""
    if len(families) == 1:
        return families[0].glob(**parts)
    return f"*{max(parts.values(), key=len)}*" if parts else "*"


def _sweep(
    client: redis.Redis,
    families: Families,
    parts: Mapping[str, str],
    exact: list[str],
    match: str | None,
    skipped_families: tuple[str, ...],
    *,
    remove: bool,
) -> Iterator[ClearProgress]:
    found = Counter({family.name: 0 for family in families})
    samples: list[str] = []
    counted: set[int] = set()  # SCAN may return a key twice while the server's table grows
    of = key_count(client)

    def handle(keys: Iterable[Any]) -> None:
        matches = list(_matches(keys, families, parts))
        if not remove:
            matches = [(name, key) for name, key in matches if hash(key) not in counted]
            counted.update(hash(key) for _, key in matches)
        found.update(_remove(client, matches) if remove else Counter(name for name, _ in matches))
        samples.extend(key.decode() for _, key in matches[: SAMPLES - len(samples)])

    def progress(scanned: int, *, done: bool) -> ClearProgress:
        total = of or scanned
        return ClearProgress(dict(found), min(scanned, total), total, tuple(samples), skipped_families, done)

    handle(_existing(client, exact))
    cursor, scanned = 0, 0
    while match is not None:
        cursor, keys = scan(client, cursor, match)
        handle(keys)
        scanned += SCAN_COUNT
        if not cursor:
            break
        yield progress(scanned, done=False)
    yield progress(of or scanned, done=True)


def _existing(client: redis.Redis, keys: list[str]) -> list[bytes]:
    """The keys that exist."""
    if not keys:
        return []
    with translating_errors():
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.exists(key)
        return [key.encode() for key, exists in zip(keys, pipeline.execute(), strict=True) if exists]


def _matches(keys: Iterable[Any], families: Families, conditions: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """The keys that belong to a family and meet the conditions, with the family's name: SCAN patterns match more."""
    for key in keys:
        family = families.owning(key)
        parts = None if family is None else family.parse(key)
        if family is not None and parts is not None and conditions.items() <= parts.items():
            yield family.name, key


def _remove(client: redis.Redis, keys: list[tuple[str, bytes]]) -> Counter[str]:
    """Removes keys in one round trip. Returns how many of each family existed."""
    by_family: dict[str, list[bytes]] = {}
    for name, key in keys:
        by_family.setdefault(name, []).append(key)
    commands = [(name, chunk) for name, family_keys in by_family.items() for chunk in chunked(family_keys)]
    removed: Counter[str] = Counter()
    if commands:
        with translating_errors():
            pipeline = client.pipeline(transaction=False)
            for _, chunk in commands:
                pipeline.unlink(*chunk)
            for (name, _), count in zip(commands, pipeline.execute(), strict=True):
                removed[name] += count
    return removed
