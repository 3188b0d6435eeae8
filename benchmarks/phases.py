"""`python -m benchmarks.phases`: where the time of a job on SQLite goes, beside that of its bare baseline.

Worker processes of its own execute the batches of a run, and count the processor time of each phase. The wait for the
write lock is wall-clock time. The engine's thread is measured in a run by the engine.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import redis
from rich.console import Console
from rich.table import Table
from sqlalchemy import event

from benchmarks import harness
from benchmarks.cases import CASES
from benchmarks.engine import RunningEngine, running_engine
from benchmarks.environment import SQLITE
from benchmarks.harness import Bench
from benchmarks.parts.jobs import prepared
from opsconsole.authoring.batch import Batch
from opsconsole.authoring.context import Resources
from opsconsole.authoring.run import Selection
from opsconsole.core import clock
from opsconsole.worker.messages import Planning
from opsconsole.worker.planning import plan
from opsconsole.worker.work import work

READ, WRITE, COMMIT, REDIS, PYTHON, WAIT = "read", "write", "commit", "Redis", "Python", "wait"
PREPARE, KEYS, ENGINE, WALL = "prepare", "keys", "engine", "wall clock"
PROCESSOR = (PREPARE, KEYS, READ, WRITE, COMMIT, REDIS, PYTHON, ENGINE)
COLUMNS = (*PROCESSOR, WAIT, WALL)
BEGIN = "BEGIN IMMEDIATE"
CHILD_SECONDS = 3600
DEFAULT = ("game.life_regen", "game.leaderboard_recalc", "attempts.suggest", "attempts.update_mastery")

Seconds = dict[str, float]


class Phases:
    """Seconds of this thread by phase."""

    def __init__(self) -> None:
        self.seconds: Seconds = {}
        self._is_inside = False

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Adds the block to a phase, unless it is inside another one."""
        if self._is_inside:
            yield
            return
        self._is_inside = True
        now = time.perf_counter if phase == WAIT else time.thread_time
        began = now()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + now() - began
            self._is_inside = False

    def measure(self, execute: Callable[[], object]) -> Seconds:
        """The phases of a function; what is not in another one is Python's."""
        self.seconds.clear()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)  # as in a worker
        wall, began = time.perf_counter(), time.thread_time()
        execute()
        others = sum(seconds for phase, seconds in self.seconds.items() if phase != WAIT)
        self.seconds[PYTHON] = time.thread_time() - began - others
        return self.seconds | {WALL: time.perf_counter() - wall}


phases = Phases()


class TimedCursor(sqlite3.Cursor):
    """Counts its statements as reading or writing, by their first words."""

    phase = READ

    def execute(self, sql: str, *values: Any) -> Any:
        reads = sql.lstrip()[:11].upper().startswith(("SELECT", "WITH PAGE", "WITH FOUND"))
        self.phase = WAIT if sql == BEGIN else READ if reads else WRITE
        with phases.during(self.phase):
            return super().execute(sql, *values)

    def executemany(self, sql: str, rows: Any) -> Any:
        with phases.during(WRITE):
            return super().executemany(sql, rows)

    def fetchall(self) -> list[Any]:
        with phases.during(self.phase):
            return super().fetchall()

    def fetchone(self) -> Any:
        with phases.during(self.phase):
            return super().fetchone()

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        with phases.during(self.phase):
            return super().fetchmany(size)


class TimedConnection(sqlite3.Connection):
    """Counts its commits, and what its cursors do."""

    def cursor(self, factory: Any = TimedCursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, *values: Any) -> Any:
        return self.cursor().execute(sql, *values)

    def commit(self) -> None:
        with phases.during(COMMIT):
            super().commit()


