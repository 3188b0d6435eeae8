"""Measures every way of doing a job in turn, on the same rows, after it has seen that all of them leave the same."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from benchmarks.cases import Case
from benchmarks.dataset import Dates
from benchmarks.engine import Leading
from benchmarks.environment import Ground
from benchmarks.table_state import Kept, different, kept, left
from benchmarks.workload import Asked
from opsconsole.calendar.cron import zone
from opsconsole.core import clock

NAIVE, BARE, OURS, AGAIN = "naive", "bare", "ours", "again"
SMALL_PAGE = 64
"""Items a page of the bare way while it is compared: few users have several then."""


@dataclass
class Figures:
    """How long a way took for so many items: seconds, a round each."""

    name: str
    items: int
    seconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Items a second in the middle round."""
        return self.items / statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Between the best and the worst round, as a share of the middle one."""
        return (max(self.seconds) - min(self.seconds)) / statistics.median(self.seconds)


@dataclass
class Bench:
    """One job on one ground: what is asked for, and how its tables are put back."""

    ground: Ground
    case: Case
    engine: Leading
    day: date | None
    tables: Kept

    def clean(self) -> None:
        """As before the first time."""
        self.tables.restore()
        if self.case.flushes:
            self.ground.cache.flushall()

    def asked(self, as_of: datetime, limit: int | None = None) -> Asked:
        """What the other ways are asked for."""
        return asked(self.ground, self.case.job, self.day, as_of, limit)


@contextmanager
def bench(ground: Ground, case: Case, engine: Leading, dates: Dates) -> Iterator[Bench]:
    """Everything a job expects is there until the end of the block, and as before afterwards."""
    day = case.day(dates)
    ground.cache.flushall()
    with kept(ground.data, (*case.tables, *case.prepares), "before") as before:
        if case.prepare:
            case.prepare(asked(ground, case.job, day, dates.now))
            before.settle()
        with kept(ground.data, case.tables, "prepared") as tables:
            yield Bench(ground, case, engine, day, tables)
    ground.cache.flushall()


def asked(ground: Ground, job: str, day: date | None, as_of: datetime, limit: int | None = None) -> Asked:
    """What a run of the job is about, for the ways without the engine."""
    found = ground.catalog.find(job)
    place = zone(found.tz)
    window = found.covers.named(day, place) if day else found.covers.at(as_of, place)
    return Asked(ground.data_url, ground.redis_url, window, as_of, limit=limit)


def check(at: Bench) -> None:
    """All ways leave the same data. Raises AssertionError, which says where they differ."""
    at.clean()
    run, _ = at.engine.run(at.case.job, at.day)
    items, ours = at.case.items(run), left(at.ground.data, at.case.tables, at.ground.cache)
    assert any(ours.values()), f"{at.case.job} left nothing"
    for name, way in ((BARE, at.case.bare), (NAIVE, at.case.naive)):
        at.clean()
        done = way(replace(at.asked(run.as_of), page=SMALL_PAGE))
        assert done == items, f"{name} {at.case.job}: {done} items, not {items}"
        other = different(ours, left(at.ground.data, at.case.tables, at.ground.cache))
        assert other is None, f"{name} {at.case.job} left something else: {other}"


def measure(at: Bench, *, naive_items: int, rounds: int) -> list[Figures]:
    """Every way in turn, `rounds` times after one that does not count. After each run of the job there is a second one,
    for which nothing is left to do.
    """
    found: dict[str, Figures] = {}

    def note(turn: int, name: str, items: int, seconds: float) -> None:
        if turn:
            found.setdefault(name, Figures(name, items)).seconds.append(seconds)

    for turn in range(rounds + 1):
        at.clean()
        note(turn, NAIVE, *_timed(at.case.naive, at.asked(clock.now(), naive_items)))
        at.clean()
        note(turn, BARE, *_timed(at.case.bare, at.asked(clock.now())))
        at.clean()
        run, seconds = at.engine.run(at.case.job, at.day)
        note(turn, OURS, at.case.items(run), seconds)
        _, seconds = at.engine.run(at.case.job, at.day)
        note(turn, AGAIN, at.case.items(run), seconds)
    return list(found.values())


def _timed(way: Callable[[Asked], int], what: Asked) -> tuple[int, float]:
    began = time.perf_counter()
    items = way(what)
    return items, time.perf_counter() - began
