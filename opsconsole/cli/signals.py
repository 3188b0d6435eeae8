"""How a process ends on a signal: the first one closes everything in order, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WATCH_SECONDS = 15.0
"""Longer than the grace period of batches in flight; a process that has not ended by then hangs."""

_received: list[int] = []


def install_handlers() -> None:
    """Turns an ending signal into an exception in the main thread, so that everything open is closed."""
    for number in ENDING:
        signal.signal(number, _receive)


def start_watchdog(code: int) -> None:
    """Ends this process with `code` if it has not ended within WATCH_SECONDS."""
    watchdog = threading.Timer(WATCH_SECONDS, os._exit, (code,))
    watchdog.daemon = True
    watchdog.start()


def _receive(number: int, _frame: FrameType | None) -> None:
    if _received:
        os._exit(128 + number)
    _received.append(number)
    start_watchdog(128 + number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
