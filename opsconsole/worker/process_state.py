"""What job code may change in its process and the next job must not find."""

from __future__ import annotations

import os
import signal
import sys

from opsconsole.core.settings import environment, set_environment

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE)


class ProcessState:
    """The working directory, environment, output, signals, timers and file mode of this process, to be put back."""

    def __init__(self) -> None:
        self._folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)  # also when it is renamed
        self._output = os.dup(1)
        self._environment = dict(environment())
        self._path = list(sys.path)
        self._handlers = {number: signal.getsignal(number) for number in HANDLED}
        self._mode = os.umask(0o077)
        os.umask(self._mode)

    def restore(self) -> None:
        """Puts everything back that has changed."""
        os.fchdir(self._folder)
        os.umask(self._mode)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)
        if self._environment != environment():
            set_environment(self._environment)
        sys.path[:] = self._path
        if any(stream is None or stream.closed for stream in (sys.stdout, sys.stderr)):
            for descriptor in (1, 2):
                os.dup2(self._output, descriptor)
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - as long as the process lives
            sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
