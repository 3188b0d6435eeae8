"""Measures starting and idling: commands, headless and console. Prints goal, figure and verdict, and writes JSON.

Each figure of a start stands beside the processor time that it took, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.console import measures
from benchmarks.console.place import JOB, Place
from benchmarks.console.tty import Tty
from benchmarks.environment import machine
from opsconsole.core import clock

RESULTS = Path(__file__).resolve().parent / "results"
COMMANDS, READY, IDLE, CONSOLE = "commands", "ready", "idle", "console"
PARTS = (COMMANDS, READY, IDLE, CONSOLE)
JOBS = {20: 0.8, 1_000: 1.2, 10_000: 3.0}
SETTLED_SECONDS, READY_SECONDS = 8.0, 60.0
NAMED_THREADS = 12


@dataclass(frozen=True)
class Figure:
    """A figure; without a goal it is for information."""

    what: str
    value: float
    unit: str
    goal: float | None = None

    @property
    def verdict(self) -> str:
        """In a word."""
        return "" if self.goal is None else "ok" if self.value <= self.goal else "misses the goal"


@dataclass(frozen=True)
class Sample:
    """What the threads of a process have used so far: nanoseconds by thread, and how often they went to sleep."""

    at: float
    threads: dict[str, int]
    sleeps: int


def main() -> int:
    """Returns the exit code."""
    args = _arguments()
    began, about = clock.now(), machine()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder:
        for part in args.parts:
            for figure in MEASURED[part](Path(folder), args):
                figures.append(figure)
                print(f"{figure.what} {figure.value:,.2f} {figure.unit}", file=sys.stderr, flush=True)
    about["load afterwards"] = [round(load, 2) for load in os.getloadavg()]
    screen = Console(highlight=False, width=110)
    screen.print(_table(figures))
    screen.print(
        f"Python {about['python']}, {about['processors']} processors, load {about['load'][0]} before and "
        f"{about['load afterwards'][0]} after; {(clock.now() - began).total_seconds():.0f} s."
    )
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"startup-{began:%Y%m%dT%H%M%SZ}.json"
    rows = [asdict(figure) | {"verdict": figure.verdict} for figure in figures]
    file.write_text(json.dumps({"at": began.isoformat(), "machine": about, "figures": rows}, indent=1) + "\n")
    print(f"figures in {file}")
    return 0


# --- commands -------------------------------------------------------------------------------------------------------


def _commands(folder: Path, args: argparse.Namespace) -> Iterator[Figure]:
    place = Place(folder / "commands")
    cases = {
        "--help": (250.0, ("--help",)),
        f"next {JOB}": (350.0, ("next", JOB)),
        "jobs": (400.0, ("jobs",)),
        f"run {JOB} --wait, without items": (700.0, ("run", JOB, "--wait")),
    }
    for name, (goal, words) in cases.items():
        taken = [_timed(place, words) for _ in range(args.starts + 1)][1:]
        yield Figure(name, 1000 * statistics.median(wall for wall, _ in taken), "ms", goal)
        yield Figure("  processor time", 1000 * statistics.median(cpu for _, cpu in taken), "ms")


def _timed(place: Place, words: tuple[str, ...]) -> tuple[float, float]:
    """Seconds, and seconds of processor time with children, of one command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(place.command(*words), env=place.env, cwd=place.folder, capture_output=True, check=False)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr.decode()
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# --- headless -------------------------------------------------------------------------------------------------------


def _ready(folder: Path, args: argparse.Namespace) -> Iterator[Figure]:
    for jobs, goal in JOBS.items():
        place = Place(folder / f"ready-{jobs}", jobs=jobs)
        taken = []
        for _ in range(args.starts + 1):
            with _headless(place) as (process, began):
                taken.append((time.perf_counter() - began, _sample(process.pid)))
        taken = taken[1:]
        yield Figure(f"headless ready with {jobs:,} jobs", statistics.median(wall for wall, _ in taken), "s", goal)
        used = statistics.median(sum(sample.threads.values()) for _, sample in taken)
        yield Figure("  processor time of the leader", used / 1e9, "s")


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


