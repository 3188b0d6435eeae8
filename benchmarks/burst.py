"""Measures many trivial jobs that are due at one scheduled time: how late they start, and what a run costs the leader.

Everything is read from the store's records and from counters of this process, which leads. A round takes a minute, as
jobs are due at full minutes.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import event, func, select

from benchmarks.environment import Environment, environment
from benchmarks.processor import processor_seconds
from opsconsole.authoring import catalog
from opsconsole.authoring.run import OPEN, RunState, Trigger
from opsconsole.calendar.cron import zone
from opsconsole.core import clock
from opsconsole.leader.engine import Engine
from opsconsole.store import Store, runs
from opsconsole.store.tables import occurrences, runs as run_table

PACK = '''"""Jobs that do next to nothing, every minute."""

from sqlalchemy import MetaData

from opsconsole import Job, Pack


def items(scope):
    return ("one",)[:{items}]


def nothing(ctx, items):
    pass


pack = Pack(
    "burst",
    jobs=tuple(
        Job(f"burst.job_{{n:05}}", items, nothing, cron="* * * * *", priority=n % 2) for n in range({jobs})
    ),
    metadata=MetaData(),
)
'''
BESIDE = '''"""A job that takes long, and one that is due every minute."""

import time

from sqlalchemy import MetaData

from opsconsole import Job, Pack


def items(scope):
    return ("one",)


def many(scope):
    return tuple(f"{n:05}" for n in range(10_000))


def nothing(ctx, items):
    pass


def compute(ctx, items):
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass


pack = Pack(
    "beside",
    jobs=(
        Job("beside.beat", items, nothing, cron="* * * * *"),
        Job("beside.long", many, compute, cron=None, batch=100, workers=8),
    ),
    metadata=MetaData(),
)
'''
READY_SECONDS = 10.0
"""Before the scheduled time everything is at rest."""


@dataclass
class Burst:
    """One scheduled time of all jobs. Seconds are since that time; `leader` and `others` are processor seconds of the
    leader, and of its workers and servers. Statements and transactions are those of the leader on the store per run.
    """

    runs: int
    succeeded: int
    skipped: int
    p50: float
    last: float
    ended: float
    leader: float
    others: float
    statements: float
    transactions: float
    in_order: bool

    @property
    def is_complete(self) -> bool:
        """Whether every run succeeded, in order, and no scheduled time was skipped."""
        return self.succeeded == self.runs and not self.skipped and self.in_order


class Counting:
    """Counts what this process executes on a store."""

    def __init__(self, store: Store) -> None:
        self.counts: Counter[str] = Counter()
        event.listen(store.engine, "before_cursor_execute", self._statement)
        for end in ("commit", "rollback"):
            event.listen(store.engine, end, self._transaction)

    def _statement(self, *_: object) -> None:
        self.counts["statements"] += 1

    def _transaction(self, *_: object) -> None:
        self.counts["transactions"] += 1


def bursts(name: str, *, jobs: int, items: int, rounds: int) -> Iterator[Burst]:
    """Measures one burst a minute on a database. Stops early when one takes longer than a minute."""
    with _leading(name, "burst", PACK.format(items=items, jobs=jobs)) as (here, _):
        counting = Counting(here.store)
        for _ in range(rounds):
            due_at, began = _next_minute(), time.monotonic()
            _sleep_until(due_at - timedelta(seconds=0.5))
            before, leader, everybody = counting.counts.copy(), _cpu(), processor_seconds()
            _wait_until_ended(here.store, due_at, jobs)
            leader, everybody = _cpu() - leader, processor_seconds() - everybody
            yield _read(here.store, due_at, leader, everybody - leader, counting.counts - before)
            if time.monotonic() - began > 100:
                break  # the next scheduled time has passed


def delays(name: str, *, rounds: int) -> list[float]:
    """How many seconds late a job starts that is due while a run over 10,000 items keeps every worker busy."""
    found = []
    with _leading(name, "beside", BESIDE) as (here, engine):
        job = here.catalog.find("beside.long")
        for _ in range(rounds):
            due_at = _next_minute()
            _sleep_until(due_at - timedelta(seconds=2))
            with here.store.writing() as db:
                at = clock.now()
                window = job.covers.at(at, zone(job.tz))
                runs.create(db, job, window, as_of=at, trigger=Trigger.HAND, requested_by="benchmark", at=at)
            engine.wake()
            _wait_until_ended(here.store, due_at, 1)
            with here.store.reading() as db:
                (beat,) = runs.newest(db, limit=1, job="beside.beat")
            if beat.started_at is not None:
                found.append((beat.started_at - due_at).total_seconds())
            _sleep_until(due_at + timedelta(seconds=15))  # the long run has ended
    return found


@contextmanager
def _leading(name: str, pack: str, source: str) -> Iterator[tuple[Environment, Engine]]:
    """An engine that leads and is at rest before a full minute."""
    logging.disable(logging.WARNING)  # a line for each alert about a late run
    with (
        tempfile.TemporaryDirectory(prefix="opsconsole-burst-") as folder,
        _place(name, Path(folder), pack, source) as here,
    ):
        while (_next_minute() - clock.now()).total_seconds() < READY_SECONDS:
            time.sleep(0.2)
        engine = Engine(here.settings, here.store, here.catalog)
        engine.start()
        try:
            yield here, engine
        finally:
            engine.stop()
            logging.disable(logging.NOTSET)


@contextmanager
def _place(name: str, folder: Path, pack: str, source: str) -> Iterator[Environment]:
    (folder / f"{pack}.py").write_text(source)
    sys.path.insert(0, str(folder))
    try:
        with environment(name, folder) as here:
            settings = replace(here.settings, packs=(pack,))
            yield replace(here, settings=settings, catalog=catalog.load(settings.packs, {}, {}))
    finally:
        sys.path.remove(str(folder))


def _read(store: Store, due_at: datetime, leader: float, others: float, counts: Counter[str]) -> Burst:
    with store.reading() as db:
        mine = select(
            run_table.c.priority, run_table.c.job, run_table.c.state, run_table.c.started_at, run_table.c.ended_at
        )
        rows = db.execute(
            mine.where(run_table.c.as_of == due_at).order_by(run_table.c.priority.desc(), run_table.c.job)
        ).all()
        skipped = db.execute(
            select(func.count()).where(occurrences.c.due_at == due_at, occurrences.c.state.in_(("skipped", "missed")))
        ).scalar_one()
    started = [(row.started_at - due_at).total_seconds() for row in rows if row.started_at is not None]
    return Burst(
        runs=len(rows),
        succeeded=sum(row.state == RunState.SUCCEEDED for row in rows),
        skipped=skipped,
        p50=statistics.median(started),
        last=max(started),
        ended=max((row.ended_at - due_at).total_seconds() for row in rows if row.ended_at is not None),
        leader=leader,
        others=others,
        statements=counts["statements"] / len(rows),
        transactions=counts["transactions"] / len(rows),
        in_order=started == sorted(started),
    )


def _wait_until_ended(store: Store, due_at: datetime, jobs: int) -> None:
    waiting = select(func.count()).where(run_table.c.as_of == due_at, run_table.c.state.not_in(OPEN))
    end = time.monotonic() + 300
    while time.monotonic() < end:
        with store.reading() as db:
            if db.execute(waiting).scalar_one() >= jobs:
                return
        time.sleep(0.25)


def _next_minute() -> datetime:
    return clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1)


def _sleep_until(at: datetime) -> None:
    time.sleep(max(0.0, (at - clock.now()).total_seconds()))


def _cpu() -> float:
    spent = os.times()
    return spent.user + spent.system
