"""How a process ends on a signal: the first one closes everything in order, the second ends it at once. A line that
drops may hang up twice, which is one signal.

Imports next to nothing, so that it can come first: a signal during start-up is handled, too.
"""

from __future__ import annotations

import os
import signal
import threading
from queue import SimpleQueue
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WITHOUT_MEANING = (signal.SIGUSR1, signal.SIGUSR2)
"""They would end a process that does not handle them."""
WATCH_SECONDS = 15.0
"""Longer than the grace period of batches in flight; a process that has not ended by then hangs."""
INTERRUPTED = 128 + signal.SIGINT
"""The exit code after Ctrl+C."""

_received: list[int] = []
_hangups: SimpleQueue[int] = SimpleQueue()
_keeps_hangups = False


def install_handlers() -> None:
    """Turns an ending signal into an exception in the main thread, so that everything open is closed.

    SIGHUP is kept until `end_on_hangup` or `keep_hangups`: what it means depends on the command. A process that was
    started to ignore it, as by nohup, ignores it.
    """
    global _keeps_hangups
    if signal.getsignal(signal.SIGTERM) is _receive:
        return
    _keeps_hangups = True
    for number in ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _receive)
    for number in WITHOUT_MEANING:
        signal.signal(number, _ignore)  # SIG_IGN would be inherited by every process that this one starts


def end_on_hangup() -> None:
    """From now on SIGHUP ends this process, also if it came before."""
    global _keeps_hangups
    _keeps_hangups = False
    if not _hangups.empty():
        _receive(_hangups.get(), None)


def keep_hangups() -> SimpleQueue[int]:
    """SIGHUP does not end this process; returns a queue with an element for each."""
    signal.signal(signal.SIGHUP, _receive)
    return _hangups


def end_at_once() -> None:
    """Makes ending signals end this process at once, without closing anything: for a process that waits for input in a
    thread, which cannot be interrupted.
    """
    for number in ENDING:
        signal.signal(number, _end)


def start_watchdog(code: int) -> None:
    """Ends this process with `code` if it has not ended within WATCH_SECONDS."""
    watchdog = threading.Timer(WATCH_SECONDS, os._exit, (code,))
    watchdog.daemon = True
    watchdog.start()


def _receive(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGHUP and _keeps_hangups:
        _hangups.put(number)
        return
    if _received and number == signal.SIGHUP:
        return
    if _received:
        os._exit(128 + number)
    _received.append(number)
    start_watchdog(128 + number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass
