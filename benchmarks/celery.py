"""Measures the executor `celery` with 1, 2 and 4 workers against the executor `processes`, the cost of a batch, and a
run during which workers are killed and the broker is restarted: `python -m benchmarks.celery`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.dataset import Dates, fill
from benchmarks.engine import RunningEngine, running_engine
from benchmarks.environment import POSTGRES, SQLITE, Environment, databases, environment, machine
from benchmarks.processor import processor_seconds_by
from opsconsole.authoring import catalog
from opsconsole.core import clock, configuration
from opsconsole.worker.celery.broker import Broker
from tests.waiting import eventually
from tests.worker.attached import BrokerServer

RESULTS = Path(__file__).parent / "results"
JOB, EMPTY_JOB = "attempts.cache_day", "attempts.suggest"
GROUPS = {
    "opsconsole.worker.process": "job code",
    "opsconsole worker": "attached workers",
    "postgres": "database",
    "broker-": "broker",
    "valkey": "cache",
    "redis": "cache",
}
"""Groups of processes by a part of their command line; all others are the leader."""
SMALL_BATCH = 10
"""Items of a batch in the comparison of costs, where the broker takes most of the time."""


@dataclass
class Measured:
    """A run: wall-clock and processor seconds, these also by group of processes, and what it processed. `effects` is a
    digest of the cached values, `cached_bytes` their memory in Redis.
    """

    executor: str
    workers: int
    items: int
    batches: int
    seconds: float
    processor: float
    groups: dict[str, float]
    cached_bytes: int
    effects: str
    faults: str = ""


@contextlib.contextmanager
def installed(
    here: Environment, executor: str, workers: int, batch: int | None, broker_url: str
) -> Iterator[Environment]:
    """The environment with an executor, in a configuration file that its workers read, too."""
    folder = Path(here.environ["XDG_CONFIG_HOME"]) / "opsconsole"
    folder.mkdir(exist_ok=True)
    file = folder / "opsconsole.toml"
    size = f"batch = {batch}" if batch else ""
    file.write_text(
        f'[engine]\nexecutor = "{executor}"\nworkers = {workers}\n'
        f'[celery]\nbroker_url = "{broker_url}"\n[jobs."{JOB}"]\nworkers = {max(2, 2 * workers)}\n{size}\n'
    )
    settings = configuration.load(file, environ=here.environ, search=False)
    jobs = catalog.load(settings.packs, settings.overrides, settings.options)
    try:
        yield replace(here, settings=settings, catalog=jobs)
    finally:
        file.unlink()


class AttachedWorkers:
    """`opsconsole worker` processes with one slot each."""

    def __init__(self, here: Environment, broker_url: str) -> None:
        self._environ = {**os.environ, **here.environ}
        self._broker = Broker(broker_url)
        self._log = (here.settings.folder / "attached.log").open("ab")
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, count: int) -> None:
        """Starts workers, and waits until they are attached."""
        self.begin(count)
        eventually(lambda: self._pids() <= self._attached_pids(), "the workers are attached")

    def begin(self, count: int) -> None:
        """Starts workers, and does not wait."""
        command = [sys.executable, "-m", "opsconsole", "worker", "--slots", "1"]
        for _ in range(count):
            self.processes.append(
                subprocess.Popen(command, env=self._environ, stdout=self._log, stderr=self._log, cwd=Path.cwd())
            )

    def _pids(self) -> set[int]:
        return {process.pid for process in self.processes}

    def _attached_pids(self) -> set[int]:
        return {worker.pid for worker in self._broker.read_state(0).workers.values()}

    def kill_one(self) -> None:
        """Kills the oldest worker."""
        oldest = self.processes.pop(0)
        oldest.kill()
        oldest.wait()

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self._log.close()


def digest(here: Environment) -> str:
    """A digest of all cached values."""
    found = hashlib.sha256()
    keys = sorted(key for key in here.cache.scan_iter(count=1000) if here.cache.type(key) == b"string")
    for at in range(0, len(keys), 1000):
        page = keys[at : at + 1000]
        for key, value in zip(page, here.cache.mget(page), strict=True):
            found.update(key + b"\0" + (value or b""))
    return f"{len(keys)}:{found.hexdigest()[:12]}"


def measured(engine: RunningEngine, here: Environment, executor: str, workers: int, day: date) -> Measured:
    """Runs the job once, on an empty cache."""
    here.cache.flushall()
    empty = here.cache.info("memory")["used_memory"]
    before = processor_seconds_by(_group)
    run, seconds = engine.run(JOB, day)
    groups = {name: round(used - before.get(name, 0.0), 3) for name, used in processor_seconds_by(_group).items()}
    cached = here.cache.info("memory")["used_memory"] - empty
    used = sum(groups.values())
    return Measured(executor, workers, run.counts.ok, run.batches, seconds, used, groups, cached, digest(here))


def _group(command: str) -> str:
    """The group of a process, by its command line."""
    for part, group in GROUPS.items():
        if part in command:
            return group
    return "leader"


def run_with(here: Environment, executor: str, workers: int, day: date, *, batch: int | None = None) -> Measured:
    """One run with an executor, after a first one that starts what is started once."""
    folder = here.settings.folder
    server = BrokerServer(Path(tempfile.mkdtemp(prefix="broker-", dir=folder)), syncs="everysec")
    server.start()
    with contextlib.ExitStack() as closing:
        closing.callback(server.kill)
        place = closing.enter_context(installed(here, executor, workers, batch, server.url))
        if executor == "celery":
            attached = AttachedWorkers(place, server.url)
            closing.callback(attached.close)
            attached.start(workers)
        engine = closing.enter_context(running_engine(place))
        engine.run(EMPTY_JOB, day)
        return measured(engine, place, executor, workers, day)


def run_with_faults(here: Environment, day: date) -> Measured:
    """A run of two workers; two are killed, and the broker once, each at a quarter of the run."""
    server = BrokerServer(Path(tempfile.mkdtemp(prefix="broker-", dir=here.settings.folder)), syncs="always")
    server.start()
    with contextlib.ExitStack() as closing:
        closing.callback(lambda: server.kill())
        place = closing.enter_context(installed(here, "celery", 2, None, server.url))
        attached = AttachedWorkers(place, server.url)
        closing.callback(attached.close)
        attached.start(2)
        engine = closing.enter_context(running_engine(place))
        engine.run(EMPTY_JOB, day)
        done: list[str] = []
        ended = threading.Event()
        breaking = threading.Thread(target=_break, args=(engine, attached, server, ended, done), daemon=True)
        breaking.start()
        found = measured(engine, place, "celery", 2, day)
        ended.set()
        breaking.join()
        found.faults = ", ".join(done)
        return found


def _break(
    engine: RunningEngine, attached: AttachedWorkers, server: BrokerServer, ended: threading.Event, done: list[str]
) -> None:
    """Breaks something at each quarter of the run, until it has ended."""
    for share in (0.25, 0.5, 0.75):
        while not _has_reached(engine, share):
            if ended.wait(0.02):
                return
        if share < 0.75:
            attached.kill_one()
            attached.begin(1)
            done.append(f"worker killed at {share:.0%}")
        else:
            server.kill()
            server.start()
            done.append("broker killed and started at 75%")


def _has_reached(engine: RunningEngine, share: float) -> bool:
    found = engine.service.queries.runs(limit=5, job=JOB)
    return any(not run.ended_at and run.planning_done and run.batches_done >= share * run.batches for run in found)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.celery", description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=[SQLITE, POSTGRES])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--faults", action="store_true", help="only the run with faults")
    args = parser.parse_args()
    console = Console(highlight=False, width=240)
    about, results = machine(), dict[str, list[Measured]]()
    began = clock.now()
    for name, missing in databases(args.databases):
        if missing:
            console.print(f"skipping {name}: {missing}")
            continue
        with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder, environment(name, Path(folder)) as here:
            dates = Dates(clock.now())
            fill(here.data, args.users, dates, {"attempts"}, most_attempts=3)
            here.settle()
            results[name] = found = []
            if args.faults:
                found.append(run_with(here, "processes", 2, dates.practised))
                found.append(run_with_faults(here, dates.practised))
            else:
                for _ in range(args.rounds):
                    found.append(run_with(here, "processes", 2, dates.practised))
                    found += [run_with(here, "celery", count, dates.practised) for count in (1, 2, 4)]
                    for executor in ("processes", "celery"):
                        found.append(run_with(here, executor, 1, dates.practised, batch=SMALL_BATCH))
            console.print(_table(f"{name}: {JOB}, {args.users:,} users", found))
            if len({each.effects for each in found}) > 1:
                console.print("the cached values differ")
                return 1
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"celery-{began:%Y%m%dT%H%M%SZ}.json"
    rows = {name: [asdict(each) for each in found] for name, found in results.items()}
    file.write_text(json.dumps({"at": began.isoformat(), "machine": about, "results": rows}, indent=1) + "\n")
    console.print(f"load {about['load before']} before, {machine()['load before']} after; figures in {file}")
    return 0


def _table(title: str, found: list[Measured]) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    for heading in (
        "executor",
        "workers",
        "items",
        "batches",
        "s",
        "items/s",
        "processor s",
        "ms/batch",
        "of which",
        "",
    ):
        table.add_column(heading, justify="left" if heading in ("executor", "of which", "") else "right")
    for row in sorted(found, key=lambda each: (each.batches, each.executor, each.workers, each.seconds)):
        table.add_row(
            row.executor,
            str(row.workers),
            f"{row.items:,}",
            f"{row.batches:,}",
            f"{row.seconds:.2f}",
            f"{row.items / row.seconds:,.0f}",
            f"{row.processor:.2f}",
            f"{1000 * row.processor / row.batches:.1f}",
            ", ".join(f"{name} {used:.2f}" for name, used in sorted(row.groups.items()) if used),
            row.faults,
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
