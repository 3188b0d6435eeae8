"""A backfill of many days through the engine, against the bare baseline day by day."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta

from benchmarks.bare import reporting as bare
from benchmarks.engine import RunningEngine
from benchmarks.environment import Environment
from benchmarks.harness import workload_of
from benchmarks.table_state import backed_up, contents, first_difference
from jobs.reporting.tables import daily_financial_reports as reports
from opsconsole.core import clock
from opsconsole.rules.backfill_status import BackfillState

JOB = "reporting.daily_report"


@dataclass
class Backfilled:
    """Seconds per round of the bare baseline, of the backfill, and of planning it."""

    days: int
    items: int = 0
    bare: list[float] = field(default_factory=list)
    engine_seconds: list[float] = field(default_factory=list)
    planning: list[float] = field(default_factory=list)


def measure(env: Environment, engine: RunningEngine, until: date, days: int, rounds: int) -> Backfilled:
    """Measures both in turn, `rounds` times, over `days` days up to `until`, and compares their results."""
    found = Backfilled(days)
    since = until - timedelta(days=days - 1)
    with backed_up(env.data, (reports,), "before") as tables:
        for _ in range(rounds):
            tables.restore()
            with _timed(found.bare):
                found.items = sum(
                    bare.daily_report(workload_of(env, JOB, since + timedelta(days=n), clock.now()))
                    for n in range(days)
                )
            expected = contents(env.data, (reports,), env.cache)
            tables.restore()
            service = engine.service
            with _timed(found.planning):
                plan = service.backfills.plan([JOB], since, until)
            with _timed(found.engine_seconds):
                service.backfills.apply(plan)
                while (ended := service.backfills.wait_for(plan, 3600)) is None or ended.state is BackfillState.PLANNED:
                    time.sleep(0.05)
            assert ended.state is BackfillState.DONE, ended
            assert set(ended.counts) == {"done"}, ended.counts
            other = first_difference(expected, contents(env.data, (reports,), env.cache))
            assert other is None, f"the backfill wrote different data: {other}"
    return found


@contextmanager
def _timed(into: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    into.append(time.perf_counter() - began)
