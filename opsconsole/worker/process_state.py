"""What job code may change in its process and the next job must not find."""

from __future__ import annotations

import gc
import locale
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from opsconsole.core.settings import environment

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE)
LIMITED = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_DATA)


class ProcessState:
    """The state of this process, to notice a change. It covers what is shared and easily changed, not what a job may
    replace within Python.
    """

    def __init__(self) -> None:
        self._before = _state()

    def is_unchanged(self) -> bool:
        """Whether nothing has changed."""
        with suppress(Exception):  # such as for a closed descriptor, or a function of Python that was replaced
            return _state() == self._before
        return False


def _state() -> tuple[Any, ...]:
    mode = os.umask(0o077)
    os.umask(mode)
    return (
        mode,
        [file[:3] for file in (Path().stat(), os.fstat(1), os.fstat(2))],
        dict(environment()),
        list(sys.path),
        [(stream, stream.closed) for stream in (sys.stdout, sys.stderr)],
        [signal.getsignal(number) for number in HANDLED],
        signal.getitimer(signal.ITIMER_REAL),
        [resource.getrlimit(limit) for limit in LIMITED],
        threading.enumerate(),
        (time.tzname, locale.setlocale(locale.LC_ALL)),
        (gc.isenabled(), sys.getrecursionlimit(), sys.getswitchinterval(), socket.getdefaulttimeout()),
        (sys.getprofile(), sys.gettrace(), logging.root.manager.disable, list(logging.root.handlers)),
    )
