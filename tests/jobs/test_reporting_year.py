"""Backfills give the same rows as nightly runs, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, select

from jobs.reporting.sample import add_reporting
from jobs.reporting.tables import (
    daily_financial_reports as reports,
    daily_financial_snapshots as snapshots,
    monthly_financial_summaries as summaries,
    pockets,
    transactions,
)
from opsconsole.rules.backfill import Only, StepState
from opsconsole.rules.backfill_status import Backfill
from tests.conftest import Installing
from tests.installation import Installation
from tests.jobs.oracle_reporting import Oracle, Rows, as_text
from tests.soak import full, postgresql_in_soak, small
from tests.waiting import PATIENCE_SECONDS

DAILY = ("reporting.daily_report", "reporting.daily_snapshot")
STAMPS = ("through", "generated_at")


def filled(installing: Installing, database_url: str, redis_url: str, users: int, days: int) -> Installation:
    """An installation with transactions up to yesterday and no reports."""
    place = installing(
        database_url=database_url,
        redis_url=redis_url,
        packs="jobs.reporting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    add_reporting(place.data, users, today - timedelta(days=days), today)
    return place


def last(days: int) -> tuple[date, date]:
    """The first and last date of the given number of days up to yesterday."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    return yesterday - timedelta(days=days - 1), yesterday


def backfill(place: Installation, jobs: Sequence[str], since: date, until: date, only: Only = Only.MISSING) -> Backfill:
    number = place.service.backfills.plan(jobs, since, until, only=only)
    outcome = place.service.commands.outcome(place.service.backfills.apply(number), PATIENCE_SECONDS)
    assert outcome is not None
    assert outcome.refused is None, outcome.refused
    ended = place.service.backfills.wait_for(number, PATIENCE_SECONDS)
    assert ended is not None
    assert set(ended.counts) <= {StepState.DONE, StepState.SKIPPED}
    return ended


def rows(place: Installation, table: Table) -> list[dict[str, Any]]:
    with place.data.reading() as db:
        return [dict(row) for row in db.execute(select(table)).mappings()]


def made(place: Installation, table: Table, period: str) -> Rows:
    """A table's rows without their stamps."""
    return {
        (row["user_id"], str(row[period])): {name: value for name, value in row.items() if name not in STAMPS}
        for row in rows(place, table)
    }


def oracle(place: Installation) -> Oracle:
    return Oracle(
        rows(place, pockets), sorted(rows(place, transactions), key=lambda row: (row["occurred_at"], row["id"]))
    )


def every_day(since: date, until: date) -> list[date]:
    return [since + timedelta(days=n) for n in range((until - since).days + 1)]


@pytest.mark.parametrize(("users", "days"), [small(4, 10), full(12, 100)])
def test_backfilled_days_equal_nightly_runs(
    installing: Installing, database_url: str, redis_url: str, users: int, days: int
) -> None:
    place = filled(installing, database_url, redis_url, users=users, days=days)
    since, until = last(days)

    with place.leading():
        ended = backfill(place, DAILY, since, until)

    assert ended.counts == {StepState.DONE: 2 * days}
    truth = oracle(place)
    dates = every_day(since, until)
    expected_reports = {key: row for day in dates for key, row in truth.reports(day).items()}
    expected_snapshots = {key: row for day in dates for key, row in truth.snapshots(day).items()}
    assert as_text(dict(sorted(made(place, reports, "date").items()))) == as_text(
        dict(sorted(expected_reports.items()))
    )
    assert as_text(dict(sorted(made(place, snapshots, "date").items()))) == as_text(
        dict(sorted(expected_snapshots.items()))
    )


@pytest.mark.parametrize(("users", "days"), [small(6, 8), full(15, 40)])
def test_the_order_of_backfills_does_not_matter(
    installing: Installing, tmp_path: Any, redis_url: str, users: int, days: int
) -> None:
    half = days // 2
    orders: dict[str, list[tuple[Sequence[str], int, int]]] = {
        "all at once": [(("reporting.daily_snapshot", "reporting.daily_report"), days, 0)],
        "newest first": [(DAILY, half, 0), (DAILY, days + half, half)],
        "job by job": [((DAILY[1],), days, 0), ((DAILY[0],), days, 0)],
    }
    found: dict[str, list[Rows]] = {}
    for name, steps in orders.items():
        place = filled(installing, f"sqlite:///{tmp_path / name}.db", redis_url, users=users, days=days + half + 10)
        _, until = last(days)
        with place.leading():
            for jobs, back, less in steps:
                backfill(place, jobs, until - timedelta(days=back - 1), until - timedelta(days=less))
            backfill(place, DAILY, until - timedelta(days=days - 1), until, only=Only.ALL)
        since = until - timedelta(days=days - 1)
        found[name] = [
            {key: row for key, row in made(place, table, "date").items() if since <= row["date"] <= until}
            for table in (reports, snapshots)
        ]

    assert found["all at once"] == found["newest first"] == found["job by job"]
    assert all(len(each) > days for each in found["all at once"])


@postgresql_in_soak
def test_a_summary_equals_the_sum_of_days_backfilled_later(
    installing: Installing, database_url: str, redis_url: str
) -> None:
    place = filled(installing, database_url, redis_url, users=4, days=75)
    month_end = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)
    month_start = month_end.replace(day=1)

    with place.leading():
        backfill(place, ("reporting.monthly_summary",), month_start, month_end)
        before = made(place, summaries, "month")
        backfill(place, DAILY, month_start, month_end)
        backfill(place, ("reporting.monthly_summary",), month_start, month_end, only=Only.ALL)

    after = made(place, summaries, "month")
    reported = [(row["user_id"], row["date"].isoformat()) for row in rows(place, reports)]
    assert after == oracle(place).summaries(month_start, reported)
    assert {row["days_reported"] for row in before.values()} == {0}
    money = ("opening_minor", "closing_minor", "income_minor", "expense_minor", "by_category")
    assert {key: [row[name] for name in money] for key, row in before.items()} == {
        key: [row[name] for name in money] for key, row in after.items()
    }


@pytest.mark.parametrize("job", DAILY)
def test_a_late_transaction_reruns_only_affected_windows_and_users(
    installing: Installing, tmp_path: Any, redis_url: str, job: str
) -> None:
    place = filled(installing, f"sqlite:///{tmp_path / 'data.db'}", redis_url, users=20, days=12)
    since, until = last(10)
    with place.leading():
        backfill(place, DAILY, since, until)
        with place.data.writing() as db:
            first = db.execute(select(transactions).limit(1)).mappings().one()
            late = {
                **first,
                "id": "late",
                "amount_minor": 1234,
                "type": "income",
                "occurred_at": datetime.combine(since + timedelta(days=4), datetime.min.time(), UTC),
                "recorded_at": datetime.now(UTC) + timedelta(minutes=5),
            }
            db.execute(transactions.insert(), [late])
        repaired = backfill(place, [job], since, until, only=Only.STALE)
        newest = {run.window.label: run for run in reversed(place.service.queries.runs(limit=40, job=job))}

    stale = [day.isoformat() for day in every_day(since, until)[4:]]
    ran = [view.step for view in place.service.backfills.steps(repaired.id) if view.step.runs]
    if job == "reporting.daily_snapshot":
        assert [step.window.label for step in ran] == stale
    else:
        assert {step.window.label for step in ran} <= set(stale)
        assert stale[0] in {step.window.label for step in ran}
    assert all(newest[step.window.label].counts.planned == 1 for step in ran)
