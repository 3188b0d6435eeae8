"""Until when the processes of a leader may work: a number in memory that it shares with its workers.

A leader that is stopped cannot end its workers. They end themselves before another process can lead.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import tempfile
import weakref

from opsconsole.core.clock import boottime

_SIZE = 8


class LeaseDeadline:
    """The end of a lease in seconds of `clock.boottime`, which is the same for all processes of a machine.

    New ones are over until they are extended. Workers inherit the descriptor `file`, and open their leader's by it.
    """

    def __init__(self, file: int | None = None) -> None:
        self.file = _new_memory() if file is None else file
        os.set_inheritable(self.file, False)
        weakref.finalize(self, os.close, self.file)
        # One aligned number is read and written at once.
        self._until = memoryview(mmap.mmap(self.file, _SIZE)).cast("d")

    @property
    def is_over(self) -> bool:
        """Whether nobody may work under this lease any more."""
        return boottime() >= self._until[0]

    @property
    def seconds_left(self) -> float:
        """How long work may still continue under this lease."""
        return max(0.0, self._until[0] - boottime())

    def extend(self, until: float) -> None:
        """Moves the deadline, after the lease was taken or renewed."""
        self._until[0] = until

    def end_if_over(self) -> None:
        """Ends this process, and those it has started in its own process group, if the deadline is over."""
        if self.is_over:
            if os.getpgrp() == os.getpid():
                os.killpg(0, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def _new_memory() -> int:
    if sys.platform == "linux":
        file = os.memfd_create("lease")
    else:
        with tempfile.TemporaryFile() as unnamed:
            file = os.dup(unnamed.fileno())
    os.ftruncate(file, _SIZE)
    return file
