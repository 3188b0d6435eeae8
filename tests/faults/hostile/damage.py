"""What several odd jobs do."""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from typing import Any

GIGABYTE = 1 << 30
PRINTED = GIGABYTE // 8
GARBAGE = b'\xff\xfe\x00{"run": 1, "ok": nan}\n' * 10_000
_LEFT: list[Any] = []


class NoText(Exception):
    """An exception that has no text."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


def ten_gigabytes() -> bytearray:
    """Ten gigabytes, written to."""
    memory = bytearray()
    for _ in range(40):
        memory += b"x" * (GIGABYTE // 4)
    return memory


def print_much() -> None:
    """Prints an eighth of a gigabyte."""
    line = "x" * 1023 + "\n"
    for _ in range(PRINTED // 1024):
        sys.stdout.write(line)
    sys.stdout.flush()


def pipes() -> list[int]:
    """The descriptors of pipes. Files are left out: nothing can keep a job from writing to a database's."""
    return [file for file in range(1 << 10) if _is_pipe(file)]


def write_garbage() -> None:
    """Writes garbage to every pipe."""
    for file in pipes():
        try:
            os.set_blocking(file, False)
            os.write(file, GARBAGE)
        except OSError:
            continue


def start_endless_thread() -> None:
    """Starts a thread that never ends, and that the end of the process would wait for."""
    threading.Thread(target=_run_for_ever, daemon=False).start()


def begin_and_leave(ctx: Any) -> None:
    """Begins a write transaction and never ends it."""
    writing = ctx.writing()
    writing.__enter__()
    _LEFT.append(writing)


def keep(thing: Any) -> None:
    """Keeps a thing for the rest of this process."""
    _LEFT.append(thing)


def _run_for_ever() -> None:
    while True:
        time.sleep(0.01)


def _is_pipe(file: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(file).st_mode)
    except OSError:
        return False
