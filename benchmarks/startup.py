"""Measures starting and idling: commands, headless and console.

The processor time of a start is given as well, because a busy machine affects it less.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.console import measures
from benchmarks.console.place import JOB, Place
from benchmarks.console.tty import Tty
from benchmarks.environment import POSTGRES, databases, machine
from benchmarks.figures import Figure, of_rounds
from benchmarks.options import Figures
from opsconsole.core import clock
from tests.services import PrivatePostgres

COMMANDS, READY, IDLE, CONSOLE = "commands", "ready", "idle", "console"
PARTS = (COMMANDS, READY, IDLE, CONSOLE)
JOBS = {20: 0.8, 1_000: 1.2, 10_000: 3.0}
SETTLED_SECONDS = 8.0


@dataclass(frozen=True)
class How:
    """How often a start is measured after one that warms up, and for how long an idle process is."""

    starts: int = 3
    idle_seconds: float = 60.0


@dataclass(frozen=True)
class Sample:
    """What the threads of a process have used so far: nanoseconds by thread, and how often they went to sleep."""

    at: float
    threads: dict[str, int]
    sleeps: int


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--starts", type=int, default=3, help="measured starts after one warm-up (default: 3)")
    parser.add_argument("--idle-seconds", type=float, default=60.0, help="how long idling is measured (default: 60)")
    args = parser.parse_args()
    began, about = clock.now(), machine()
    figures: list[Figure] = []
    for figure in measure(args.parts, How(args.starts, args.idle_seconds)):
        figures.append(figure)
        print(" ".join(filter(None, figure.cells)), file=sys.stderr, flush=True)
    about["load afterwards"] = [round(load, 2) for load in os.getloadavg()]
    report.finish("startup", figures, began, about, publish=False)
    return 0


def measure(parts: Sequence[str], how: How) -> Figures:
    """The figures of these parts."""
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder:
        for part in parts:
            yield from MEASURED[part](Path(folder), how)


# --- commands -------------------------------------------------------------------------------------------------------


def _commands(folder: Path, how: How) -> Figures:
    place = Place(folder / "commands")
    cases = {
        "--help": (250.0, ("--help",)),
        f"next {JOB}": (350.0, ("next", JOB)),
        "jobs": (400.0, ("jobs",)),
        f"run {JOB} --wait, without items": (700.0, ("run", JOB, "--wait")),
    }
    for name, (goal, words) in cases.items():
        taken = [_timed(place, words) for _ in range(how.starts + 1)][1:]
        cpu = statistics.median(cpu for _, cpu in taken)
        yield of_rounds(COMMANDS, name, [1000 * wall for wall, _ in taken], "ms", goal, note=_processor(cpu))


def _processor(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms of processor time"


def _timed(place: Place, words: tuple[str, ...]) -> tuple[float, float]:
    """Seconds, and seconds of processor time with children, of one command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(place.command(*words), env=place.env, cwd=place.folder, capture_output=True, check=False)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr.decode()
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# --- headless -------------------------------------------------------------------------------------------------------


def _ready(folder: Path, how: How) -> Figures:
    for jobs, goal in JOBS.items():
        place = Place(folder / f"ready-{jobs}", jobs=jobs)
        taken = []
        for _ in range(how.starts + 1):
            with _headless(place) as (process, began):
                taken.append((time.perf_counter() - began, _sample(process.pid)))
        taken = taken[1:]
        used = statistics.median(sum(sample.threads.values()) for _, sample in taken) / 1e9
        yield of_rounds(
            READY, f"headless with {jobs:,} jobs", [wall for wall, _ in taken], "s", goal, note=_processor(used)
        )


