"""Waiting for what other threads and processes are about to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE_SECONDS = 120.0
"""The one limit of every wait in the tests: far beyond what any of them needs on a busy machine."""


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Waits until `holds()`; fails with `what` after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:g} s: {what}"
        time.sleep(0.01)


def signalled(event: threading.Event, what: str) -> None:
    """Waits until an event is set; fails with `what` after PATIENCE_SECONDS."""
    assert event.wait(PATIENCE_SECONDS), f"not within {PATIENCE_SECONDS:g} s: {what}"


def finished(thread: threading.Thread) -> None:
    """Waits until a thread has ended; fails after PATIENCE_SECONDS."""
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), f"not within {PATIENCE_SECONDS:g} s: {thread.name} has ended"
