"""The engine: the cost of a run apart from its work."""

from __future__ import annotations

import sys
from datetime import timedelta

from benchmarks.engine import running_engine
from benchmarks.environment import databases
from benchmarks.figures import of_rounds
from benchmarks.options import Figures, Options
from benchmarks.parts.jobs import prepared

EMPTY_JOB = "reporting.daily_report"
EMPTY_GOAL_MS = 50.0


def measure(options: Options) -> Figures:
    """For each database: a run without items, from the request to its recorded end."""
    for name, missing in databases(options.databases):
        if missing:
            print(f"skipping {name}: {missing}", file=sys.stderr, flush=True)
            continue
        with prepared(name, 500, {"reporting"}, money_days=1) as (here, dates), running_engine(here) as engine:
            early = dates.paid - timedelta(days=1000)
            empty = [1000 * engine.run(EMPTY_JOB, early)[1] for _ in range(5 * options.rounds + 1)][1:]
            yield of_rounds(f"{name} {here.version}", "run without items", empty, "ms", EMPTY_GOAL_MS)
