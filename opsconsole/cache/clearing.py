"""Counts and clears cached keys: only those of declared families, in steps too small for anybody to notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any

import redis

from opsconsole.cache.client import chunks, reaching, refusing
from opsconsole.cache.families import Families, Family, check
from opsconsole.core.errors import Exit, OpsconsoleError

STEP = 500
"""So many keys are looked at in one step: measured at a tenth of a millisecond of the server's time."""
SAMPLES = 5


class BadClearFilter(OpsconsoleError):
    """Conditions that name nothing to clear."""

    exit_code = Exit.USAGE


@dataclass(frozen=True, slots=True)
class ClearFilter:
    """Which keys: those that meet all the conditions that are given. `date` is written `2026-01-19`."""

    user: str | None = None
    subject: str | None = None
    family: str | None = None
    date: str | None = None

    @property
    def parts(self) -> dict[str, str]:
        """The conditions on parts of a key."""
        named = {"user": self.user, "subject": self.subject, "date": self.date}
        return {part: value for part, value in named.items() if value is not None}

    def __str__(self) -> str:
        said = self.parts | ({} if self.family is None else {"family": self.family})
        return ", ".join(f"{name} {value}" for name, value in said.items())


@dataclass(frozen=True, slots=True)
class ClearProgress:
    """How far a sweep is: keys found, or removed, of each family; how many of the server's keys were looked at, and how
    many there were; a few of those found; the families that have no such part and are left alone.
    """

    found: Mapping[str, int]
    scanned: int
    of: int
    samples: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()
    done: bool = False

    @property
    def total(self) -> int:
        """Keys found, or removed, in all families."""
        return sum(self.found.values())


def sweep(
    client: redis.Redis, families: Iterable[Family], wanted: ClearFilter, *, remove: bool
) -> Iterator[ClearProgress]:
    """Goes through the server's keys and counts those that are wanted, or removes them; tells how far it is after each
    step, and at last with `done`. It may be left at any step.

    Counts of a removal are what the server says it removed. Raises BadClearFilter or BadKey, before anything is looked at,
    and Unavailable at any step.
    """
    known = wanted.parts
    check(known)
    chosen, left_alone = _chosen(tuple(families), wanted)
    exact = [family.key(**known) for family in chosen if set(family.parts) <= known.keys()]
    unknown = [family for family in chosen if not set(family.parts) <= known.keys()]
    match = _match(unknown, known) if unknown else None
    return _sweep(client, Families(chosen), known, exact, match, left_alone, remove=remove)


def _chosen(families: tuple[Family, ...], wanted: ClearFilter) -> tuple[list[Family], tuple[str, ...]]:
    """The families to look through, and the names of those that have no such part."""
    if not wanted.parts and wanted.family is None:
        raise BadClearFilter("name a user, a subject, a family or a date: nothing is cleared without a condition")
    if wanted.date is not None:
        try:
            written = date.fromisoformat(wanted.date).isoformat()
        except ValueError:
            written = None
        if written != wanted.date:
            raise BadClearFilter(f"{wanted.date!r} is not a date; write it as 2026-01-19")
    names = [family.name for family in families]
    if wanted.family is not None and wanted.family not in names:
        close = get_close_matches(wanted.family, names, n=3) or sorted(names)
        raise BadClearFilter(
            f"there is no cache family {wanted.family!r}; the families are {', '.join(close) or 'none'}"
        )
    asked = [family for family in families if wanted.family in (None, family.name)]
    chosen = [family for family in asked if wanted.parts.keys() <= set(family.parts)]
    return chosen, tuple(family.name for family in asked if family not in chosen)


def _match(families: list[Family], known: Mapping[str, str]) -> str:
    """What all wanted keys match: one family's own pattern; of several, that the longest condition is in them."""
    return families[0].glob(**known) if len(families) == 1 else f"*{max(known.values(), key=len)}*"


def _sweep(
    client: redis.Redis,
    families: Families,
    known: Mapping[str, str],
    exact: list[str],
    match: str | None,
    left_alone: tuple[str, ...],
    *,
    remove: bool,
) -> Iterator[ClearProgress]:
    found = Counter({family.name: 0 for family in families})
    samples: list[str] = []
    seen: set[int] = set()  # SCAN may tell of a key twice while the server's table grows
    with reaching(), refusing():
        of = client.dbsize()

    def take(keys: Iterable[Any]) -> None:
        mine = list(_wanted(keys, families, known))
        if not remove:
            mine = [(name, key) for name, key in mine if hash(key) not in seen]
            seen.update(hash(key) for _, key in mine)
        found.update(_removed(client, mine) if remove else Counter(name for name, _ in mine))
        samples.extend(key.decode() for _, key in mine[: SAMPLES - len(samples)])

    def told(scanned: int, *, done: bool) -> ClearProgress:
        return ClearProgress(dict(found), min(scanned, of), of, tuple(samples), left_alone, done)

    take(_there(client, exact))
    cursor, scanned = 0, 0
    while match is not None:
        with reaching(), refusing():
            cursor, keys = client.scan(cursor, match=match, count=STEP)
        take(keys)
        scanned += STEP
        if not cursor:
            break
        yield told(scanned, done=False)
    yield told(of, done=True)


def _there(client: redis.Redis, keys: list[str]) -> list[bytes]:
    """Those of the keys that exist."""
    if not keys:
        return []
    with reaching(), refusing():
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.exists(key)
        return [key.encode() for key, there in zip(keys, pipeline.execute(), strict=True) if there]


def _wanted(keys: Iterable[Any], families: Families, known: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Those of the keys that really are of a family and meet the conditions, with the family's name."""
    for key in keys:
        family = families.owning(key)
        parts = None if family is None else family.parse(key)
        if family is not None and parts is not None and known.items() <= parts.items():
            yield family.name, key


def _removed(client: redis.Redis, keys: list[tuple[str, bytes]]) -> Counter[str]:
    """Removes keys, in one round trip; how many of each family there were."""
    of_family: dict[str, list[bytes]] = {}
    for name, key in keys:
        of_family.setdefault(name, []).append(key)
    asked = [(name, chunk) for name, mine in of_family.items() for chunk in chunks(mine)]
    gone: Counter[str] = Counter()
    if asked:
        with reaching(), refusing():
            pipeline = client.pipeline(transaction=False)
            for _, chunk in asked:
                pipeline.unlink(*chunk)
            for (name, _), removed in zip(asked, pipeline.execute(), strict=True):
                gone[name] += removed
    return gone


__all__ = ["BadClearFilter", "ClearFilter", "ClearProgress", "sweep"]
