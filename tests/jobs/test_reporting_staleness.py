"""Staleness: late transactions are found, and only affected users are repaired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import delete

from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.monthly_summary import monthly_summary
from jobs.reporting.tables import daily_financial_reports
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Selection
from tests.conftest import Installing
from tests.jobs.reporting_fixtures import JOBS, ReportingFixture, at

DAY, NEXT = "2026-03-08", "2026-03-09"
MONTH = "2026-03"


@pytest.fixture
def fixture(database_url: str) -> Iterator[ReportingFixture]:
    """Two users with reports and snapshots of two days, generated at midnight, and a summary of the month."""
    made = ReportingFixture(database_url)
    made.enrol("asha", "ben", "chen")
    for pocket, user in (("a", "asha"), ("a2", "asha"), ("b", "ben")):
        made.open(pocket, user, 100)
    for pocket in ("a", "b"):
        for day in (DAY, NEXT):
            made.move(pocket, "income", 1, f"{day} 10:00")
    for day, midnight in ((DAY, f"{NEXT} 00:00"), (NEXT, "2026-03-10 00:00")):
        made.now = at(midnight)
        made.run(daily_report, day)
        made.run(daily_snapshot, day)
    made.now = at("2026-04-01 00:01")
    made.run(monthly_summary, MONTH)
    made.now = at("2026-05-01 12:00")
    yield made
    made.close()


def stale(fixture: ReportingFixture) -> dict[str, list[str]]:
    """The stale users by job and window, without fresh windows."""
    windows = [(job, day) for job in (daily_report, daily_snapshot) for day in (DAY, NEXT)]
    found = {
        f"{job.name.removeprefix('reporting.')} {label}": fixture.keys(job, label, fixture.now, stale=True)
        for job, label in [*windows, (monthly_summary, MONTH)]
    }
    return {window: users for window, users in found.items() if users}


EVERY_DAY = {f"{job} {day}": ["asha"] for job in ("daily_report", "daily_snapshot") for day in (DAY, NEXT)}
SUMMARY = {f"monthly_summary {MONTH}": ["asha"]}


def test_nothing_is_stale_after_the_nightly_runs(fixture: ReportingFixture) -> None:
    assert stale(fixture) == {}


def test_a_late_transaction_makes_its_day_and_every_later_one_stale(fixture: ReportingFixture) -> None:
    fixture.move("a", "expense", 5, f"{DAY} 12:00", recorded="2026-04-20 09:00")

    assert stale(fixture) == EVERY_DAY | SUMMARY


def test_a_late_transaction_of_a_day_without_report_makes_later_days_stale(fixture: ReportingFixture) -> None:
    fixture.move("a", "expense", 5, "2026-03-01 12:00", recorded="2026-04-20 09:00")

    assert stale(fixture) == EVERY_DAY | SUMMARY


def test_a_late_transaction_leaves_the_days_before_it_alone(fixture: ReportingFixture) -> None:
    fixture.move("a", "expense", 5, f"{NEXT} 00:00", recorded="2026-04-20 09:00")

    assert stale(fixture) == {name: who for name, who in EVERY_DAY.items() if name.endswith(NEXT)} | SUMMARY


def test_transactions_after_the_window_make_nothing_stale(fixture: ReportingFixture) -> None:
    fixture.move("a", "expense", 5, "2026-04-01 00:00", recorded="2026-04-20 09:00")

    assert stale(fixture) == {}


def test_transactions_of_the_last_minute_before_generation_are_late(fixture: ReportingFixture) -> None:
    # Before either day, so that no count differs; the snapshot of the first day was made at midnight.
    fixture.move("a", "expense", 5, "2026-03-01 12:00", recorded=f"{DAY} 23:59:00")
    fixture.move("b", "expense", 5, "2026-03-01 12:00", recorded=f"{DAY} 23:59:00.000001")

    assert fixture.keys(daily_snapshot, DAY, stale=True) == ["ben"]
    assert fixture.keys(daily_report, DAY, stale=True) == ["ben"]
    assert fixture.keys(daily_snapshot, NEXT, stale=True) == []


def test_the_minute_is_exact_to_the_microsecond(fixture: ReportingFixture) -> None:
    fixture.now = at(f"{NEXT} 00:00:59.999999")
    with fixture.data.writing() as db:
        db.execute(delete(daily_financial_reports))
    fixture.run(daily_report, DAY)

    fixture.move("a", "expense", 5, "2026-03-01 12:00", recorded=f"{DAY} 23:59:59.999999")
    fixture.move("b", "expense", 5, "2026-03-01 12:00", recorded=f"{NEXT} 00:00:00.000000")

    assert fixture.keys(daily_report, DAY, stale=True) == ["ben"]


def test_a_report_that_counts_other_transactions_is_stale_however_early_they_were_recorded(
    fixture: ReportingFixture,
) -> None:
    fixture.move("a", "expense", 5, f"{DAY} 12:00")

    assert stale(fixture) == {f"daily_report {DAY}": ["asha"]} | SUMMARY


def test_a_missing_row_is_stale(fixture: ReportingFixture) -> None:
    fixture.open("c", "chen", 100)
    fixture.move("c", "income", 1, f"{DAY} 12:00")

    assert stale(fixture) == {
        f"daily_report {DAY}": ["chen"],
        f"daily_snapshot {DAY}": ["chen"],
        f"daily_snapshot {NEXT}": ["chen"],
        f"monthly_summary {MONTH}": ["chen"],
    }


def test_a_pocket_added_later_makes_snapshots_stale(fixture: ReportingFixture) -> None:
    fixture.open("b2", "ben", 5_000)

    assert stale(fixture) == {f"daily_snapshot {DAY}": ["ben"], f"daily_snapshot {NEXT}": ["ben"]}


@pytest.mark.parametrize("job", [daily_report, daily_snapshot])
def test_a_summary_is_stale_when_a_report_or_snapshot_of_its_month_is_newer(
    fixture: ReportingFixture, job: Job
) -> None:
    with fixture.data.writing() as db:
        db.execute(delete(daily_financial_reports))
    for day in (DAY, NEXT):
        fixture.run(daily_report, day)
    fixture.run(monthly_summary, MONTH)
    assert stale(fixture) == {}

    fixture.now += timedelta(days=1)
    fixture.open("b2", "ben", 5_000)  # Ben's snapshots are written again, and so are reports that were deleted
    if job is daily_report:
        with fixture.data.writing() as db:
            db.execute(delete(daily_financial_reports).where(daily_financial_reports.c.user_id == "ben"))
    fixture.run(job, DAY, keys=["ben"])

    assert fixture.keys(monthly_summary, MONTH, fixture.now, stale=True) == ["ben"]
    fixture.run(monthly_summary, MONTH, stale=True)
    assert fixture.keys(monthly_summary, MONTH, fixture.now, stale=True) == []


# --- repaired -------------------------------------------------------------------------------------------------------


def test_a_repair_changes_only_affected_users(fixture: ReportingFixture) -> None:
    fixture.move("a", "expense", 5, f"{DAY} 12:00", recorded="2026-04-20 09:00")
    before = {job.name: fixture.rows(job) for job in JOBS}

    for job, label in ((daily_report, DAY), (daily_report, NEXT), (daily_snapshot, DAY), (daily_snapshot, NEXT)):
        fixture.run(job, label, stale=True)
    fixture.run(monthly_summary, MONTH, stale=True)

    assert stale(fixture) == {}
    for job in JOBS:
        for (user, period), row in fixture.rows(job).items():
            was = before[job.name][user, period]
            assert (row == was) == (user == "ben")
            assert row["generated_at"] == (fixture.now if user == "asha" else was["generated_at"])
    assert fixture.row(daily_report, "asha", NEXT)["opening_minor"] == 196


def test_a_late_transfer_changes_no_figure_and_is_still_repaired(fixture: ReportingFixture) -> None:
    fixture.transfer("a", "a2", 30, "2026-03-01 12:00", recorded="2026-04-20 09:00")
    figures = [fixture.rows(job, stamps=False) for job in (daily_report, daily_snapshot)]
    assert stale(fixture) == EVERY_DAY | SUMMARY

    for job in (daily_report, daily_snapshot):
        for day in (DAY, NEXT):
            fixture.run(job, day)
    fixture.run(monthly_summary, MONTH)

    assert stale(fixture) == {}
    assert [fixture.rows(job, stamps=False) for job in (daily_report, daily_snapshot)] == figures


def test_a_stale_backfill_plans_only_affected_users(
    fixture: ReportingFixture, database_url: str, redis_url: str, installing: Installing
) -> None:
    place = installing(
        database_url=database_url,
        redis_url=redis_url,
        packs="jobs.reporting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    fixture.move("a", "expense", 5, f"{DAY} 12:00", recorded="2026-04-20 09:00")

    ended, once_more = (
        place.ended_run(place.service.commands.trigger("reporting.daily_report", DAY, only=Selection.STALE))
        for _ in range(2)
    )

    assert (ended.counts.planned, ended.counts.ok, ended.metrics["reports_written"]) == (1, 1, 1)
    assert once_more.counts.planned == 0
    assert fixture.row(daily_report, "asha", DAY)["closing_minor"] == 196
