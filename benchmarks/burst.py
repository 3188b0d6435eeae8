"""Measures many trivial jobs that are due at one scheduled time: how late they start, and what a run costs the leader.

Everything is read from the store's records and from counters of this process, which leads: with `--rounds 3` it takes
about four minutes for each database, as jobs are due at full minutes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import event, func, select

from benchmarks.environment import POSTGRES, SQLITE, Environment, databases, environment, machine
from opsconsole.authoring import catalog
from opsconsole.authoring.run import OPEN, RunState
from opsconsole.core import clock
from opsconsole.leader.engine import Engine
from opsconsole.store import Store
from opsconsole.store.tables import occurrences, runs

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
READY_SECONDS = 10.0
"""Before the scheduled time everything is at rest."""
GOALS = {"p50": 0.9, "last": 1.8}
"""Seconds for 1,000 jobs."""


@dataclass
class Burst:
    """One scheduled time of all jobs. Seconds are since that time, `cpu` and `workers_cpu` are those of the leader and
    its workers in seconds, and statements and transactions are those of the leader on the store, for each run.
    """

    runs: int
    succeeded: int
    skipped: int
    p50: float
    last: float
    ended: float
    cpu: float
    workers_cpu: float
    statements: float
    transactions: float
    in_order: bool
    load: float

    def verdict(self, jobs: int) -> str:
        """Whether all ran in order, and in time."""
        if self.succeeded < jobs or self.skipped:
            return f"{jobs - self.succeeded} did not succeed, {self.skipped} skipped"
        if not self.in_order:
            return "out of order"
        return "met" if self.p50 <= GOALS["p50"] and self.last <= GOALS["last"] else "missed"


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


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.burst", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--items", type=int, choices=(0, 1), default=1, help="items of each run")
    parser.add_argument("--rounds", type=int, default=3, help="measured minutes (default: 3)")
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=[SQLITE, POSTGRES])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    results = {}
    logging.disable(logging.WARNING)  # a line for each alert about a late run
    for name, missing in databases(args.databases):
        if missing:
            print(f"skipping {name}: {missing}")
            continue
        with (
            tempfile.TemporaryDirectory(prefix="opsconsole-burst-") as folder,
            _place(name, Path(folder), args) as here,
        ):
            results[name] = [asdict(found) for found in _measure(here, args.jobs, args.rounds)]
    if args.json:
        report = {"machine": machine(), "jobs": args.jobs, "items": args.items, "goals": GOALS, "results": results}
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


@contextmanager
def _place(name: str, folder: Path, args: argparse.Namespace) -> Iterator[Environment]:
    (folder / "burst.py").write_text(PACK.format(items=args.items, jobs=args.jobs))
    sys.path.insert(0, str(folder))
    try:
        with environment(name, folder) as here:
            settings = replace(here.settings, packs=("burst",))
            yield replace(here, settings=settings, catalog=catalog.load(settings.packs, {}, {}))
    finally:
        sys.path.remove(str(folder))


def _measure(here: Environment, jobs: int, rounds: int) -> Iterator[Burst]:
    counting = Counting(here.store)
    _wait_for_room()
    engine = Engine(here.settings, here.store, here.catalog)
    engine.start()
    try:
        for _ in range(rounds):
            due_at = _next_minute()
            _sleep_until(due_at - timedelta(seconds=0.5))
            before, cpu, of_workers, began = counting.counts.copy(), _cpu(), _workers_cpu(), time.monotonic()
            _wait_until_ended(here.store, due_at, jobs)
            used, counts = (_cpu() - cpu, _workers_cpu() - of_workers), counting.counts - before
            found = _read(here.store, due_at, used, counts)
            print(
                f"{here.database}: {found.runs} runs, started p50 {found.p50:.2f} s, last {found.last:.2f} s "
                f"(goal {GOALS['p50']}, {GOALS['last']}), recorded {found.ended:.2f} s, leader {found.cpu:.2f} s CPU, "
                f"workers {found.workers_cpu:.2f} s, "
                f"{found.statements:.2f} statements and {found.transactions:.3f} transactions a run, "
                f"load {found.load:.1f}: {found.verdict(jobs)}",
                flush=True,
            )
            yield found
            if time.monotonic() - began > 60:
                break  # the next scheduled time has passed
    finally:
        engine.stop()


def _read(store: Store, due_at: datetime, cpu: tuple[float, float], counts: Counter[str]) -> Burst:
    with store.reading() as db:
        mine = select(runs.c.priority, runs.c.job, runs.c.state, runs.c.started_at, runs.c.ended_at)
        rows = db.execute(mine.where(runs.c.as_of == due_at).order_by(runs.c.priority.desc(), runs.c.job)).all()
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
        cpu=cpu[0],
        workers_cpu=cpu[1],
        statements=counts["statements"] / len(rows),
        transactions=counts["transactions"] / len(rows),
        in_order=started == sorted(started),
        load=os.getloadavg()[0],
    )


def _wait_until_ended(store: Store, due_at: datetime, jobs: int) -> None:
    waiting = select(func.count()).where(runs.c.as_of == due_at, runs.c.state.not_in(OPEN))
    end = time.monotonic() + 300
    while time.monotonic() < end:
        with store.reading() as db:
            if db.execute(waiting).scalar_one() >= jobs:
                return
        time.sleep(0.25)


def _wait_for_room() -> None:
    """Waits until there is time to start an engine before the next minute."""
    while (_next_minute() - clock.now()).total_seconds() < READY_SECONDS:
        time.sleep(0.2)


def _next_minute() -> datetime:
    return clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1)


def _sleep_until(at: datetime) -> None:
    time.sleep(max(0.0, (at - clock.now()).total_seconds()))


def _workers_cpu() -> float:
    """Processor seconds of the children of this process, and of theirs."""
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            stats[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
    ours = {os.getpid()}
    while more := {pid for pid, stat in stats.items() if int(stat[1]) in ours} - ours:
        ours |= more
    ticks = sum(int(stat[i]) for pid, stat in stats.items() if pid in ours - {os.getpid()} for i in (11, 12, 13, 14))
    return ticks / os.sysconf("SC_CLK_TCK")


def _cpu() -> float:
    spent = os.times()
    return spent.user + spent.system


if __name__ == "__main__":
    sys.exit(main())
