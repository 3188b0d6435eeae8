"""Notices when the wall clock is set, by comparing it with the steady clock."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from opsconsole.core.clock import steady
from opsconsole.core.humanize import duration

log = logging.getLogger(__name__)

JUMP = timedelta(minutes=5)
"""A clock that gained this much on the steady clock since the last look was set forward."""
STEP = timedelta(seconds=1)
"""A clock that lost this much on the steady clock since the last look was set back."""


class ClockWatch:
    """Compares the clock with the one of the last look. Not thread-safe."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None

    def start(self, now: datetime) -> None:
        """Looks for the first time."""
        self._last = now, steady()

    @contextmanager
    def looking(self, now: datetime) -> Iterator[timedelta]:
        """Yields how far the clock was set forward since the last look, negative when it was set back. A block that
        raises counts as no look.
        """
        before = self._last
        try:
            yield self._gained(now)
        except BaseException:
            self._last = before
            raise

    def _gained(self, now: datetime) -> timedelta:
        before, self._last = self._last, (now, steady())
        if before is None:
            return timedelta(0)
        gained = (now - before[0]) - timedelta(seconds=self._last[1] - before[1])
        if abs(gained) > JUMP:
            log.warning("the clock was set %s by %s", "forward" if gained > JUMP else "back", duration(abs(gained)))
        return gained
