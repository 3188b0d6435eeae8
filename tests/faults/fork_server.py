"""Gives birth to real `opsconsole` processes in some ten milliseconds each: by forking one that has all the imports.

`python -m tests.faults.fork_server` is that process; `Nursery` starts it and asks it. It has no threads, opens no
database and ends with whoever asks; its children end with it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.faults.fast_clock import Pace

PR_SET_PDEATHSIG = 1
REAP_SECONDS = 0.05

NEEDED = (
    "opsconsole.cli",
    "opsconsole.service.service",
    "opsconsole.leader.engine",
    "opsconsole.worker.inline",
    "opsconsole.worker.processes",
    "opsconsole.store.migrate",
    "opsconsole.worker.work",
    "alembic.command",
    "croniter",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "tests.faults.write_monitor",
    "tests.packs.chaos",
)
"""What a child imports sooner or later."""


class Birth(msgspec.Struct, tag=True):
    """A process to start: `opsconsole` with `argv`, `environ` instead of this one's, what it prints at the end of the
    file `output`, its clock, and when it is to begin, in seconds since 1970.
    """

    argv: list[str]
    environ: dict[str, str]
    output: str
    pace: Pace
    begin_at: float = 0.0


class Count(msgspec.Struct, tag=True):
    """Asks who has ended since the last time."""


Asked = Birth | Count


class Nursery:
    """The nursery's other end. Threads may share one; `born` returns at once, the process begins by itself."""

    def __init__(self, errors: Path) -> None:
        self._lock = threading.Lock()
        self._codes: dict[int, int] = {}
        with errors.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.fork_server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=Path(__file__).parents[2],
                start_new_session=True,  # the terminal's Ctrl-C is for whoever asks
            )

    def born(self, argv: list[str], environ: dict[str, str], output: Path, pace: Pace, begin_at: float = 0.0) -> int:
        """Starts `opsconsole argv` and returns its process number."""
        return msgspec.json.decode(self._ask(Birth(argv, environ, str(output), pace, begin_at)), type=int)

    def exit_codes(self) -> dict[int, int]:
        """How those ended that have; a signal is a negative number."""
        self._codes |= msgspec.json.decode(self._ask(Count()), type=dict[int, int])
        return dict(self._codes)

    def close(self) -> None:
        """Ends the nursery and every process that it started."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _ask(self, what: Asked) -> bytes:
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        with self._lock:
            asked.write(msgspec.json.encode(what) + b"\n")
            asked.flush()
            return answers.readline()


def main() -> None:
    """Starts what is asked for until nobody asks any more."""
    import opsconsole.core.clock

    clock = _Clock()
    # Before anything else of opsconsole is imported: defaults of arguments take what they find.
    vars(opsconsole.core.clock).update(now=clock.now, steady=clock.steady)
    for module in NEEDED:
        import_module(module)
    from tests.faults.write_monitor import sign_connections

    sign_connections()
    gc.collect()
    gc.freeze()  # what is here is shared by all children as long as nobody writes to it
    asked, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    ended: dict[int, int] = {}
    decoder = msgspec.json.Decoder(Asked)
    while True:
        ready, _, _ = select.select([asked], [], [], REAP_SECONDS)
        _reap(ended)
        if not ready:
            continue
        line = asked.readline()
        if not line:
            return
        order = decoder.decode(line)
        if isinstance(order, Birth):
            child = os.fork()
            if child == 0:
                asked.close()
                answers.close()
                _live(order, clock)
            answers.write(b"%d\n" % child)
        else:
            answers.write(msgspec.json.encode(ended) + b"\n")
            ended.clear()


class _Clock:
    """The clock of whoever this process becomes."""

    def __init__(self) -> None:
        self.pace = Pace()

    def now(self) -> datetime:
        return self.pace.now()

    def steady(self) -> float:
        return self.pace.steady()


def _reap(ended: dict[int, int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        ended[pid] = os.waitstatus_to_exitcode(status)


def _live(order: Birth, clock: _Clock) -> None:
    """What a child does: become a process of its own and run the command line. Never returns."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    output = os.open(order.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(order.environ, PGAPPNAME=str(os.getpid()))
    clock.pace = order.pace
    sys.argv = ["opsconsole", *order.argv]

    from opsconsole.cli import main as command_line
    from opsconsole.core import failpoints

    failpoints._SET = order.environ.get("FAILPOINT", "")  # it was read when the nursery imported it
    time.sleep(max(0.0, order.begin_at - time.time()))
    command_line()


if __name__ == "__main__":
    main()
