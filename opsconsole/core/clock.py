"""The wall clock, and a steady clock that is never set."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current time, aware, in UTC. Passed as an argument, so that tests can set the time."""


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


def steady() -> float:
    """Seconds since an arbitrary moment, including time asleep on systems that can measure it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