@contextmanager
def _headless(place: Place, *words: str) -> Iterator[tuple[subprocess.Popen[str], float]]:
    """A headless process that leads and has its workers, and when it was started."""
    began = time.perf_counter()
    process = subprocess.Popen(
        place.command("headless", *words), env=place.env, cwd=place.folder, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if '"message":"ready' in line:
                break
        else:
            raise RuntimeError("the headless process has ended")
        yield process, began
    finally:
        process.terminate()
        process.communicate()


def _idle(folder: Path, how: How) -> Figures:
    with _headless(Place(folder / "idle")) as (process, _):
        yield from _idling("headless leader", process.pid, how, 0.2)
    with _headless(Place(folder / "idle-http"), "--http", f"unix:{folder}/http.sock") as (process, _):
        yield from _idling("headless leader with HTTP", process.pid, how, 0.2)
    for name, missing in databases((POSTGRES,)):
        if missing is None:
            with PrivatePostgres(durable=True) as server:
                place = Place(folder / "idle-postgresql")
                place.env["DATABASE_URL"] = server.new_database()
                subprocess.run(
                    place.command("migrate"), env=place.env, cwd=place.folder, capture_output=True, check=True
                )
                with _headless(place) as (process, _):
                    yield from _idling(f"headless leader on {name}", process.pid, how, 0.2)
    place = Place(folder / "standby")
    with _headless(place) as _:
        standby = subprocess.Popen(
            place.command("headless"), env=place.env, cwd=place.folder, stdout=subprocess.DEVNULL
        )
        try:
            yield from _idling("standby beside it", standby.pid, how, None)
        finally:
            standby.terminate()
            standby.wait()


def _idling(name: str, pid: int, how: How, goal: float | None) -> Figures:
    """Processor time as a share, and wake-ups a second."""
    time.sleep(SETTLED_SECONDS)
    before = _sample(pid)
    time.sleep(how.idle_seconds)
    after = _sample(pid)
    seconds = after.at - before.at
    used = sum(spent - before.threads.get(name, 0) for name, spent in after.threads.items())
    yield Figure(IDLE, f"{name}: processor", used / 1e7 / seconds, "%", goal)
    yield Figure(IDLE, f"{name}: wake-ups", (after.sleeps - before.sleeps) / seconds, "a second")


def _sample(pid: int) -> Sample:
    threads: dict[str, int] = {}
    sleeps = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            threads[f"{name} {task.name}"] = int((task / "schedstat").read_text().split()[0])
            lines = (task / "status").read_text().splitlines()
        except OSError:  # the thread has ended
            continue
        sleeps += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))
    return Sample(time.perf_counter(), threads, sleeps)


# --- console --------------------------------------------------------------------------------------------------------


def _console(folder: Path, how: How) -> Figures:
    place = Place(folder / "console", users=500, runs=1_000)
    pack = next(iter(place.catalog)).pack + "."
    starts, used = [], []
    for _ in range(how.starts + 1):
        with place.console() as tty:
            starts.append(measures.start(tty, pack))
            used.append(tty.cpu_seconds())
    note = _processor(statistics.median(used[1:]))
    yield of_rounds(CONSOLE, "first frame", [each.first_frame for each in starts[1:]], "ms", 400)
    yield of_rounds(CONSOLE, "all panels", [each.all_panels for each in starts[1:]], "ms", 800, note=note)
    with place.console() as tty:
        measures.start(tty, pack)
        yield from _idling("console, leading", tty.process.pid, how, 1.0)
    headless = Tty(place.command("headless"), place.env, place.folder, (80, 24))
    try:
        while not place.is_led():
            time.sleep(0.05)
        taken = []
        for _ in range(how.starts + 1):
            with place.console() as tty:
                taken.append(1000 * (tty.until(lambda text: "observing" in text) - tty.began))
        yield of_rounds(CONSOLE, "beside a leader, to observing", taken[1:], "ms", 1000)
        with place.console() as tty:
            measures.start(tty, pack)
            yield from _idling("console, observing", tty.process.pid, how, 1.0)
    finally:
        headless.process.terminate()
        headless.process.wait()


MEASURED: dict[str, Callable[[Path, How], Figures]] = {
    COMMANDS: _commands,
    READY: _ready,
    IDLE: _idle,
    CONSOLE: _console,
}


if __name__ == "__main__":
    sys.exit(main())
