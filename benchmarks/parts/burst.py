"""A thousand trivial jobs that are due at one scheduled time, and one that is due while all workers are busy."""

from __future__ import annotations

import sys

from benchmarks.burst import Burst, bursts, delays
from benchmarks.environment import databases
from benchmarks.figures import Figure, of_rounds
from benchmarks.options import Figures, Options, Size

JOBS = 1000
GOALS = {"p50 started": 0.9, "last started": 1.8}
"""Seconds after the scheduled time, for 1,000 jobs."""
LATE_MS, MOST_LATE_MS = 20.0, 300.0


def measure(options: Options) -> Figures:
    """For each database: how late runs of one item start and end, and what they cost. A round takes two minutes."""
    jobs = 200 if options.size is Size.QUICK else JOBS
    for name, missing in databases(options.databases):
        if missing:
            print(f"skipping {name}: {missing}", file=sys.stderr, flush=True)
            continue
        found = list(bursts(name, jobs=jobs, items=1, rounds=options.rounds))
        yield from _figures(f"{name}, {jobs:,} jobs due at once", jobs, found)
        late = [1000 * seconds for seconds in delays(name, rounds=options.rounds)]
        place = f"{name}, one job due beside a run over 10,000 items"
        yield of_rounds(place, "p50 started", late, "ms", LATE_MS)
        yield Figure(place, "last started", max(late), "ms", MOST_LATE_MS)


def _figures(place: str, jobs: int, found: list[Burst]) -> Figures:
    goals = GOALS if jobs == JOBS else {}
    complete = sum(burst.is_complete for burst in found)
    yield Figure(place, "rounds with all runs, in order", complete, goal=len(found), at_least=True)
    for what, seconds in (
        ("p50 started", [burst.p50 for burst in found]),
        ("last started", [burst.last for burst in found]),
        ("last ended", [burst.ended for burst in found]),
        ("processor time of the leader", [burst.leader for burst in found]),
        ("processor time of workers and servers", [burst.others for burst in found]),
    ):
        yield of_rounds(place, what, seconds, "s", goals.get(what))
    yield of_rounds(place, "statements of the leader per run", [burst.statements for burst in found])
    yield of_rounds(place, "transactions of the leader per run", [burst.transactions for burst in found])
