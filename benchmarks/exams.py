"""`python -m benchmarks.exams`: the latency of handing out exams with 100,000 exams stored.

All of them in real size would be 20 GB: those that are handed out here have it (100 kB and 300 kB), the others 3 kB.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from benchmarks.environment import POSTGRES, SQLITE, databases, machine
from jobs.common import metadata
from jobs.exams import pack
from jobs.exams.routes import ExamRequest, get_exam, pre_gen_analytics
from jobs.exams.tables import ExamType, exam_calls, exam_chunks, exam_requests, pre_generated_exams
from jobs.sample_users import add_users, user_id
from opsconsole.authoring.context import Resources
from opsconsole.core import clock
from opsconsole.core.database import Database
from opsconsole.extensions import ExtensionContext, Reply, Request
from opsconsole.store import data_tables as datatables
from tests.services import PrivatePostgres

RESULTS = Path(__file__).parent / "results"
GOAL_MS = 100.0
USERS = 10_000
CALLERS = 5
"""Concurrent callers: the number of threads of the HTTP interface."""
SMALL, LARGE = 3_000, {ExamType.DIAGNOSTIC: 100_000, ExamType.PRACTICE: 300_000}
CHUNK = 500


def main() -> int:
    """Returns the exit code: 1 when the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exams", description=__doc__)
    parser.add_argument("--exams", type=int, default=100_000)
    parser.add_argument("--fetches", type=int, default=1_000)
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=[SQLITE, POSTGRES])
    args = parser.parse_args()
    began, about = clock.now(), machine()
    console = Console(highlight=False)
    table = Table(
        "database", "what", "calls", "p50 ms", "p95 ms", "p99 ms", "goal", title=f"{args.exams:,} exams stored"
    )
    results: list[dict[str, Any]] = []
    for name, missing in databases(args.databases):
        if missing:
            console.print(f"skipping {name}: {missing}")
            continue
        with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder:
            for row in _measured(name, Path(folder), args.exams, args.fetches):
                results.append(row)
                goal = "-" if row["goal"] is None else f"{row['goal']:g}"
                table.add_row(
                    name, row["what"], f"{row['calls']:,}", *(f"{row[p]:.1f}" for p in ("p50", "p95", "p99")), goal
                )
    console.print(table)
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"exams-{began:%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps({"at": began.isoformat(), "machine": about, "results": results}, indent=1) + "\n")
    console.print(f"figures in {file}")
    return int(any(row["goal"] is not None and row["p95"] > row["goal"] for row in results))


def _measured(name: str, folder: Path, exams: int, fetches: int) -> Iterator[dict[str, Any]]:
    postgres = PrivatePostgres(durable=True).start() if name == POSTGRES else None
    url = postgres.new_database() if postgres else f"sqlite:///{folder / 'exams.db'}"
    tools = Resources(url, "unix:///nowhere/redis.sock")
    try:
        now = tools.now()
        _fill(tools.data, exams, fetches, now)
        ctx = ExtensionContext(tools, _defaults(), ())
        targets = [(user_id(1 + n % USERS), exam) for n in range(fetches // 2) for exam in ExamType]
        Random(7).shuffle(targets)
        half = len(targets) // 2

        def fetch(target: tuple[str, ExamType]) -> float:
            return _timed(lambda: get_exam(ctx, ExamRequest(*target)))

        yield _row(name, "one caller", [fetch(target) for target in targets[:half]], GOAL_MS)
        with ThreadPoolExecutor(CALLERS) as callers:
            yield _row(name, f"{CALLERS} callers at once", list(callers.map(fetch, targets[half:])), GOAL_MS)
        yield _row(name, "analytics", [_timed(lambda: pre_gen_analytics(ctx, Request())) for _ in range(20)], None)
        for panel in pack.panels:
            times = [_timed(lambda: Reply(panel.read(ctx))) for _ in range(20)]  # noqa: B023 - read at once
            yield _row(name, f"panel {panel.title}", times, None)
    finally:
        tools.close()
        if postgres:
            postgres.stop()


def _fill(data: Database, exams: int, fetches: int, now: datetime) -> None:
    metadata.create_all(data.engine, tables=[exam_requests, exam_chunks, exam_calls])
    datatables.create_missing(data, [pack])
    add_users(data, USERS)
    rows = _rows(exams, fetches, now)
    print(f"{exams:,} exams to store ...", file=sys.stderr, flush=True)
    while chunk := [row for _, row in zip(range(CHUNK), rows, strict=False)]:
        with data.writing() as db:
            db.execute(insert(pre_generated_exams), chunk)
    with data.writing() as db:
        db.exec_driver_sql("ANALYZE")


def _rows(exams: int, fetches: int, now: datetime) -> Iterator[dict[str, Any]]:
    rng = Random(1)
    for n in range(exams):
        large = n < fetches
        exam = tuple(ExamType)[n % 2]
        # The oldest valid exam of each user and type is handed out; used and expired ones lie between.
        state = "valid" if large else rng.choice(("valid", "valid", "valid", "taken", "expired"))
        made_at = now - timedelta(days=3 if large else 2 if state != "expired" else 8, seconds=n % 3600)
        yield {
            "id": f"exam-{n:07}",
            "user_id": user_id(1 + n // 2 % USERS),
            "exam_type": exam.value,
            "questions": _questions(LARGE[exam] if large else SMALL, rng),
            "model": "sample",
            "input_tokens": 5_000,
            "output_tokens": 30_000,
            "cost_micros": 310_000,
            "created_at": made_at,
            "expires_at": made_at + timedelta(days=7),
            "used": state == "taken",
            "used_at": made_at + timedelta(hours=1) if state == "taken" else None,
        }


def _questions(size: int, rng: Random) -> list[dict[str, str]]:
    """Questions of incompressible text."""
    return [{"id": f"q{n:03}", "stem": rng.randbytes(650).hex()} for n in range(max(1, size // 1330))]


def _timed(call: Callable[[], Reply]) -> float:
    """Milliseconds until the response is encoded."""
    began = time.perf_counter()
    reply = call()
    msgspec.json.encode(reply.body)
    assert reply.status == 200, reply.body
    return (time.perf_counter() - began) * 1000


def _row(database: str, what: str, times: list[float], goal: float | None) -> dict[str, Any]:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {
        "database": database,
        "what": what,
        "calls": len(times),
        "p50": cuts[49],
        "p95": cuts[94],
        "p99": cuts[98],
        "goal": goal,
    }


def _defaults() -> dict[str, Any]:
    assert pack.settings is not None
    return msgspec.structs.asdict(pack.settings())


if __name__ == "__main__":
    sys.exit(main())
