"""`python -m benchmarks`: measures, prints tables, and writes the figures as JSON into `benchmarks/results`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import cache_day
from benchmarks.ground import POSTGRES, SQLITE, databases, ground, machine
from opsconsole import clock

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Returns the exit code."""
    asked = _arguments()
    console = Console(highlight=False)
    began = clock.now()
    about = machine()
    results: list[dict[str, Any]] = []
    for name, missing in databases(asked.databases):
        if missing:
            console.print(f"{name} is not measured: {missing}")
            continue
        _say(name)
        with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder, ground(name, Path(folder)) as here:
            # A part of the users is enough for a rate: it goes through them one by one.
            naive_users = min(asked.naive_users, asked.users)
            figures = cache_day.measure(
                here,
                users=asked.users,
                naive_users=naive_users,
                rounds=asked.rounds,
                say=_say,
            )
            title = f"attempts.cache_day on {name} {here.version}, {asked.users:,} users, {asked.rounds} rounds"
            console.print(_table(title, figures))
            results.append(
                {
                    "job": cache_day.JOB,
                    "database": name,
                    "version": here.version,
                    "redis": _redis_version(here.cache.info("server")),
                    "workers": here.settings.engine.worker_count,
                    "batch": here.catalog.find(cache_day.JOB).batch,
                    "figures": [asdict(row) | {"median": row.median, "spread": row.spread} for row in figures],
                }
            )
    about["load afterwards"] = machine()["load"]
    console.print(_footnote(about, results))
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{began:%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps({"at": began.isoformat(), "machine": about, "results": results}, indent=1) + "\n")
    took: timedelta = clock.now() - began
    console.print(f"{took.total_seconds():.0f} s; figures in {file}")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2,000 users, for a look while working")
    parser.add_argument("--users", type=int, help="how many users the data has (default: 10,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count, after one that does not (default: 3)")
    parser.add_argument("--naive-users", type=int, help="how many of them the naive program works on (default: 500)")
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=[SQLITE, POSTGRES])
    asked = parser.parse_args()
    asked.users = asked.users or (2_000 if asked.quick else 10_000)
    asked.naive_users = asked.naive_users or (200 if asked.quick else 500)
    if asked.users < 500 or asked.rounds < 1:
        parser.error("fewer than 500 users or one round say nothing")
    return asked


def _table(title: str, figures: list[cache_day.Figures]) -> Table:
    table = Table(title=title, title_justify="left", show_edge=False)
    table.add_column("")
    for heading in ("users", "users/s", "spread", "x naive", "x bare"):
        table.add_column(heading, justify="right")
    of = {row.name: row.median for row in figures}
    for row in figures:
        table.add_row(
            row.name,
            f"{row.users:,}",
            f"{row.median:,.0f}",
            f"{row.spread:.0%}",
            f"{row.median / of[cache_day.NAIVE]:.1f}",
            f"{row.median / of[cache_day.BARE]:.2f}",
        )
    return table


def _footnote(about: dict[str, Any], results: list[dict[str, Any]]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    used = "; ".join(f"{row['database']}: {row['workers']} workers, batches of {row['batch']}" for row in results)
    return (
        "Users a second: median of the rounds, all ways in turn in each; spread is best less worst.\n"
        "naive: the ORM, a commit and a SETEX a user; bare: the best script without the engine, one process;\n"
        "the run: through the engine, from its recorded start to its recorded end;\n"
        "the command: `opsconsole run --wait`, from the start of its process to the end of it.\n"
        f"{used}. Redis: {', '.join(sorted({row['redis'] for row in results})) or '-'}.\n"
        f"Python {about['python']}, {about['system']}, {about['processors']} processors, "
        f"load {about['load'][0]} before, {about['load afterwards'][0]} after.\n{packages}."
    )


def _redis_version(told: dict[str, Any]) -> str:
    name = "Valkey" if "valkey_version" in told else "Redis"
    return f"{name} {told.get('valkey_version') or told.get('redis_version')}"


if __name__ == "__main__":
    sys.exit(main())
