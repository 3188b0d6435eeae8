"""cronstable's terminal dashboard, for comparison: a client of its daemon, which runs as many jobs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.console import measures
from benchmarks.console.measures import Start
from benchmarks.console.place import COLUMNS, ROWS
from benchmarks.console.tty import Tty, cpu_seconds
from benchmarks.figures import Figure

JOBS = 18
MARK = "▎"
"""What it draws before the selected row."""
CLOSE_SECONDS = 10.0

JOB = """\
  - name: job-{n:02}
    command: "true"
    schedule: "{minute} {hour} * * *"
"""
WEB = """\
web:
  listen:
    - http://127.0.0.1:{port}
"""


class Cronstable:
    """A daemon with its own configuration in a folder, of the program at `path`."""

    def __init__(self, path: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._path, self._folder = path.absolute(), folder
        self._url = f"http://127.0.0.1:{_free_port()}"
        jobs = "".join(JOB.format(n=n, minute=n, hour=n) for n in range(JOBS))
        self._config = folder / "cronstable.yaml"
        self._config.write_text(f"jobs:\n{jobs}" + WEB.format(port=self._url.rpartition(":")[2]))
        self._env = {**os.environ, "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}

    @property
    def version(self) -> str:
        """The version of the program."""
        return subprocess.check_output([self._path, "--version"], text=True).strip()

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        """The daemon until the end of the block, from when it accepts connections on."""
        with (self._folder / "daemon.log").open("wb") as log:
            process = subprocess.Popen(
                [self._path, "-c", self._config],
                env=self._env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            while not _accepts(self._url):
                if process.poll() is not None:
                    raise RuntimeError(f"cronstable has ended; see {log.name}")
                time.sleep(0.05)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    @contextmanager
    def console(self) -> Iterator[Tty]:
        """Its dashboard until the end of the block, from its start on, without the start-up animation."""
        command = [str(self._path), "tui", "--no-boot", "--url", self._url]
        tty = Tty(command, self._env, self._folder, (COLUMNS, ROWS))
        try:
            yield tty
        finally:
            tty.close()


def start(tty: Tty) -> Start:
    """From exec to the names of the columns, to a job, and to all jobs."""
    frame = tty.until(lambda text: "schedule" in text)
    jobs = tty.until(lambda text: "job-0" in text)
    everything = tty.until(lambda text: all(f"job-{n:02}" in text for n in range(JOBS)))
    first_frame, first_jobs, all_jobs = (1000 * (at - tty.began) for at in (frame, jobs, everything))
    return Start(first_frame, first_jobs, all_jobs, tty.received)


def figures(path: Path, folder: Path, *, starts: int, keys: int) -> Iterator[Figure]:
    """The figures of an installation of cronstable in a new folder, named as those of the console."""
    program = Cronstable(path, folder)
    place = f"cronstable {program.version}, {JOBS} jobs"
    with program.daemon() as daemon:
        found = []
        for turn in range(starts + 1):
            with program.console() as tty:
                each = start(tty)
                if turn:
                    found.append(each)
        yield from measures.of_starts(place, found)
        with program.console() as tty:
            start(tty)
            before, began = cpu_seconds(daemon.pid), time.perf_counter()
            idle = measures.idle(tty)
            of_daemon = (cpu_seconds(daemon.pid) - before) / (time.perf_counter() - began)
            yield Figure(
                place, measures.IDLE_PROCESSOR, 100 * idle.cpu, "%", note=f"and {100 * of_daemon:.2f} % of the daemon"
            )
            yield Figure(place, measures.IDLE_BYTES, idle.bytes, "B")
            moves = measures.moves(tty, keys, mark=MARK)
            yield from measures.of_moves(place, moves)


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port


def _accepts(url: str) -> bool:
    host, _, port = url.removeprefix("http://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True
