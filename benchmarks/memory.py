"""`python -m benchmarks.memory`: peak memory of the leader and the workers, by number of users."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cases import CASES, Case
from benchmarks.dataset import Dates, fill
from benchmarks.environment import POSTGRES, SQLITE, Environment, databases, environment, machine
from opsconsole.core import clock
from opsconsole.core.errors import Exit

RESULTS = Path(__file__).parent / "results"
SAMPLE_SECONDS = 0.02
MIN_WORKER_MIB = 10.0
"""MiB: a child process with less has not started the worker yet."""
DEFAULT = ("attempts.cache_day", "reporting.daily_report", "game.leaderboard_recalc")


@dataclass
class Peaks:
    """Peak memory of a run's processes in MiB; `seconds` is the recorded duration of the run."""

    job: str
    users: int
    leader: float
    workers: list[float]
    items: int
    seconds: float


def measure(here: Environment, case: Case, users: int, dates: Dates) -> Peaks:
    """Runs `opsconsole run --wait` and samples the memory of the process and its workers."""
    day = case.day(dates)
    command = [sys.executable, "-m", "opsconsole", "run", case.job, "--wait", "--json"]
    command += ["--date", day.isoformat()] if day else []
    leader, workers = 0.0, dict[int, float]()
    with tempfile.TemporaryFile() as output:
        began = subprocess.Popen(
            command,
            env={**os.environ, **here.environ},
            cwd=here.settings.folder,
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
        while began.poll() is None:
            leader = max(leader, _peak(began.pid))
            for child in _children(began.pid):
                workers[child] = max(workers.get(child, 0.0), _peak(child))
            time.sleep(SAMPLE_SECONDS)
        output.seek(0)
        run = json.load(output)
    assert began.returncode == Exit.DONE, run
    real = sorted(peak for peak in workers.values() if peak > MIN_WORKER_MIB)
    return Peaks(case.job, users, leader, real, run["planned"], run["seconds"])


def _peak(pid: int) -> float:
    """Peak memory in MiB; 0 for a process that has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        found = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
        return [int(child) for child in " ".join(found).split()]
    return []


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--users", nargs="+", type=int, default=[10_000, 100_000])
    parser.add_argument("--jobs", nargs="+", choices=[case.job for case in CASES], default=DEFAULT, metavar="JOB")
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=[SQLITE, POSTGRES])
    parser.add_argument("--attempts", type=int, default=3, help="maximum attempts per user (default: 3)")
    args = parser.parse_args()
    console = Console(highlight=False)
    cases = [case for case in CASES if case.job in args.jobs]
    began = clock.now()
    about, results = machine(), dict[str, Any]()
    for name, missing in databases(args.databases):
        if missing:
            console.print(f"skipping {name}: {missing}")
            continue
        peaks: list[Peaks] = []
        for users in args.users:
            with (
                tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder,
                environment(name, Path(folder)) as here,
            ):
                dates = Dates(clock.now())
                packs = {case.pack for case in cases}
                fill(here.data, users, dates, packs, money_days=1, most_attempts=args.attempts)
                here.settle()
                print(f"{name}: {users:,} users written", file=sys.stderr, flush=True)
                for case in cases:
                    here.cache.flushall()
                    peaks.append(measure(here, case, users, dates))
        console.print(_table(f"{name}, peak memory in MiB", peaks))
        results[name] = [asdict(each) for each in peaks]
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"memory-{began:%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps({"at": began.isoformat(), "machine": about, "results": results}, indent=1) + "\n")
    console.print(f"load {about['load before']} before, {machine()['load before']} after; figures in {file}")
    return 0


def _table(title: str, peaks: list[Peaks]) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    table.add_column("")
    for heading in ("users", "leader", "workers", "items", "s"):
        table.add_column(heading, justify="right")
    for row in sorted(peaks, key=lambda row: row.job):
        workers = ", ".join(f"{worker:.0f}" for worker in row.workers)
        table.add_row(row.job, f"{row.users:,}", f"{row.leader:.0f}", workers, f"{row.items:,}", f"{row.seconds:.1f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
