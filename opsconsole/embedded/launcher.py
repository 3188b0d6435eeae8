"""Starts a server that ends when its parent process ends, even by kill -9.

Run by path, as `python -I -S launcher.py PARENT_PID SERVER ARGUMENTS...`: every start of the server waits for
this file, so it imports little of the standard library and nothing of opsconsole. `-I` also keeps this folder off the
path, where redis.py would shadow the client library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from types import FrameType

PR_SET_PDEATHSIG = 1  # linux/prctl.h
POLL_SECONDS = 0.1


def kill_with_parent() -> bool:
    """Makes the kernel kill this process when its parent thread ends; False if unsupported (macOS).

    SIGKILL rather than SIGTERM: there is nothing to save, it also ends a server that hangs, and a server that shuts
    down slowly would remove the socket of its successor.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)) == 0


def supervise(parent: int, command: list[str]) -> int:
    """Runs `command` and kills it when `parent` is no longer this process's parent; returns its exit code."""
    received: list[int] = []

    def record(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    signal.signal(signal.SIGTERM, record)
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
        if received:
            os.kill(child, received.pop())
        time.sleep(POLL_SECONDS)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def main(arguments: list[str]) -> int:
    """Replaces itself by the server where the kernel watches the parent; supervises it elsewhere."""
    parent, command = int(arguments[0]), arguments[1:]
    watched = kill_with_parent()
    if os.getppid() != parent:  # the parent ended before the request, so the kernel will send no signal
        return 1
    if watched:
        os.execv(command[0], command)
    return supervise(parent, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