@dataclass
class Measured:
    """A job in an environment, and the moment of its run."""

    at: Bench
    as_of: datetime

    def bare(self) -> Seconds:
        """The phases of the bare baseline, in a process of its own."""
        self.at.clean()
        return _total([_in_child(lambda: phases.measure(lambda: self.at.case.bare(self.at.workload(self.as_of))))])

    def run(self, workers: int, size: int) -> Seconds:
        """The phases of planning and of the batches, in processes like those of a run."""
        self.at.clean()
        planned, keys, facts = self._plan()
        next_batch = multiprocessing.Value("i", 0)

        def execute() -> None:
            tools, options = self._tools(), self.at.env.catalog.options(self._job, {})
            while True:
                with next_batch.get_lock():
                    number = next_batch.value
                    next_batch.value += 1
                some = keys[number * size : (number + 1) * size]
                if not some:
                    return
                window = self.at.workload(self.as_of).window
                batch = Batch(1, number + 1, 1, self._job.name, window, self.as_of, some, facts, 3600.0)
                result = work(batch, self._job, tools, options)
                if result.ok != len(some):
                    raise RuntimeError(f"a batch failed: {result}")

        return _total([_in_child(lambda: phases.measure(execute)) for _ in range(workers)]) | planned

    def by_engine(self, engine: RunningEngine) -> Seconds:
        """The processor time of the engine's thread, and the wall-clock time of a run."""
        self.at.clean()
        before = _thread_seconds("engine")
        _, seconds = engine.run(self.at.case.job, self.at.day)
        return {ENGINE: _thread_seconds("engine") - before, WALL: seconds}

    @property
    def _job(self) -> Any:
        return self.at.env.catalog.find(self.at.case.job)

    def _plan(self) -> tuple[Seconds, list[str], dict[str, Any]]:
        job, tools, window = self._job, self._tools(), self.at.workload(self.as_of).window
        planning = Planning(1, job.name, window, self.as_of, job.prepare is not None, Selection.ALL, 3600.0)
        keys: list[str] = []
        facts: dict[str, Any] = {}
        seconds = {PREPARE: 0.0}
        began = time.thread_time()
        for answer in plan(planning, job, tools, self.at.env.catalog.options(job, {})):
            if answer.reason is not None:
                raise RuntimeError(answer.reason)
            if answer.facts is not None:
                facts, seconds = answer.facts, {PREPARE: time.thread_time() - began}
            keys += answer.keys
        seconds[KEYS] = time.thread_time() - began - seconds[PREPARE]
        tools.close()
        return seconds, keys, facts

    def _tools(self) -> Resources:
        tools = Resources(self.at.env.data_url, self.at.env.redis_url, families=self.at.env.catalog.families)

        def connect(_dialect: Any, _record: Any, _words: Any, parameters: dict[str, Any]) -> None:
            parameters["factory"] = TimedConnection

        event.listen(tools.data.engine, "do_connect", connect)
        return tools


def _timed(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        with phases.during(REDIS):
            return function(*args, **options)

    return call


def _in_child(execute: Callable[[], Seconds]) -> Callable[[], Seconds]:
    """Starts a function in a fork, in which every connection is timed; what is returned waits for its result."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        # A lock that a thread of the engine held during the fork stays locked here, and would be waited for forever.
        signal.alarm(CHILD_SECONDS)
        connect, pipeline = sqlite3.connect, redis.client.Pipeline.execute
        code = 1
        try:
            with (
                mock.patch("sqlite3.connect", lambda *to, **how: connect(*to, **{"factory": TimedConnection, **how})),
                mock.patch.object(redis.client.Pipeline, "execute", _timed(pipeline)),
                mock.patch.object(redis.Redis, "execute_command", _timed(redis.Redis.execute_command)),
            ):
                os.write(writer, json.dumps(execute()).encode())
            code = 0
        except Exception:  # noqa: BLE001 - the top of a process
            traceback.print_exc()
        os._exit(code)
    os.close(writer)

    def wait() -> Seconds:
        with os.fdopen(reader) as pipe:
            text = pipe.read()
        _, status = os.waitpid(pid, 0)
        if status:
            raise RuntimeError(f"a measuring process ended with {os.waitstatus_to_exitcode(status)}")
        found: Seconds = json.loads(text)
        return found

    return wait


def _total(started: list[Callable[[], Seconds]]) -> Seconds:
    found = [wait() for wait in started]
    return {phase: sum(each.get(phase, 0.0) for each in found) for phase in COLUMNS if phase != WALL} | {
        WALL: max(each[WALL] for each in found)
    }


def _thread_seconds(name: str) -> float:
    thread = next(thread for thread in threading.enumerate() if thread.name == name)
    used = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()[0]
    return int(used) / 1e9


def _row(what: str, seconds: Mapping[str, float]) -> list[str]:
    cells = [f"{seconds[phase]:.3f}" if seconds.get(phase) else "" for phase in COLUMNS]
    return [what, *cells, f"{sum(seconds.get(phase, 0.0) for phase in PROCESSOR):.3f}"]


def main() -> None:
    """Prints a table of each job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--jobs", nargs="+", default=list(DEFAULT), choices=[case.job for case in CASES])
    parser.add_argument("--batch", type=int, nargs="+", default=[], help="batch sizes (default: the job's)")
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    cases = [case for case in CASES if case.job in args.jobs]
    packs = {case.pack for case in cases}
    with prepared(SQLITE, args.users, packs) as (here, dates), running_engine(here) as engine:
        for case in cases:
            table = Table(title=f"{case.job}, {args.users:,} users: seconds")
            for name in ("", *COLUMNS, "processor"):
                table.add_column(name)
            with harness.bench(here, case, engine, dates) as at:
                for _ in range(args.rounds):
                    measured = Measured(at, clock.now())
                    table.add_row(*_row("bare", measured.bare()))
                    for size in args.batch or [here.catalog.find(case.job).batch]:
                        for workers in args.workers:
                            what = f"batches of {size:,}, {workers} at once"
                            table.add_row(*_row(what, measured.run(workers, size)))
                    table.add_row(*_row("the run by the engine", measured.by_engine(engine)), end_section=True)
            Console(width=180 if not sys.stdout.isatty() else None).print(table)


if __name__ == "__main__":
    main()
