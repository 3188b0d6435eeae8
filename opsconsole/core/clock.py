"""The wall clock, and a steady clock that is never set."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

Clock = Callable[[], datetime]
"""Returns the current time, aware, in UTC. Passed as an argument, so that tests can set the time."""


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


def boottime() -> float:
    """Seconds since the machine started, including time asleep on systems that can measure it. The same for all
    processes of a machine.
    """
    return time.clock_gettime(_BOOTTIME)


def steady() -> float:
    """Seconds since an arbitrary moment, for durations that people see. Tests can make it run faster."""
    return boottime()
