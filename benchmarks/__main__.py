"""`python -m benchmarks`: measures the jobs, prints tables, and writes the figures as JSON into benchmarks/results."""

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
from benchmarks.dataset import FIRST, Dates, fill
from benchmarks.engine import Leading, leading
from benchmarks.environment import POSTGRES, SQLITE, Ground, databases, ground, machine
from benchmarks.harness import AGAIN, BARE, NAIVE, OURS, Figures
from opsconsole.core import clock

RESULTS = Path(__file__).parent / "results"
COMPARED = 150
"""So many users' data is compared before anything is measured."""
A_WHOLE_MONTH = 20_000
"""With more users the month has ten days: thirty of a hundred thousand people take longer to write than to measure."""
BACKFILL = "backfill"

Measured = dict[str, list[Figures]]


def main() -> int:
    """Returns the exit code."""
    asked = _arguments()
    console = Console(highlight=False, width=120)
    began = clock.now()
    about = machine()
    results: list[dict[str, Any]] = []
    for name, missing in databases(asked.databases):
        if missing:
            console.print(f"{name} is not measured: {missing}")
            continue
        result = _measure(name, asked, console)
        results.append(result)
    about["load afterwards"] = machine()["load"]
    console.print(_footnote(about, results))
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{began:%Y%m%dT%H%M%SZ}.json"
    told = {"at": began.isoformat(), "machine": about, "asked": vars(asked), "results": results}
    file.write_text(json.dumps(told, indent=1) + "\n")
    console.print(f"{(clock.now() - began).total_seconds():.0f} s; figures in {file}")
    return 0


def _measure(name: str, asked: argparse.Namespace, console: Console) -> dict[str, Any]:
    cases = [case for case in CASES if case.job in asked.jobs]
    _say(name)
    result: dict[str, Any] = {"database": name}
    if cases:
        result |= _jobs(name, cases, asked, console)
    if BACKFILL in asked.jobs:
        result |= _backfill(name, asked, console)
    return result


def _jobs(name: str, cases: list[Case], asked: argparse.Namespace, console: Console) -> dict[str, Any]:
    _compare(name, cases)
    measured: Measured = {}
    with _filled(name, asked.users, {case.pack for case in cases}) as (here, dates), leading(here) as engine:
        for case in cases:
            with harness.bench(here, case, engine, dates) as at:
                measured[case.job] = harness.measure(at, naive_items=asked.naive_items, rounds=asked.rounds)
            _say(f"{case.job}: " + ", ".join(f"{row.name} {row.rate:,.0f}/s" for row in measured[case.job]))
        nothing = _over_nothing(engine, dates, asked.rounds)
        about = _wiring(here)
    title = f"{name} {about['version']}, {asked.users:,} users, {asked.rounds} rounds: items a second"
    console.print(_table(title, measured))
    console.print(f"a run over no items: {1000 * statistics.median(nothing):.0f} ms\n")
    figures = {
        job: [asdict(row) | {"rate": row.rate, "spread": row.spread} for row in rows] for job, rows in measured.items()
    }
    batches = {case.job: here.catalog.find(case.job).batch for case in cases}
    return about | {"batches": batches, "seconds over no items": nothing, "jobs": figures}


def _wiring(here: Ground) -> dict[str, Any]:
    """What works together, and in how many processes."""
    redis = _redis_version(here.cache.info("server"))
    return {"version": here.version, "redis": redis, "workers": here.settings.engine.worker_count}


def _compare(name: str, cases: list[Case]) -> None:
    with _filled(name, COMPARED, {case.pack for case in cases}) as (here, dates), leading(here) as engine:
        for case in cases:
            with harness.bench(here, case, engine, dates) as at:
                harness.check(at)
    _say(f"all ways of {len(cases)} jobs leave the same data for {COMPARED} users")


def _over_nothing(engine: Leading, dates: Dates, rounds: int) -> list[float]:
    """Seconds of runs that have no items: a day before anybody paid anything."""
    early = dates.paid - timedelta(days=1000)
    return [engine.run(backfill.JOB, early)[1] for _ in range(rounds + 1)][1:]


