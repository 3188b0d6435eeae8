"""A year of days made up for: as many windows through the engine, against as many runs of the bare way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import median

from benchmarks.bare import reporting as bare
from benchmarks.engine import Leading
from benchmarks.environment import Ground
from benchmarks.harness import asked
from benchmarks.table_state import different, kept, left
from jobs.reporting.tables import daily_financial_reports as reports
from opsconsole.core import clock
from opsconsole.rules.backfill_status import BackfillState

JOB = "reporting.daily_report"


@dataclass
class Backfilled:
    """Seconds, a round each: of the bare runs, of the backfill, and of making its plan."""

    days: int
    items: int = 0
    bare: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    planning: list[float] = field(default_factory=list)

    @property
    def times(self) -> float:
        """How many times as long as the bare runs it takes."""
        return median(self.ours) / median(self.bare)


def measure(ground: Ground, engine: Leading, until: date, days: int, rounds: int) -> Backfilled:
    """Both ways in turn, `rounds` times, over the `days` that end with `until`; both leave the same."""
    found = Backfilled(days)
    since = until - timedelta(days=days - 1)
    with kept(ground.data, (reports,), "before") as tables:
        for _ in range(rounds):
            tables.restore()
            with _timed(found.bare):
                found.items = sum(
                    bare.daily_report(asked(ground, JOB, since + timedelta(days=n), clock.now())) for n in range(days)
                )
            theirs = left(ground.data, (reports,), ground.cache)
            tables.restore()
            service = engine.service
            with _timed(found.planning):
                plan = service.backfills.plan([JOB], since, until)
            with _timed(found.ours):
                service.backfills.apply(plan)
                while (ended := service.backfills.wait_for(plan, 3600)) is None or ended.state is BackfillState.PLANNED:
                    time.sleep(0.05)
            assert ended.state is BackfillState.DONE, ended
            assert set(ended.counts) == {"done"}, ended.counts
            other = different(theirs, left(ground.data, (reports,), ground.cache))
            assert other is None, f"the backfill left something else: {other}"
    return found


@contextmanager
def _timed(into: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    into.append(time.perf_counter() - began)
