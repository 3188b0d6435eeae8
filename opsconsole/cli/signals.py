"""How a process ends that is told to: at the first signal in good order, at the second at once, and always."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WATCH_SECONDS = 15.0
"""Longer than the grace that batches in flight have; what has not ended by then hangs."""

_received: list[int] = []


def end_in_order() -> None:
    """From now on a signal to end is an exception in the main thread, so that whatever was opened is closed."""
    for number in ENDING:
        signal.signal(number, _receive)


def watch(code: int) -> None:
    """Ends this process with `code` when it has not ended by itself by the time it should have."""
    watchdog = threading.Timer(WATCH_SECONDS, os._exit, (code,))
    watchdog.daemon = True
    watchdog.start()


def _receive(number: int, _frame: FrameType | None) -> None:
    if _received:
        os._exit(128 + number)
    _received.append(number)
    watch(128 + number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
