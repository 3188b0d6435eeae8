"""Starts a server that ends when the process that wanted it ends, even by kill -9.

Run by path, as `python -I -S launcher.py PARENT_PID SERVER ARGUMENTS...`: every start of the server waits for this
file, so it imports small parts of the standard library and nothing of opsconsole. `-I` also keeps this folder off the
path, where redis.py would pose as the client library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from types import FrameType

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOOK_SECONDS = 0.1


def dies_with_parent() -> bool:
    """Has the kernel kill this process when the thread that started it ends; False where it cannot be asked (macOS).

    SIGKILL rather than SIGTERM: there is nothing to save, a server that hangs goes too, and one that shuts down slowly
    would remove the socket of its successor.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)) == 0


def stay(parent: int, command: list[str]) -> int:
    """Runs `command` and kills it when `parent` is no longer this process's parent; returns its exit code."""
    asked: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    signal.signal(signal.SIGTERM, remember)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            os.execv(command[0], command)
        except OSError as error:
            os.write(sys.stderr.fileno(), f"{command[0]}: {error}\n".encode())
        finally:
            os._exit(127)
    while os.getppid() == parent:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if asked:
            os.kill(child, asked.pop())
        time.sleep(LOOK_SECONDS)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def main(arguments: list[str]) -> int:
    """Becomes the server where the kernel watches the parent, else stays beside it."""
    parent, command = int(arguments[0]), arguments[1:]
    watched = dies_with_parent()
    if os.getppid() != parent:  # it went before the kernel was asked, so no signal will ever come
        return 1
    if watched:
        os.execv(command[0], command)
    return stay(parent, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