def _backfill(name: str, asked: argparse.Namespace, console: Console) -> dict[str, Any]:
    days = asked.backfill_days
    with _filled(name, asked.backfill_users, {"reporting"}, money_days=days) as (here, dates), leading(here) as engine:
        filled = backfill.measure(here, engine, dates.paid, days, asked.backfill_rounds)
        about = _wiring(here)
    console.print(_backfill_line(name, asked, filled))
    return about | {"backfill": asdict(filled) | {"users": asked.backfill_users, "times bare": filled.times}}


@contextmanager
def _filled(name: str, users: int, packs: set[str], money_days: int | None = None) -> Iterator[tuple[Ground, Dates]]:
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder, ground(name, Path(folder)) as here:
        began = time.perf_counter()
        dates = Dates(clock.now())
        fill(here.data, users, dates, packs, money_days=money_days or (31 if users <= A_WHOLE_MONTH else 10))
        here.settle()
        _say(f"{users:,} users written in {time.perf_counter() - began:.1f} s")
        yield here, dates


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    jobs = [*(case.job for case in CASES), BACKFILL]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 users and a month's backfill, for a look")
    parser.add_argument("--users", type=int, help=f"how many users the data has (default: 10,000); {FIRST:,} times n")
    parser.add_argument("--jobs", nargs="+", choices=jobs, default=jobs, metavar="JOB", help=", ".join(jobs))
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count, after one that does not (default: 3)")
    parser.add_argument("--naive-items", type=int, help="how many of them the naive way works on (default: 300)")
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=[SQLITE, POSTGRES])
    asked = parser.parse_args()
    asked.users = asked.users or (1_000 if asked.quick else 10_000)
    asked.naive_items = asked.naive_items or (40 if asked.quick else 300)
    asked.backfill_users, asked.backfill_days = (200, 30) if asked.quick else (1_000, 365)
    asked.backfill_rounds = min(asked.rounds, 3)
    if asked.users < 500 or asked.users % min(asked.users, FIRST) or asked.rounds < 1:
        parser.error(f"at least 500 users, more than {FIRST:,} in multiples of them, and one round")
    return asked


def _table(title: str, measured: Measured) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    table.add_column("")
    for heading in ("items", NAIVE, "spread", BARE, "spread", OURS, "spread", "x naive", "x bare", AGAIN):
        table.add_column(heading, justify="right")
    for job, rows in measured.items():
        of = {row.name: row for row in rows}
        cells = [f"{of[OURS].items:,}"]
        for name in (NAIVE, BARE, OURS):
            cells += [f"{of[name].rate:,.0f}", f"{of[name].spread:.0%}"]
        cells += [f"{of[OURS].rate / of[NAIVE].rate:.0f}", f"{of[OURS].rate / of[BARE].rate:.2f}"]
        table.add_row(job, *cells, f"{of[OURS].rate / of[AGAIN].rate:.0%}")
    return table


def _backfill_line(name: str, asked: argparse.Namespace, filled: Backfilled) -> str:
    ours, bare, planning = (statistics.median(each) for each in (filled.ours, filled.bare, filled.planning))
    return (
        f"{name}: {filled.days} days of {backfill.JOB} for {asked.backfill_users:,} users, {filled.items:,} reports: "
        f"{ours:.1f} s, bare {bare:.1f} s, so {filled.times:.2f} times; its plan {planning:.1f} s\n"
    )


def _footnote(about: dict[str, Any], results: list[dict[str, Any]]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    used = "; ".join(f"{row['database']} {row['version']}, {row['workers']} workers" for row in results)
    return (
        "Items a second: median of the rounds, all ways in turn in each; spread is worst less best.\n"
        "naive: the ORM, a commit and a Redis command a user; bare: the best script without the engine, one process;\n"
        "ours: through the engine, from asking for the run to its recorded end, workers there already;\n"
        "again: a second run, for which nothing is left to do, as a share of the first one's time.\n"
        f"{used}. Redis: {', '.join(sorted({row['redis'] for row in results})) or '-'}.\n"
        f"Python {about['python']}, {about['system']}, {about['processors']} processors, "
        f"load {about['load'][0]} before, {about['load afterwards'][0]} after.\n{packages}."
    )


def _redis_version(told: dict[str, Any]) -> str:
    name = "Valkey" if "valkey_version" in told else "Redis"
    return f"{name} {told.get('valkey_version') or told.get('redis_version')}"


if __name__ == "__main__":
    sys.exit(main())
