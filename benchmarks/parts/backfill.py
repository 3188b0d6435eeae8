"""A year's daily reports by a backfill, against the bare baseline day by day."""

from __future__ import annotations

import sys

from benchmarks import backfill
from benchmarks.engine import running_engine
from benchmarks.environment import databases
from benchmarks.figures import of_rounds
from benchmarks.options import Figures, Options, Size
from benchmarks.parts.jobs import prepared

GOAL = 1.2


def measure(options: Options) -> Figures:
    """The time of the backfill as a multiple of the bare baseline's."""
    users, days = (200, 30) if options.size is Size.QUICK else (1_000, 365)
    for name, missing in databases(options.databases):
        if missing:
            print(f"skipping {name}: {missing}", file=sys.stderr, flush=True)
            continue
        with (
            prepared(name, users, {"reporting"}, money_days=days) as (here, dates),
            running_engine(here) as engine,
        ):
            found = backfill.measure(here, engine, dates.paid, days, options.rounds)
            place = f"{name} {here.version}, {days} days of {backfill.JOB} for {users:,} users"
        ratios = [ours / bare for ours, bare in zip(found.engine_seconds, found.bare, strict=True)]
        note = f"{found.items:,} reports; bare takes {found.bare[0]:.1f} s"
        yield of_rounds(place, "times bare", ratios, "x", None if options.size is Size.QUICK else GOAL, note=note)
        yield of_rounds(place, "planning", found.planning, "s")
