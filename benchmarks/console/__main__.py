"""Measures the console on a pseudo-terminal of 120x40. Prints goal, figure and verdict, and writes them as JSON."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import report
from benchmarks.console import cronstable, measures
from benchmarks.console.place import EVERY_MINUTE, Place
from benchmarks.environment import machine
from benchmarks.figures import Figure
from opsconsole.core import clock

FEW, MANY, LONG = "18 jobs", "1,000 jobs", "1,000,000 runs"


def main() -> int:
    """Returns the exit code."""
    args = _arguments()
    refusal = report.refusal(publish=args.publish, force=args.force)
    if refusal is not None:
        print(refusal, file=sys.stderr)
        return report.BUSY
    began, about = clock.now(), machine()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder:
        for figure in _all(Path(folder), args):
            figures.append(figure)
            print(f"{figure.place}: " + "  ".join(cell for cell in figure.cells if cell), file=sys.stderr, flush=True)
    report.finish("console", figures, began, about, publish=args.publish)
    return 0


def _all(folder: Path, args: argparse.Namespace) -> Iterator[Figure]:
    for name in args.places:
        yield from _measure(name, folder / name.replace(" ", "-").replace(",", ""), args)
        if name == FEW and args.cronstable is not None:
            yield from cronstable.figures(args.cronstable, folder / "cronstable", starts=args.starts, keys=args.keys)


def _measure(name: str, folder: Path, args: argparse.Namespace) -> Iterator[Figure]:
    place = _place(name, folder, args)
    job = next(iter(place.catalog)).pack + "."  # of which jobs are shown, is decided by what is wrong
    starts = []
    for turn in range(args.starts + 1):
        with place.console() as tty:
            found = measures.start(tty, job)
            if turn:
                starts.append(found)
    yield from measures.of_starts(name, starts, goals=True, many=name == MANY)
    with place.console() as tty:
        measures.start(tty, job)
        idle = measures.idle(tty)
        yield Figure(name, measures.IDLE_PROCESSOR, 100 * idle.cpu, "%", 1.0)
        yield Figure(name, measures.IDLE_BYTES, idle.bytes, "B", 200)
        yield from measures.of_moves(name, measures.moves(tty, args.keys), goals=True)
        if name != MANY:
            with place.runs_without_end():
                tty.settle(1.0)
                keys = measures.moves(tty, args.keys)
            yield Figure(name, "key to painted beside runs, p50", keys.p50, "ms", 15)
            yield Figure(name, "key to painted beside runs, p95", keys.p95, "ms", 50)
    if name == FEW:
        yield from _once(name, place, args)


def _once(name: str, place: Place, args: argparse.Namespace) -> Iterator[Figure]:
    """What does not depend on the place."""
    with place.console() as tty:
        measures.start(tty, next(iter(place.catalog)).pack + ".")
        tty.settle(measures.RETENTION_SECONDS)
        sizes = measures.memory(tty, args.openings)
    yield Figure(name, f"memory after {len(sizes):,} openings", sizes[-1], "MB")
    for first, goal in ((len(sizes) // 10, None), (measures.LOADED, 2)):
        if first < len(sizes) - 1:
            what = f"memory left by an opening, {first:,} to {len(sizes):,}"
            yield Figure(name, what, measures.left(sizes[first:]), "kB", goal)
    yield Figure(name, "beside a headless leader: to observing", measures.observer(place), "ms", 1000)
    if args.stalled:
        place.file.write_text(EVERY_MINUTE)
        late = measures.stalled(place)
        yield Figure(
            name, f"stalled terminal: latest of {len(late)} runs", 1000 * max(late, default=math.inf), "ms", 1000
        )


def _place(name: str, folder: Path, args: argparse.Namespace) -> Place:
    began = time.perf_counter()
    if name == MANY:
        place = Place(folder, jobs=1000, runs=20_000)
    else:
        place = Place(folder, users=args.users, runs=args.runs if name == LONG else 5_000)
    print(f"{name}: prepared in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return place


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
        "--cronstable",
        type=Path,
        metavar="PATH",
        help="the program of cronstable: measures its dashboard, too, after the place with 18 jobs",
    )
    parser.add_argument("--no-stalled", dest="stalled", action="store_false", help="skip the minute without reading")
    parser.add_argument("--publish", action="store_true", help="renew docs/figures and docs/performance.md")
    parser.add_argument("--force", action="store_true", help="publish although the machine is busy")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