def _idle(folder: Path, args: argparse.Namespace) -> Iterator[Figure]:
    with _headless(Place(folder / "idle")) as (process, _):
        yield from _idling("headless leader", process.pid, args, 0.2)
    with _headless(Place(folder / "idle-http"), "--http", f"unix:{folder}/http.sock") as (process, _):
        yield from _idling("headless leader with HTTP", process.pid, args, 0.2)
    place = Place(folder / "standby")
    with _headless(place) as _:
        standby = subprocess.Popen(
            place.command("headless"), env=place.env, cwd=place.folder, stdout=subprocess.DEVNULL
        )
        try:
            yield from _idling("standby beside it", standby.pid, args, None)
        finally:
            standby.terminate()
            standby.wait()


def _idling(name: str, pid: int, args: argparse.Namespace, goal: float | None) -> Iterator[Figure]:
    """Processor time as a share, and wake-ups a second; which threads they are with --threads."""
    time.sleep(SETTLED_SECONDS)
    before = _sample(pid)
    time.sleep(args.idle_seconds)
    after = _sample(pid)
    seconds = after.at - before.at
    used = {name: spent - before.threads.get(name, 0) for name, spent in after.threads.items()}
    yield Figure(f"{name}, idle: processor", sum(used.values()) / 1e7 / seconds, "%", goal)
    yield Figure("  wake-ups a second", (after.sleeps - before.sleeps) / seconds, "")
    if args.threads:
        for thread, spent in sorted(used.items(), key=lambda each: -each[1])[:NAMED_THREADS]:
            yield Figure(f"    {thread}", spent / 1e7 / seconds, "%")


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


def _console(folder: Path, args: argparse.Namespace) -> Iterator[Figure]:
    place = Place(folder / "console", users=500, runs=1_000)
    pack = next(iter(place.catalog)).pack + "."
    starts, used = [], []
    for _ in range(args.starts + 1):
        with place.console() as tty:
            starts.append(measures.start(tty, pack))
            used.append(1000 * tty.cpu_seconds())
    yield Figure("console: first frame", statistics.median(each.first_frame for each in starts[1:]), "ms", 400)
    yield Figure("console: all panels", statistics.median(each.all_panels for each in starts[1:]), "ms", 800)
    yield Figure("  processor time", statistics.median(used[1:]), "ms")
    with place.console() as tty:
        measures.start(tty, pack)
        yield from _idling("console, leading", tty.process.pid, args, 1.0)
    headless = Tty(place.command("headless"), place.env, place.folder, (80, 24))
    try:
        while not place.is_led():
            time.sleep(0.05)
        taken = []
        for _ in range(args.starts + 1):
            with place.console() as tty:
                taken.append(1000 * (tty.until(lambda text: "observing" in text) - tty.began))
        yield Figure("console beside a leader: to observing", statistics.median(taken[1:]), "ms", 1000)
        with place.console() as tty:
            measures.start(tty, pack)
            yield from _idling("console, observing", tty.process.pid, args, 1.0)
    finally:
        headless.process.terminate()
        headless.process.wait()


MEASURED: dict[str, Callable[[Path, argparse.Namespace], Iterator[Figure]]] = {
    COMMANDS: _commands,
    READY: _ready,
    IDLE: _idle,
    CONSOLE: _console,
}


def _table(figures: list[Figure]) -> Table:
    table = Table(show_edge=False)
    for heading in ("", "goal", "measured", "unit", ""):
        table.add_column(heading, justify="right" if heading in ("goal", "measured") else "left")
    for figure in figures:
        goal = "" if figure.goal is None else f"{figure.goal:,g}"
        value = f"{figure.value:,.2f}" if figure.value < 100 else f"{figure.value:,.0f}"
        table.add_row(figure.what, goal, value, figure.unit, figure.verdict)
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--starts", type=int, default=3, help="measured starts after one warm-up (default: 3)")
    parser.add_argument("--idle-seconds", type=float, default=20.0, help="how long idling is measured (default: 20)")
    parser.add_argument("--threads", action="store_true", help="list what each thread of an idle process takes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
