"""Measures the performance of opsconsole. Prints goal, figure and verdict, and writes them to benchmarks/results.

With --publish they also go to docs/figures, from which the tables of docs/performance.md are made. With a load above 1
nothing is published, unless forced.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import parts, report
from benchmarks.cases import CASES
from benchmarks.dataset import SAMPLED_USERS
from benchmarks.environment import POSTGRES, SQLITE, machine
from benchmarks.figures import Figure
from benchmarks.options import Options, Size
from opsconsole.core import clock


def main() -> int:
    """Returns the exit code."""
    args = _arguments()
    refusal = report.refusal(publish=args.publish, force=args.force)
    if refusal is not None:
        _log(refusal)
        return report.BUSY
    _log(f"load {report.load_now()}")
    for part in args.parts:
        began, about, figures = clock.now(), machine(), list[Figure]()
        options = _options(args)
        for figure in parts.load(part)(options):
            figures.append(figure)
            _log(f"{figure.place}: " + "  ".join(cell for cell in figure.cells if cell))
        report.finish(f"{part}-{options.size}", figures, began, about, publish=args.publish)
    return 0


def _options(args: argparse.Namespace) -> Options:
    size = Size.QUICK if args.quick else Size.FULL if args.full else Size.NORMAL
    return Options(
        size,
        tuple(args.databases),
        args.rounds or (2 if size is Size.QUICK else 3),
        args.naive_items or (40 if size is Size.QUICK else 300),
        tuple(args.users),
        tuple(args.jobs),
    )


def _arguments() -> argparse.Namespace:
    jobs = [case.job for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="parts to measure: " + ", ".join(parts.PARTS))
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="1,000 users, in under two minutes")
    size.add_argument("--full", action="store_true", help="100,000 users, and 1,000,000 for three jobs")
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=[SQLITE, POSTGRES])
    parser.add_argument("--rounds", type=int, help="measured rounds after one warm-up round (default: 3)")
    parser.add_argument(
        "--users", nargs="+", type=int, default=[], help=f"users of the part jobs; above {SAMPLED_USERS:,} a multiple"
    )
    parser.add_argument("--jobs", nargs="+", choices=jobs, default=[], metavar="JOB", help=", ".join(jobs))
    parser.add_argument("--naive-items", type=int, help="items that the naive baseline processes (default: 300)")
    parser.add_argument("--publish", action="store_true", help="renew docs/figures and docs/performance.md")
    parser.add_argument("--force", action="store_true", help="publish although the machine is busy")
    args = parser.parse_args()
    unknown = set(args.parts) - set(parts.PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; parts are {', '.join(parts.PARTS)}")
    args.parts = args.parts or list(parts.PARTS)
    if any(users < 500 or users % min(users, SAMPLED_USERS) for users in args.users):
        parser.error(f"at least 500 users are required, and above {SAMPLED_USERS:,} a multiple of it")
    if args.rounds is not None and args.rounds < 1:
        parser.error("at least one round is required")
    if args.publish and (args.users or args.jobs or len(args.databases) == 1):
        parser.error("only whole parts are published: leave out --users, --jobs and --databases")
    return args


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
