"""The jobs against their two baselines, on the same rows in the same rounds. All give the same data."""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from benchmarks import harness
from benchmarks.cases import CASES, Case
from benchmarks.dataset import Dates, fill
from benchmarks.engine import running_engine
from benchmarks.environment import Environment, databases, environment
from benchmarks.figures import Figure, of_rounds
from benchmarks.harness import BARE, ENGINE, NAIVE, REPEAT, Timing
from benchmarks.options import Figures, Options, Size
from opsconsole.core import clock

COMPARED_USERS = 150
"""Users in the check that the job and its baselines give the same data."""
MONTH_USERS = 20_000
"""With more users the month has only ten days of transactions, because writing thirty takes too long."""
LARGE_USERS = 1_000_000
AT_LARGE = ("attempts.cache_day", "reporting.daily_report", "game.leaderboard_recalc")
"""The jobs measured with a million users."""
LARGE_ATTEMPTS = 3
"""Attempts of a user on a day, at most, of a million users: otherwise Redis would need 6 GB."""
BARE_GOAL, REPEAT_GOAL, GROWTH_GOAL = 0.9, 0.33, 1.1
FEW_USERS = 10_000
"""Up to here the ratio to the bare baseline has no goal: the start and the end of a run take their share of it."""


def measure(options: Options) -> Figures:
    """For each database and number of users: the ratio of each job to its baselines."""
    for name, missing in databases(options.databases):
        if missing:
            print(f"skipping {name}: {missing}", file=sys.stderr, flush=True)
            continue
        yield from _of_database(name, options)


def _of_database(name: str, options: Options) -> Figures:
    _check(name, _cases(options, 0))
    taken: dict[str, list[tuple[int, float]]] = {}
    for users in options.users or _sizes(options.size):
        cases = _cases(options, users)
        with prepared(name, users, {case.pack for case in cases}) as (here, dates), running_engine(here) as engine:
            place = f"{name} {here.version}, {users:,} users"
            for case in cases:
                with harness.bench(here, case, engine, dates) as at:
                    timings = harness.measure(at, naive_items=options.naive_items, rounds=options.rounds)
                taken.setdefault(case.job, []).append((users, statistics.median(timings[ENGINE].seconds)))
                yield from _figures(place, case, users, timings)
    for job, points in taken.items():
        for (few, before), (many, after) in pairwise(points):
            exponent = math.log(after / before) / math.log(many / few)
            yield Figure(f"{name}, growth", f"{job}, {few:,} to {many:,}", exponent, "", GROWTH_GOAL)


def _figures(place: str, case: Case, users: int, timings: dict[str, Timing]) -> Figures:
    ours, bare, naive, repeat = (timings[name] for name in (ENGINE, BARE, NAIVE, REPEAT))
    cpu = f"{statistics.median(ours.processor):.2f} s of processor time, bare {statistics.median(bare.processor):.2f} s"
    goal = BARE_GOAL if users > FEW_USERS else None
    yield of_rounds(
        place,
        f"{case.job}, times bare",
        [theirs / mine for theirs, mine in zip(bare.seconds, ours.seconds, strict=True)],
        "x",
        goal,
        at_least=True,
        note=f"{ours.rate:,.0f}/s, bare {bare.rate:,.0f}/s; {cpu}",
    )
    of_naive = case.goals.get((place.split()[0], users))
    factor = naive.items / ours.items
    yield of_rounds(
        place,
        f"{case.job}, times naive",
        [theirs / mine / factor for theirs, mine in zip(naive.seconds, ours.seconds, strict=True)],
        "x",
        of_naive,
        at_least=True,
        note=f"naive {naive.rate:,.0f}/s",
    )
    shares = [second / first for first, second in zip(ours.seconds, repeat.seconds, strict=True)]
    what = f"{case.job}, run again" if case.repeats_all else f"{case.job}, nothing due"
    yield of_rounds(
        place, what, shares, "of a full run", None if case.repeats_all or users < FEW_USERS else REPEAT_GOAL
    )


def _sizes(size: Size) -> tuple[int, ...]:
    if size is Size.FULL:
        return FEW_USERS, 100_000, LARGE_USERS
    return (1_000,) if size is Size.QUICK else (FEW_USERS,)


def _cases(options: Options, users: int) -> list[Case]:
    chosen = options.jobs or (AT_LARGE if users >= LARGE_USERS else tuple(case.job for case in CASES))
    return [case for case in CASES if case.job in chosen]


def _check(name: str, cases: list[Case]) -> None:
    packs = {case.pack for case in cases}
    with prepared(name, COMPARED_USERS, packs) as (here, dates), running_engine(here) as engine:
        for case in cases:
            with harness.bench(here, case, engine, dates) as at:
                harness.check(at)
    print(f"{name}: {len(cases)} jobs give the same data as their baselines", file=sys.stderr, flush=True)


@contextmanager
def prepared(
    name: str, users: int, packs: set[str], money_days: int | None = None
) -> Iterator[tuple[Environment, Dates]]:
    """An environment with the data of this number of users."""
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder, environment(name, Path(folder)) as here:
        began = time.perf_counter()
        dates = Dates(clock.now())
        fill(
            here.data,
            users,
            dates,
            packs,
            money_days=money_days or (31 if users <= MONTH_USERS else 10 if users < LARGE_USERS else 1),
            most_attempts=LARGE_ATTEMPTS if users >= LARGE_USERS else None,
        )
        here.settle()
        print(f"{name}: {users:,} users in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        yield here, dates
