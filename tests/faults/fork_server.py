"""Starts real `opsconsole` processes in some ten milliseconds each, by forking one that has all the imports.

`python -m tests.faults.fork_server` is the process that forks; `ForkServer` starts it and sends it requests. It has no
threads, opens no database and ends with the process that started it; its children end with it.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import os
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from opsconsole.core.installed_packs import DEFAULT_PACKS
from tests.faults.fast_clock import FastClock
from tests.waiting import PATIENCE_SECONDS

PR_SET_PDEATHSIG = 1
REAP_SECONDS = 0.05
POLL_SECONDS = 0.01
NOTHING = "/dev/null"

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
CONSOLE = ("screens.app", "opsconsole.embedded.redis", "opsconsole.http.server", *DEFAULT_PACKS)
"""What the console, the demo and the packs that come with opsconsole import as well."""


class StartProcess(msgspec.Struct, tag=True):
    """Starts `opsconsole` with `argv`, and with `environ` instead of the fork server's environment, in `folder`.

    It appends what it prints to the files `output` and `errors`, or has the terminal of that path. It waits until
    `begin_at`, in seconds since 1970.
    """

    argv: list[str]
    environ: dict[str, str]
    folder: str
    output: str
    errors: str
    terminal: str | None
    clock: FastClock
    begin_at: float


class ListExitCodes(msgspec.Struct, tag=True):
    """Asks for the exit codes of the processes that have ended since the last request."""


Request = StartProcess | ListExitCodes


class ForkServer:
    """The client of a fork server, which imports the modules `imports` as well. Threads may share one."""

    def __init__(self, errors: Path, *, imports: Sequence[str] = ()) -> None:
        self._lock = threading.Lock()
        self._codes: dict[int, int] = {}
        with errors.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.fork_server", *imports],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=Path(__file__).parents[2],
                start_new_session=True,  # the terminal's Ctrl-C is for this process
            )

    def start(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        *,
        output: Path | str = NOTHING,
        errors: Path | str | None = None,
        terminal: str | None = None,
        folder: Path | None = None,
        clock: FastClock | None = None,
        begin_at: float = 0.0,
    ) -> Child:
        """Starts `opsconsole argv` and returns at once. `errors` is `output` by default."""
        for file in (output, errors):
            if isinstance(file, Path):
                file.touch()
        request = StartProcess(
            list(argv),
            dict(environ),
            str(folder or Path.cwd()),
            str(output),
            str(output if errors is None else errors),
            terminal,
            clock or FastClock(),
            begin_at,
        )
        with self._lock:
            pid = msgspec.json.decode(self._send(request), type=int)
            self._codes.pop(pid, None)  # of an earlier process with the same number
        return Child(self, pid)

    def run(
        self, argv: Sequence[str], environ: Mapping[str, str], *, folder: Path, clock: FastClock | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs `opsconsole argv` to its end; `folder` is its working directory and keeps what it prints."""
        files = [folder / f"{name}{time.monotonic_ns()}.log" for name in ("stdout", "stderr")]
        child = self.start(argv, environ, output=files[0], errors=files[1], folder=folder, clock=clock)
        code = child.wait()
        return subprocess.CompletedProcess(["opsconsole", *argv], code, *(file.read_text() for file in files))

    def exit_codes(self) -> dict[int, int]:
        """The exit codes of the processes that have ended, by process number; a signal is a negative number."""
        with self._lock:
            self._codes |= msgspec.json.decode(self._send(ListExitCodes()), type=dict[int, int])
            return dict(self._codes)

    def close(self) -> None:
        """Ends the fork server and every process that it started."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _send(self, request: Request) -> bytes:
        requests, responses = self._process.stdin, self._process.stdout
        assert requests is not None
        assert responses is not None
        requests.write(msgspec.json.encode(request) + b"\n")
        requests.flush()
        return responses.readline()


class Child:
    """A process that a fork server has started, with the methods of `subprocess.Popen`."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self._server = server
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.exit_codes().get(self.pid)
        return self.returncode

    def wait(self, timeout: float = PATIENCE_SECONDS) -> int:
        """Its exit code, as soon as it has ended. Raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """Sends a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)


def main() -> None:
    """Carries out requests until the pipe that they come from is closed."""
    import opsconsole.core.clock

    clock = _Clock()
    # Before anything else of opsconsole is imported: defaults of arguments take what they find.
    vars(opsconsole.core.clock).update(now=clock.now, steady=clock.steady)
    for module in (*NEEDED, *sys.argv[1:]):
        import_module(module)
    from tests.faults.write_monitor import sign_connections

    sign_connections()
    gc.collect()
    gc.freeze()  # what is here is shared by all children as long as none of them writes to it
    requests, responses = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    ended: dict[int, int] = {}
    decoder = msgspec.json.Decoder(Request)
    while True:
        ready, _, _ = select.select([requests], [], [], REAP_SECONDS)
        _reap(ended)
        if not ready:
            continue
        line = requests.readline()
        if not line:
            return
        request = decoder.decode(line)
        if isinstance(request, StartProcess):
            child = os.fork()
            if child == 0:
                requests.close()
                responses.close()
                _become(request, clock)
            ended.pop(child, None)  # of an earlier process with the same number
            responses.write(b"%d\n" % child)
        else:
            responses.write(msgspec.json.encode(ended) + b"\n")
            ended.clear()


class _Clock:
    """The clock of the process that this one becomes."""

    def __init__(self) -> None:
        self.shown = FastClock()

    def now(self) -> datetime:
        return self.shown.now()

    def steady(self) -> float:
        return self.shown.steady()


def _reap(ended: dict[int, int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        ended[pid] = os.waitstatus_to_exitcode(status)


def _become(request: StartProcess, clock: _Clock) -> None:
    """What a child does: it gets its own session, files and environment and runs the command line. Never returns."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    if request.terminal is not None:
        files = [os.open(request.terminal, os.O_RDWR)]
        fcntl.ioctl(files[0], termios.TIOCSCTTY, 0)
        os.dup2(files[0], 0)
        os.dup2(files[0], 1)
        os.dup2(files[0], 2)
    else:
        files = [
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for path in (request.output, request.errors)
        ]
        os.dup2(files[0], 1)
        os.dup2(files[1], 2)
    for file in files:
        os.close(file)
    # The streams of this process believe that they can be positioned, which a terminal cannot.
    sys.stdout = os.fdopen(1, "w", buffering=1 if os.isatty(1) else -1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False, errors="backslashreplace")
    os.chdir(request.folder)
    sys.path[:0] = [request.folder, *request.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ.clear()
    os.environ.update({"PGAPPNAME": str(os.getpid())} | request.environ)
    time.tzset()
    clock.shown = request.clock
    sys.argv = ["opsconsole", *request.argv]

    from opsconsole.cli import main as command_line
    from opsconsole.core import failpoints
    from opsconsole.core.garbage import spare_start_and_end

    spare_start_and_end()

    failpoints._SETTING = request.environ.get("FAILPOINT", "")  # it was read when the fork server imported it
    time.sleep(max(0.0, request.begin_at - time.time()))
    command_line()


if __name__ == "__main__":
    main()
