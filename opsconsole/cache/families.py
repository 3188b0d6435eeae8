"""A family of cache keys: its pattern, its TTL, the owners of its keys, and the data that its values are made from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations
from string import Formatter
from typing import Any

from opsconsole.core.errors import Exit, OpsconsoleError
from opsconsole.core.text import safe

MAX_PART_LENGTH = 100
MAX_KEY_LENGTH = 249
# A colon would form another key, a glob character would match other keys when the cache is cleared, and command-line
# tools mangle whitespace, control characters and backslashes.
_BAD = r":*?\[\]\\\s\x00-\x1f\x7f-\x9f\ud800-\udfff"
_BAD_PART = re.compile(f"[{_BAD}]")
_BAD_LITERAL = re.compile(r"[*?\[\]\\\s\x00-\x1f\x7f-\x9f]")
_GOOD_PART = f"[^{_BAD}]{{1,{MAX_PART_LENGTH}}}"


class BadKey(OpsconsoleError):
    """An id that cannot be part of a cache key. `why` leaves the id out, so that such failures count as one kind."""

    exit_code = Exit.USAGE

    def __init__(self, part: str, why: str) -> None:
        self.why = f"its id cannot be part of a cache key: {why}"
        super().__init__(f"{safe(part, 60)!r} cannot be part of a cache key: {why}")


@dataclass(frozen=True, slots=True)
class Family:
    """Keys of one kind. `pattern` has its parts in braces (`date:user:{date}:{user}`); `of` are the parts that identify
    the owner of a key; `ttl` is None for values that do not expire; `computed_from` are the tables (or other data that
    jobs change) that a value depends on; `filled_by` are the jobs that write the values, none where readers compute
    them; values of more than `compress_over` bytes are compressed, none when None.

    Raises ValueError for a pattern that could match keys of other applications.
    """

    name: str
    pattern: str
    ttl: timedelta | None
    of: tuple[str, ...] = ()
    computed_from: tuple[str, ...] = ()
    compress_over: int | None = None
    filled_by: tuple[str, ...] = ()
    parts: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _shape: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pieces = [(literal, part) for literal, part, _, _ in Formatter().parse(self.pattern)]
        parts = tuple(part for _, part in pieces if part is not None)
        if len(set(parts)) < len(parts) or not all(part.isidentifier() for part in parts):
            raise ValueError(f"family {self.name}: each part of {self.pattern!r} needs a unique name")
        if _BAD_LITERAL.search("".join(literal for literal, _ in pieces)) or not pieces[0][0]:
            raise ValueError(
                f"family {self.name}: {self.pattern!r} must begin with a literal word, without * ? [ ] or \\"
            )
        if missing := set(self.of) - set(parts):
            raise ValueError(f"family {self.name}: {self.pattern!r} has no part {', '.join(sorted(missing))}")
        shape = "".join(
            re.escape(literal) + ("" if part is None else f"(?P<{part}>{_GOOD_PART})") for literal, part in pieces
        )
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "_shape", re.compile(shape))

    @property
    def ttl_seconds(self) -> int | None:
        """The TTL as Redis expects it."""
        return None if self.ttl is None else int(self.ttl.total_seconds())

    @property
    def shape(self) -> str:
        """The regular expression of the family's keys, without groups."""
        return re.sub(r"\(\?P<\w+>", "(?:", self._shape.pattern)

    def key(self, **parts: str) -> str:
        """The key of one value. Raises BadKey when a part is not allowed in a key."""
        check(parts)
        key = self.pattern.format_map(parts)
        if len(key) > MAX_KEY_LENGTH:
            raise BadKey(key, f"the key would be longer than {MAX_KEY_LENGTH} characters")
        return key

    def keys(self, owners: Iterable[str], *, by: str, **parts: str) -> tuple[dict[str, str], dict[str, str]]:
        """The keys of many values that differ in the part `by`: the key of each owner, and for the others the reason
        why they cannot have one.
        """
        ids = list(owners)
        mark = "\0"
        try:
            check(parts)
            before, _, after = self.pattern.format_map({**parts, by: mark}).partition(mark)
        except BadKey as error:
            return {}, dict.fromkeys(ids, error.why)
        room = min(MAX_PART_LENGTH, MAX_KEY_LENGTH - len(before) - len(after))
        # All at once: to check each would take longer than Redis does.
        if ids and all(ids) and max(map(len, ids)) <= room and not _BAD_PART.search("".join(ids)):
            return {owner: f"{before}{owner}{after}" for owner in ids}, {}
        found: dict[str, str] = {}
        refused: dict[str, str] = {}
        for owner in ids:
            try:
                found[owner] = self.key(**parts, **{by: owner})
            except BadKey as error:
                refused[owner] = error.why
        return found, refused

    def parse(self, key: str | bytes) -> dict[str, str] | None:
        """The parts of one of the family's keys; None for any other key."""
        if isinstance(key, bytes):
            try:
                key = key.decode()
            except UnicodeDecodeError:
                return None
        found = self._shape.fullmatch(key) if len(key) <= MAX_KEY_LENGTH else None
        return None if found is None else found.groupdict()

    def glob(self, **parts: str) -> str:
        """A pattern for SCAN that matches all of the family's keys with these parts, and possibly others: check each
        match with `parse`. Raises BadKey as `key` does.
        """
        check(parts)
        return self.pattern.format_map({part: parts.get(part, "*") for part in self.parts})


@dataclass(frozen=True, slots=True)
class CacheRequest:
    """One value to read through the cache: its family and parts, the type that its JSON must have, and the function
    that computes it on a miss. None is a valid value, which is kept for a minute at most.
    """

    family: Family
    parts: Mapping[str, str]
    shape: Any
    compute: Callable[[], Any]


class Families:
    """All declared families; finds the one that a key belongs to."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._all = tuple(families)
        self._shapes = re.compile("|".join(f"({family.shape})" for family in self._all) or "(?!)")

    def __iter__(self) -> Iterator[Family]:
        return iter(self._all)

    def owning(self, key: str | bytes) -> Family | None:
        """The family of a key; None for a key of another application."""
        try:
            found = self._shapes.fullmatch(key.decode() if isinstance(key, bytes) else key)
        except UnicodeDecodeError:
            return None
        if found is None or found.lastindex is None or len(found.string) > MAX_KEY_LENGTH:
            return None
        return self._all[found.lastindex - 1]


def clashes(families: Iterable[Family]) -> Iterator[str]:
    """Conflicts between families, one sentence each: duplicate names, and patterns that match the same key."""
    for one, other in combinations(families, 2):
        if one.name == other.name:
            yield f"two families are named {one.name}"
        elif _overlap(one.pattern.split(":"), other.pattern.split(":")):
            yield f"a key could belong to both {one.name} ({one.pattern}) and {other.name} ({other.pattern})"


def _overlap(one: list[str], other: list[str]) -> bool:
    """Whether two patterns, split at colons, can form the same key. Parts contain no colon."""
    if len(one) != len(other):
        return False
    return all("{" in a or "{" in b or a == b for a, b in zip(one, other, strict=True))


def check(parts: Mapping[str, str]) -> None:
    """Raises BadKey when a part is not allowed in a key."""
    for part in parts.values():
        if not part or len(part) > MAX_PART_LENGTH or _BAD_PART.search(part):
            raise BadKey(part, _why_bad(part))


def _why_bad(part: str) -> str:
    if not part:
        return "it is empty"
    if len(part) > MAX_PART_LENGTH:
        return f"it is longer than {MAX_PART_LENGTH} characters"
    return "it contains a colon, whitespace, or a glob or control character"
