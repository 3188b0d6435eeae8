"""Benchmarks of the jobs. Prints tables and writes the figures as JSON to benchmarks/results."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import backfill, harness
from benchmarks.backfill import Backfilled
from benchmarks.cases import CASES, Case
from benchmarks.dataset import SAMPLED_USERS, Dates, fill
from benchmarks.engine import RunningEngine, running_engine
from benchmarks.environment import POSTGRES, SQLITE, Environment, databases, environment, machine
from benchmarks.harness import BARE, ENGINE, NAIVE, REPEAT, Figures
from opsconsole.core import clock

RESULTS = Path(__file__).parent / "results"
COMPARED_USERS = 150
"""Users in the check that the job and its baselines give the same result."""
MAX_USERS_FOR_A_MONTH = 20_000
"""With more users the month has only ten days of transactions, because writing thirty takes too long."""
BACKFILL = "backfill"

Measured = dict[str, list[Figures]]


def main() -> int:
    """Returns the exit code."""
    args = _arguments()
    console = Console(highlight=False, width=120)
    began = clock.now()
    about = machine()
    results: list[dict[str, Any]] = []
    for name, missing in databases(args.databases):
        if missing:
            console.print(f"skipping {name}: {missing}")
            continue
        result = _measure(name, args, console)
        results.append(result)
    about["load afterwards"] = machine()["load"]
    console.print(_footnote(about, results))
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{began:%Y%m%dT%H%M%SZ}.json"
    report = {"at": began.isoformat(), "machine": about, "options": vars(args), "results": results}
    file.write_text(json.dumps(report, indent=1) + "\n")
    console.print(f"{(clock.now() - began).total_seconds():.0f} s; figures in {file}")
    return 0


def _measure(name: str, args: argparse.Namespace, console: Console) -> dict[str, Any]:
    cases = [case for case in CASES if case.job in args.jobs]
    _log(name)
    result: dict[str, Any] = {"database": name}
    if cases:
        result |= _jobs(name, cases, args, console)
    if BACKFILL in args.jobs:
        result |= _backfill(name, args, console)
    return result


def _jobs(name: str, cases: list[Case], args: argparse.Namespace, console: Console) -> dict[str, Any]:
    _check(name, cases)
    measured: Measured = {}
    with _prepared(name, args.users, {case.pack for case in cases}) as (here, dates), running_engine(here) as engine:
        for case in cases:
            with harness.bench(here, case, engine, dates) as at:
                measured[case.job] = harness.measure(at, naive_items=args.naive_items, rounds=args.rounds)
            _log(f"{case.job}: " + ", ".join(f"{row.name} {row.rate:,.0f}/s" for row in measured[case.job]))
        empty = _empty_runs(engine, dates, args.rounds)
        about = _versions(here)
    title = f"{name} {about['version']}, {args.users:,} users, {args.rounds} rounds: items per second"
    console.print(_table(title, measured))
    console.print(f"run without items: {1000 * statistics.median(empty):.0f} ms\n")
    figures = {
        job: [asdict(row) | {"rate": row.rate, "spread": row.spread} for row in rows] for job, rows in measured.items()
    }
    batches = {case.job: here.catalog.find(case.job).batch for case in cases}
    return about | {"batches": batches, "seconds without items": empty, "jobs": figures}


def _versions(here: Environment) -> dict[str, Any]:
    """The versions of the database and Redis, and the number of workers."""
    redis = _redis_version(here.cache.info("server"))
    return {"version": here.version, "redis": redis, "workers": here.settings.engine.worker_count}


def _check(name: str, cases: list[Case]) -> None:
    with (
        _prepared(name, COMPARED_USERS, {case.pack for case in cases}) as (here, dates),
        running_engine(here) as engine,
    ):
        for case in cases:
            with harness.bench(here, case, engine, dates) as at:
                harness.check(at)
    _log(f"checked {len(cases)} jobs: the same results as their baselines for {COMPARED_USERS} users")


def _empty_runs(engine: RunningEngine, dates: Dates, rounds: int) -> list[float]:
    """Seconds of runs without items, on a day before all transactions."""
    early = dates.paid - timedelta(days=1000)
    return [engine.run(backfill.JOB, early)[1] for _ in range(rounds + 1)][1:]


def _backfill(name: str, args: argparse.Namespace, console: Console) -> dict[str, Any]:
    days = args.backfill_days
    with (
        _prepared(name, args.backfill_users, {"reporting"}, money_days=days) as (here, dates),
        running_engine(here) as engine,
    ):
        backfilled = backfill.measure(here, engine, dates.paid, days, args.backfill_rounds)
        about = _versions(here)
    console.print(_backfill_line(name, args, backfilled))
    return about | {"backfill": asdict(backfilled) | {"users": args.backfill_users, "ratio to bare": backfilled.ratio}}


@contextmanager
def _prepared(
    name: str, users: int, packs: set[str], money_days: int | None = None
) -> Iterator[tuple[Environment, Dates]]:
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder, environment(name, Path(folder)) as here:
        began = time.perf_counter()
        dates = Dates(clock.now())
        fill(here.data, users, dates, packs, money_days=money_days or (31 if users <= MAX_USERS_FOR_A_MONTH else 10))
        here.settle()
        _log(f"wrote {users:,} users in {time.perf_counter() - began:.1f} s")
        yield here, dates


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    jobs = [*(case.job for case in CASES), BACKFILL]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="quick check: 1,000 users and a backfill of 30 days")
    parser.add_argument(
        "--users", type=int, help=f"number of users (default: 10,000); above {SAMPLED_USERS:,} a multiple of it"
    )
    parser.add_argument(
        "--jobs",
        nargs="+",
        choices=jobs,
        default=jobs,
        metavar="JOB",
        help="jobs to measure (default: all): " + ", ".join(jobs),
    )
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds after one warm-up round (default: 3)")
    parser.add_argument("--naive-items", type=int, help="items that the naive baseline processes (default: 300)")
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=[SQLITE, POSTGRES])
    args = parser.parse_args()
    args.users = args.users or (1_000 if args.quick else 10_000)
    args.naive_items = args.naive_items or (40 if args.quick else 300)
    args.backfill_users, args.backfill_days = (200, 30) if args.quick else (1_000, 365)
    args.backfill_rounds = min(args.rounds, 3)
    if args.users < 500 or args.users % min(args.users, SAMPLED_USERS) or args.rounds < 1:
        parser.error(f"at least 500 users (above {SAMPLED_USERS:,} a multiple of it) and one round are required")
    return args


def _table(title: str, measured: Measured) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    table.add_column("")
    for heading in ("items", NAIVE, "spread", BARE, "spread", ENGINE, "spread", "x naive", "x bare", REPEAT):
        table.add_column(heading, justify="right")
    for job, rows in measured.items():
        of = {row.name: row for row in rows}
        cells = [f"{of[ENGINE].items:,}"]
        for name in (NAIVE, BARE, ENGINE):
            cells += [f"{of[name].rate:,.0f}", f"{of[name].spread:.0%}"]
        cells += [f"{of[ENGINE].rate / of[NAIVE].rate:.0f}", f"{of[ENGINE].rate / of[BARE].rate:.2f}"]
        table.add_row(job, *cells, f"{of[ENGINE].rate / of[REPEAT].rate:.0%}")
    return table


def _backfill_line(name: str, args: argparse.Namespace, done: Backfilled) -> str:
    seconds, bare, planning = (statistics.median(each) for each in (done.engine_seconds, done.bare, done.planning))
    return (
        f"{name}: {done.days} days of {backfill.JOB} for {args.backfill_users:,} users, {done.items:,} reports: "
        f"{seconds:.1f} s, bare {bare:.1f} s, ratio {done.ratio:.2f}; planning {planning:.1f} s\n"
    )


def _footnote(about: dict[str, Any], results: list[dict[str, Any]]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    used = "; ".join(f"{row['database']} {row['version']}, {row['workers']} workers" for row in results)
    return (
        "Items per second: median of interleaved rounds; spread is (worst - best) / median.\n"
        "naive: ORM, one commit and one Redis command per user;\n"
        "bare: optimized script without the engine, one process;\n"
        "engine: from the request of the run to its recorded end, with running workers;\n"
        "repeat: a second run with nothing left to do, as a share of the first one's time.\n"
        f"{used}. Redis: {', '.join(sorted({row['redis'] for row in results})) or '-'}.\n"
        f"Python {about['python']}, {about['system']}, {about['processors']} processors, "
        f"load {about['load'][0]} before, {about['load afterwards'][0]} after.\n{packages}."
    )


def _redis_version(info: dict[str, Any]) -> str:
    name = "Valkey" if "valkey_version" in info else "Redis"
    return f"{name} {info.get('valkey_version') or info.get('redis_version')}"


if __name__ == "__main__":
    sys.exit(main())
