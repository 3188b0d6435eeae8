"""A clock for processes under test: another date, and minutes that pass in a second."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec


class FastClock(msgspec.Struct, frozen=True):
    """Shows real time plus `offset_seconds`, and from the real time `base` (seconds since 1970) runs at `scale` times
    its speed. Processes with equal clocks show the same time. Travels as JSON.

    The seconds in the text file `set_by` are added, for clocks that are set while a process runs.
    """

    base: float = 0.0
    offset_seconds: float = 0.0
    scale: float = 1.0
    set_by: str | None = None

    def now(self) -> datetime:
        """Replaces `opsconsole.core.clock.now`."""
        shown = self.base + (time.time() - self.base) * self.scale + self.offset_seconds
        if self.set_by is not None:
            shown += float(Path(self.set_by).read_text())
        return datetime.fromtimestamp(shown, UTC)

    def steady(self) -> float:
        """Replaces `opsconsole.core.clock.steady`: as fast, and without the offset."""
        return time.monotonic() * self.scale


def starting_at(shown: datetime, *, scale: float) -> FastClock:
    """A clock that shows `shown` now."""
    base = time.time()
    return FastClock(base, shown.timestamp() - base, scale)
