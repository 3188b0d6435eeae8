"""Measures the console on a pseudo-terminal of 120x40. Prints goal, figure and verdict, and writes them as JSON."""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.console import measures
from benchmarks.console.place import COLUMNS, EVERY_MINUTE, ROWS, Place
from benchmarks.environment import machine
from opsconsole.core import clock

RESULTS = Path(__file__).resolve().parents[1] / "results"
FEW, MANY, LONG = "18 jobs", "1,000 jobs", "1,000,000 runs"


@dataclass(frozen=True)
class Figure:
    """One figure: it meets the `goal`, misses it, or fails above `limit`."""

    place: str
    what: str
    value: float
    goal: float
    limit: float
    unit: str

    @property
    def verdict(self) -> str:
        """In a word."""
        return "ok" if self.value <= self.goal else "misses the goal" if self.value <= self.limit else "fails"


def main() -> int:
    """Returns the exit code."""
    args = _arguments()
    began, about = clock.now(), machine()
    figures: list[Figure] = []
    screen = Console(highlight=False, width=110)
    screen.print(f"console of {COLUMNS}x{ROWS}, load {about['load'][0]} before")
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder:
        for name in args.places:
            for figure in _measure(name, Path(folder) / name.replace(" ", "-").replace(",", ""), args):
                figures.append(figure)
                print(f"{name}: {figure.what} {figure.value:,.2f} {figure.unit}", file=sys.stderr, flush=True)
    about["load afterwards"] = [round(load, 2) for load in os.getloadavg()]
    screen.print(_table(figures))
    screen.print(
        f"Python {about['python']}, {about['processors']} processors, load {about['load'][0]} before and "
        f"{about['load afterwards'][0]} after; {(clock.now() - began).total_seconds():.0f} s."
    )
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"console-{began:%Y%m%dT%H%M%SZ}.json"
    rows = [asdict(figure) | {"verdict": figure.verdict} for figure in figures]
    file.write_text(json.dumps({"at": began.isoformat(), "machine": about, "figures": rows}, indent=1) + "\n")
    print(f"figures in {file}")
    return 0


def _measure(name: str, folder: Path, args: argparse.Namespace) -> Iterator[Figure]:
    place = _place(name, folder, args)
    job = next(iter(place.catalog)).pack + "."  # of which jobs are shown, is decided by what is wrong
    starts = []
    for turn in range(args.starts + 1):
        with place.console() as tty:
            found = measures.start(tty, job)
            if turn:
                starts.append(found)
    frame, panels = (
        statistics.median(getattr(each, part) for each in starts) for part in ("first_frame", "all_panels")
    )
    yield Figure(name, "start to the first frame", frame, 400, 1000, "ms")
    yield Figure(name, "start to all panels", panels, 800, 1000, "ms")
    yield Figure(name, "bytes of a start", statistics.median(each.bytes for each in starts) / 1000, 40, 130, "kB")
    with place.console() as tty:
        measures.start(tty, job)
        idle = measures.idle(tty)
        yield Figure(name, "idle: processor", 100 * idle.cpu, 1.0, 2.0, "%")
        yield Figure(name, "idle: bytes a second", idle.bytes, 200, 500, "B")
        keys = measures.moves(tty, args.keys)
        yield Figure(name, "key to painted, p50", keys.p50, 10, 30, "ms")
        yield Figure(name, "key to painted, p95", keys.p95, 25, 100, "ms")
        yield Figure(name, "bytes of one move", statistics.median(keys.bytes), 1500, 5000, "B")
        if name != MANY:
            with place.runs_without_end():
                tty.settle(1.0)
                keys = measures.moves(tty, args.keys)
            yield Figure(name, "key to painted beside runs, p50", keys.p50, 15, 60, "ms")
            yield Figure(name, "key to painted beside runs, p95", keys.p95, 50, 150, "ms")
    if name == FEW:
        yield from _once(name, place, args)


def _once(name: str, place: Place, args: argparse.Namespace) -> Iterator[Figure]:
    """What does not depend on the place."""
    with place.console() as tty:
        measures.start(tty, next(iter(place.catalog)).pack + ".")
        tty.settle(2.0)
        number, kilobytes = measures.memory(tty, args.openings, args.openings_seconds)
        yield Figure(name, f"memory left by a page, of {number:,}", kilobytes, 2, 20, "kB")
    yield Figure(name, "beside a headless leader: to observing", measures.observer(place), 1000, 2000, "ms")
    if args.stalled:
        place.file.write_text(EVERY_MINUTE)
        late = measures.stalled(place)
        yield Figure(
            name, f"stalled terminal: latest of {len(late)} runs", 1000 * max(late, default=math.inf), 1000, 1000, "ms"
        )


def _place(name: str, folder: Path, args: argparse.Namespace) -> Place:
    began = time.perf_counter()
    if name == MANY:
        place = Place(folder, jobs=1000, runs=20_000)
    else:
        place = Place(folder, users=args.users, runs=args.runs if name == LONG else 5_000)
    print(f"{name}: prepared in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return place


def _table(figures: list[Figure]) -> Table:
    table = Table(show_edge=False)
    for heading in ("", "goal", "measured", "unit", ""):
        table.add_column(heading, justify="right" if heading in ("goal", "measured") else "left")
    last = ""
    for figure in figures:
        if figure.place != last:
            table.add_row(f"[bold]{figure.place}[/bold]")
            last = figure.place
        value = f"{figure.value:,.1f}" if figure.value < 100 else f"{figure.value:,.0f}"
        table.add_row(f"  {figure.what}", f"{figure.goal:,g}", value, figure.unit, figure.verdict)
    return table


def _arguments() -> argparse.Namespace:
    places = [FEW, MANY, LONG]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--places", nargs="+", choices=places, default=places, metavar="PLACE", help=", ".join(places))
    parser.add_argument("--starts", type=int, default=3, help="measured starts after one warm-up (default: 3)")
    parser.add_argument("--keys", type=int, default=50, help="moves of the cursor (default: 50)")
    parser.add_argument("--users", type=int, default=2_000, help="sample users (default: 2,000)")
    parser.add_argument("--runs", type=int, default=1_000_000, help="runs of the long history (default: 1,000,000)")
    parser.add_argument("--openings", type=int, default=1_000, help="pages to open (default: 1,000)")
    parser.add_argument(
        "--openings-seconds", type=float, default=60.0, help="limit for opening pages, in seconds (default: 60)"
    )
    parser.add_argument("--no-stalled", dest="stalled", action="store_false", help="skip the minute without reading")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
