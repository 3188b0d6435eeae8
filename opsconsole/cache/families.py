"""A family of cache keys: its pattern, its time to live, and which part of it names whom."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from opsconsole.errors import OpsconsoleError
from opsconsole.text import safe

LONGEST_PART = 100
LONGEST_KEY = 249
# A colon would name another key, a glob character would match others when keys are cleared, and blanks, control
# characters and backslashes do not survive the tools that people look with.
_BAD_PART = re.compile(r"[:*?\[\]\\\s\x00-\x1f\x7f-\x9f]")


class BadKey(OpsconsoleError):
    """An id that cannot be part of a cache key; `why` says so without naming it, so that such items count together."""

    def __init__(self, part: str, why: str) -> None:
        self.why = f"its id cannot be part of a cache key: {why}"
        super().__init__(f"{safe(part, 60)!r} cannot be part of a cache key: {why}")


@dataclass(frozen=True, slots=True)
class Family:
    """Keys of one kind. `pattern` has its parts in braces (`date:user:{date}:{user}`); `of` are the parts that name
    whom a key belongs to; `ttl` is how long a value lives.
    """

    name: str
    pattern: str
    ttl: timedelta
    of: tuple[str, ...] = ()

    @property
    def ttl_seconds(self) -> int:
        """The time to live as Redis takes it."""
        return int(self.ttl.total_seconds())

    def key(self, **parts: str) -> str:
        """The key of one value. Raises BadKey when a part cannot stand in a key."""
        for part in parts.values():
            if not part or len(part) > LONGEST_PART or _BAD_PART.search(part):
                raise BadKey(part, _why_bad(part))
        key = self.pattern.format_map(parts)
        if len(key) > LONGEST_KEY:
            raise BadKey(key, f"the key would be longer than {LONGEST_KEY} characters")
        return key


def _why_bad(part: str) -> str:
    if not part:
        return "it is empty"
    if len(part) > LONGEST_PART:
        return f"it is longer than {LONGEST_PART} characters"
    return "it contains a colon, a blank, or a glob or control character"
