"""The wall clock, read in one place, and a steady one beside it that nobody sets."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current time, aware, in UTC. Whoever needs the time takes one, so that a test can set it."""


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


def steady() -> float:
    """Seconds since some fixed moment; they also pass while the machine sleeps, where the system can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
