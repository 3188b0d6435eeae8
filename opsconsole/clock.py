"""The wall clock, read in one place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current time, aware, in UTC. Whoever needs the time takes one, so that a test can set it."""


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)
