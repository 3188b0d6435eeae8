"""Waiting for what other threads and processes are about to do."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0
"""The one limit of every wait in the tests: far beyond what any of them needs on a busy machine."""


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Waits until `holds()`; fails with `what` after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:g} s: {what}"
        time.sleep(0.01)
