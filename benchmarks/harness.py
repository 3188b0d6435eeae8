"""Measures a job and its baselines on the same rows, after checking that all give the same result."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from benchmarks.cases import Baseline, Case
from benchmarks.dataset import Dates
from benchmarks.engine import RunningEngine
from benchmarks.environment import Environment
from benchmarks.processor import processor_seconds
from benchmarks.table_state import TableBackup, backed_up, contents, first_difference
from benchmarks.workload import Workload
from opsconsole.calendar.cron import zone
from opsconsole.core import clock

NAIVE, BARE, ENGINE, REPEAT = "naive", "bare", "engine", "repeat"
SMALL_PAGE = 64
"""Page size of the bare baseline during the check, so that few users need several pages."""


@dataclass
class Timing:
    """The seconds that the job or a baseline took in each round, and those of processor time, servers included."""

    name: str
    items: int
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Items per second of the median round."""
        return self.items / statistics.median(self.seconds)


@dataclass
class Bench:
    """One job in one environment, with a backup of its tables."""

    env: Environment
    case: Case
    engine: RunningEngine
    day: date | None
    tables: TableBackup

    def clean(self) -> None:
        """Restores the initial state."""
        self.tables.restore()
        if self.case.flushes:
            self.env.cache.flushall()

    def workload(self, as_of: datetime, limit: int | None = None) -> Workload:
        """The workload for the baselines."""
        return workload_of(self.env, self.case.job, self.day, as_of, limit)


@contextmanager
def bench(env: Environment, case: Case, engine: RunningEngine, dates: Dates) -> Iterator[Bench]:
    """Prepares the data of a job, and restores it after the block."""
    day = case.day(dates)
    env.cache.flushall()
    with backed_up(env.data, (*case.tables, *case.prepares), "before") as before:
        if case.prepare:
            case.prepare(workload_of(env, case.job, day, dates.now))
            before.settle()
        with backed_up(env.data, case.tables, "prepared") as tables:
            yield Bench(env, case, engine, day, tables)
    env.cache.flushall()


def workload_of(env: Environment, job: str, day: date | None, as_of: datetime, limit: int | None = None) -> Workload:
    """The workload that corresponds to a run of the job."""
    found = env.catalog.find(job)
    place = zone(found.tz)
    window = found.covers.named(day, place) if day else found.covers.at(as_of, place)
    return Workload(env.data_url, env.redis_url, window, as_of, limit=limit)


def check(at: Bench) -> None:
    """Checks that the job and its baselines leave the same data. Raises AssertionError with the first difference."""
    at.clean()
    run, _ = at.engine.run(at.case.job, at.day)
    items, expected = at.case.items(run), contents(at.env.data, at.case.tables, at.env.cache)
    assert any(expected.values()), f"{at.case.job} wrote nothing"
    for name, baseline in ((BARE, at.case.bare), (NAIVE, at.case.naive)):
        at.clean()
        done = baseline(replace(at.workload(run.as_of), page=SMALL_PAGE))
        assert done == items, f"{name} {at.case.job}: {done} items, not {items}"
        other = first_difference(expected, contents(at.env.data, at.case.tables, at.env.cache))
        assert other is None, f"{name} {at.case.job} wrote different data: {other}"


def measure(at: Bench, *, naive_items: int, rounds: int) -> dict[str, Timing]:
    """Measures the job and its baselines in turn, `rounds` times after a warm-up. Each run of the job is followed by a
    second one.
    """
    found: dict[str, Timing] = {}

    def timed(turn: int, name: str, process: Callable[[], tuple[int, float]]) -> None:
        before = processor_seconds()
        items, seconds = process()
        if turn:
            timing = found.setdefault(name, Timing(name, items))
            timing.seconds.append(seconds)
            timing.processor.append(processor_seconds() - before)

    def run() -> tuple[int, float]:
        run, seconds = at.engine.run(at.case.job, at.day)
        return at.case.items(run), seconds

    for turn in range(rounds + 1):
        at.clean()
        timed(turn, NAIVE, lambda: _timed(at.case.naive, at.workload(clock.now(), naive_items)))
        at.clean()
        timed(turn, BARE, lambda: _timed(at.case.bare, at.workload(clock.now())))
        at.clean()
        timed(turn, ENGINE, run)
        timed(turn, REPEAT, run)
    return found


def _timed(baseline: Baseline, workload: Workload) -> tuple[int, float]:
    began = time.perf_counter()
    items = baseline(workload)
    return items, time.perf_counter() - began
