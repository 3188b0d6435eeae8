"""A family of cache keys: its pattern, its time to live, which part of it names whom, and what it is made from."""

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

LONGEST_PART = 100
LONGEST_KEY = 249
# A colon would name another key, a glob character would match others when keys are cleared, and blanks, control
# characters and backslashes do not survive the tools that people look with.
_BAD = r":*?\[\]\\\s\x00-\x1f\x7f-\x9f\ud800-\udfff"
_BAD_PART = re.compile(f"[{_BAD}]")
_BAD_LITERAL = re.compile(r"[*?\[\]\\\s\x00-\x1f\x7f-\x9f]")
_GOOD_PART = f"[^{_BAD}]{{1,{LONGEST_PART}}}"


class BadKey(OpsconsoleError):
    """An id that cannot be part of a cache key; `why` says so without naming it, so that such items count together."""

    exit_code = Exit.USAGE

    def __init__(self, part: str, why: str) -> None:
        self.why = f"its id cannot be part of a cache key: {why}"
        super().__init__(f"{safe(part, 60)!r} cannot be part of a cache key: {why}")


@dataclass(frozen=True, slots=True)
class Family:
    """Keys of one kind. `pattern` has its parts in braces (`date:user:{date}:{user}`); `of` are the parts that name
    whom a key belongs to; `ttl` is how long a value lives, None for one that stays; `made_from` are the tables (or
    whatever else jobs change) that a value was worked out from; a value of more than `compress_over` bytes is kept
    compressed, none when None.

    Raises ValueError for a pattern that other keys than its own could match.
    """

    name: str
    pattern: str
    ttl: timedelta | None
    of: tuple[str, ...] = ()
    made_from: tuple[str, ...] = ()
    compress_over: int | None = None
    parts: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _shape: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pieces = [(literal, part) for literal, part, _, _ in Formatter().parse(self.pattern)]
        parts = tuple(part for _, part in pieces if part is not None)
        if len(set(parts)) < len(parts) or not all(part.isidentifier() for part in parts):
            raise ValueError(f"family {self.name}: each part of {self.pattern!r} needs a name of its own")
        if _BAD_LITERAL.search("".join(literal for literal, _ in pieces)) or not pieces[0][0]:
            raise ValueError(
                f"family {self.name}: {self.pattern!r} must begin with its own word, without * ? [ ] or \\"
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
        """The time to live as Redis takes it."""
        return None if self.ttl is None else int(self.ttl.total_seconds())

    @property
    def shape(self) -> str:
        """The regular expression of the family's keys, without groups."""
        return re.sub(r"\(\?P<\w+>", "(?:", self._shape.pattern)

    def key(self, **parts: str) -> str:
        """The key of one value. Raises BadKey when a part cannot stand in a key."""
        check(parts)
        key = self.pattern.format_map(parts)
        if len(key) > LONGEST_KEY:
            raise BadKey(key, f"the key would be longer than {LONGEST_KEY} characters")
        return key

    def parse(self, key: str | bytes) -> dict[str, str] | None:
        """The parts of one of the family's keys; None for any other key."""
        if isinstance(key, bytes):
            try:
                key = key.decode()
            except UnicodeDecodeError:
                return None
        found = self._shape.fullmatch(key) if len(key) <= LONGEST_KEY else None
        return None if found is None else found.groupdict()

    def glob(self, **known: str) -> str:
        """A pattern for SCAN that all of the family's keys with the `known` parts match, and perhaps others: what it
        finds is to be looked at with `parse`. Raises BadKey as `key` does.
        """
        check(known)
        return self.pattern.format_map({part: known.get(part, "*") for part in self.parts})


@dataclass(frozen=True, slots=True)
class CacheRequest:
    """One value to be read through the cache: its family and parts, the shape that its JSON must have, and how to work
    it out where it is not there; None is a value too.
    """

    family: Family
    parts: Mapping[str, str]
    shape: Any
    compute: Callable[[], Any]


class Families:
    """All declared families, and which of them a key belongs to."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._all = tuple(families)
        self._shapes = re.compile("|".join(f"({family.shape})" for family in self._all) or "(?!)")

    def __iter__(self) -> Iterator[Family]:
        return iter(self._all)

    def owning(self, key: str | bytes) -> Family | None:
        """The family of a key; None when it is somebody else's."""
        try:
            found = self._shapes.fullmatch(key.decode() if isinstance(key, bytes) else key)
        except UnicodeDecodeError:
            return None
        if found is None or found.lastindex is None or len(found.string) > LONGEST_KEY:
            return None
        return self._all[found.lastindex - 1]


def clashes(families: Iterable[Family]) -> Iterator[str]:
    """What is wrong with families side by side, a sentence each: a name that two have, a key that two would own."""
    for one, other in combinations(families, 2):
        if one.name == other.name:
            yield f"two families are named {one.name}"
        elif _may_meet(one.pattern.split(":"), other.pattern.split(":")):
            yield f"a key could belong to both {one.name} ({one.pattern}) and {other.name} ({other.pattern})"


def _may_meet(one: list[str], other: list[str]) -> bool:
    """Whether two patterns, cut at their colons, can make one key; parts hold no colon."""
    if len(one) != len(other):
        return False
    return all("{" in a or "{" in b or a == b for a, b in zip(one, other, strict=True))


def check(parts: Mapping[str, str]) -> None:
    """Raises BadKey when one of the parts cannot stand in a key."""
    for part in parts.values():
        if not part or len(part) > LONGEST_PART or _BAD_PART.search(part):
            raise BadKey(part, _why_bad(part))


def _why_bad(part: str) -> str:
    if not part:
        return "it is empty"
    if len(part) > LONGEST_PART:
        return f"it is longer than {LONGEST_PART} characters"
    return "it contains a colon, a blank, or a glob or control character"
