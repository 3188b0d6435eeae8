"""A clock for processes under test: another date, and minutes that pass in a second."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import msgspec


class Pace(msgspec.Struct, frozen=True):
    """What a clock shows: since the real time `base` (in seconds since 1970) its time goes `scale` times as fast, and
    `offset_seconds` are added. Processes with one Pace show one time. Travels as JSON.
    """

    base: float = 0.0
    offset_seconds: float = 0.0
    scale: float = 1.0

    def now(self) -> datetime:
        """What `opsconsole.core.clock.now` returns instead of the real time."""
        shown = self.base + (time.time() - self.base) * self.scale + self.offset_seconds
        return datetime.fromtimestamp(shown, UTC)

    def steady(self) -> float:
        """What `opsconsole.core.clock.steady` returns: it goes as fast, and no offset moves it."""
        return time.monotonic() * self.scale


def since(shown: datetime, *, scale: float) -> Pace:
    """A clock that shows `shown` now."""
    base = time.time()
    return Pace(base, shown.timestamp() - base, scale)
