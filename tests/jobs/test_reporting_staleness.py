"""Which rows are out of date, and for whom: found by what was recorded late, and repaired for them alone."""

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
from tests.jobs.reporting_fixtures import JOBS, Bank, at

DAY, NEXT = "2026-03-08", "2026-03-09"
MONTH = "2026-03"


@pytest.fixture
def bank(database_url: str) -> Iterator[Bank]:
    """Asha and Ben have reports and snapshots of two days, made at midnight, and a summary of their month."""
    made = Bank(database_url)
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


def stale(bank: Bank) -> dict[str, list[str]]:
    """UserFilter is out of date, by job and window, where anybody is."""
    windows = [(job, day) for job in (daily_report, daily_snapshot) for day in (DAY, NEXT)]
    found = {
        f"{job.name.removeprefix('reporting.')} {label}": bank.keys(job, label, bank.now, stale=True)
        for job, label in [*windows, (monthly_summary, MONTH)]
    }
    return {window: users for window, users in found.items() if users}


EVERY_DAY = {f"{job} {day}": ["asha"] for job in ("daily_report", "daily_snapshot") for day in (DAY, NEXT)}
SUMMARY = {f"monthly_summary {MONTH}": ["asha"]}


def test_nothing_is_stale_after_the_nightly_runs(bank: Bank) -> None:
    assert stale(bank) == {}


def test_a_late_transaction_makes_its_day_and_every_later_one_stale(bank: Bank) -> None:
    bank.move("a", "expense", 5, f"{DAY} 12:00", recorded="2026-04-20 09:00")

    assert stale(bank) == EVERY_DAY | SUMMARY


def test_so_does_one_of_an_earlier_day_that_has_no_report(bank: Bank) -> None:
    bank.move("a", "expense", 5, "2026-03-01 12:00", recorded="2026-04-20 09:00")

    assert stale(bank) == EVERY_DAY | SUMMARY


def test_a_late_transaction_leaves_the_days_before_it_alone(bank: Bank) -> None:
    bank.move("a", "expense", 5, f"{NEXT} 00:00", recorded="2026-04-20 09:00")

    assert stale(bank) == {name: who for name, who in EVERY_DAY.items() if name.endswith(NEXT)} | SUMMARY


def test_what_happens_after_the_window_concerns_nobody(bank: Bank) -> None:
    bank.move("a", "expense", 5, "2026-04-01 00:00", recorded="2026-04-20 09:00")

    assert stale(bank) == {}


def test_late_is_what_is_recorded_within_the_last_minute_before_a_row_was_made(bank: Bank) -> None:
    # Before either day, so that no count differs; the snapshot of the first day was made at midnight.
    bank.move("a", "expense", 5, "2026-03-01 12:00", recorded=f"{DAY} 23:59:00")
    bank.move("b", "expense", 5, "2026-03-01 12:00", recorded=f"{DAY} 23:59:00.000001")

    assert bank.keys(daily_snapshot, DAY, stale=True) == ["ben"]
    assert bank.keys(daily_report, DAY, stale=True) == ["ben"]
    assert bank.keys(daily_snapshot, NEXT, stale=True) == []


def test_the_minute_is_exact_to_the_microsecond(bank: Bank) -> None:
    bank.now = at(f"{NEXT} 00:00:59.999999")
    with bank.data.writing() as db:
        db.execute(delete(daily_financial_reports))
    bank.run(daily_report, DAY)

    bank.move("a", "expense", 5, "2026-03-01 12:00", recorded=f"{DAY} 23:59:59.999999")
    bank.move("b", "expense", 5, "2026-03-01 12:00", recorded=f"{NEXT} 00:00:00.000000")

    assert bank.keys(daily_report, DAY, stale=True) == ["ben"]


def test_a_report_that_counts_other_transactions_is_stale_however_early_they_were_recorded(bank: Bank) -> None:
    bank.move("a", "expense", 5, f"{DAY} 12:00")

    assert stale(bank) == {f"daily_report {DAY}": ["asha"]} | SUMMARY


def test_a_row_that_should_be_there_is_missing(bank: Bank) -> None:
    bank.open("c", "chen", 100)
    bank.move("c", "income", 1, f"{DAY} 12:00")

    assert stale(bank) == {
        f"daily_report {DAY}": ["chen"],
        f"daily_snapshot {DAY}": ["chen"],
        f"daily_snapshot {NEXT}": ["chen"],
        f"monthly_summary {MONTH}": ["chen"],
    }


def test_a_pocket_that_turns_up_later_makes_snapshots_stale(bank: Bank) -> None:
    bank.open("b2", "ben", 5_000)

    assert stale(bank) == {f"daily_snapshot {DAY}": ["ben"], f"daily_snapshot {NEXT}": ["ben"]}


@pytest.mark.parametrize("job", [daily_report, daily_snapshot])
def test_a_summary_is_stale_when_a_report_or_snapshot_of_its_month_is_newer(bank: Bank, job: Job) -> None:
    with bank.data.writing() as db:
        db.execute(delete(daily_financial_reports))
    for day in (DAY, NEXT):
        bank.run(daily_report, day)
    bank.run(monthly_summary, MONTH)
    assert stale(bank) == {}

    bank.now += timedelta(days=1)
    bank.open("b2", "ben", 5_000)  # Ben's snapshots are written anew, and so are reports that were deleted
    if job is daily_report:
        with bank.data.writing() as db:
            db.execute(delete(daily_financial_reports).where(daily_financial_reports.c.user_id == "ben"))
    bank.run(job, DAY, keys=["ben"])

    assert bank.keys(monthly_summary, MONTH, bank.now, stale=True) == ["ben"]
    bank.run(monthly_summary, MONTH, stale=True)
    assert bank.keys(monthly_summary, MONTH, bank.now, stale=True) == []


# --- repaired -------------------------------------------------------------------------------------------------------


def test_a_repair_touches_those_concerned_and_nobody_else(bank: Bank) -> None:
    bank.move("a", "expense", 5, f"{DAY} 12:00", recorded="2026-04-20 09:00")
    before = {job.name: bank.rows(job) for job in JOBS}

    for job, label in ((daily_report, DAY), (daily_report, NEXT), (daily_snapshot, DAY), (daily_snapshot, NEXT)):
        bank.run(job, label, stale=True)
    bank.run(monthly_summary, MONTH, stale=True)

    assert stale(bank) == {}
    for job in JOBS:
        for (user, period), row in bank.rows(job).items():
            was = before[job.name][user, period]
            assert (row == was) == (user == "ben")
            assert row["generated_at"] == (bank.now if user == "asha" else was["generated_at"])
    assert bank.row(daily_report, "asha", NEXT)["opening_minor"] == 196


def test_a_late_transfer_changes_no_figure_and_is_still_repaired(bank: Bank) -> None:
    bank.transfer("a", "a2", 30, "2026-03-01 12:00", recorded="2026-04-20 09:00")
    figures = [bank.rows(job, stamps=False) for job in (daily_report, daily_snapshot)]
    assert stale(bank) == EVERY_DAY | SUMMARY

    for job in (daily_report, daily_snapshot):
        for day in (DAY, NEXT):
            bank.run(job, day)
    bank.run(monthly_summary, MONTH)

    assert stale(bank) == {}
    assert [bank.rows(job, stamps=False) for job in (daily_report, daily_snapshot)] == figures


def test_an_operator_repairs_a_day_for_the_users_concerned_only(
    bank: Bank, database_url: str, redis_url: str, installing: Installing
) -> None:
    place = installing(
        database_url=database_url,
        redis_url=redis_url,
        packs="jobs.reporting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    bank.move("a", "expense", 5, f"{DAY} 12:00", recorded="2026-04-20 09:00")

    ended, once_more = (
        place.carried_out(place.service.commands.trigger("reporting.daily_report", DAY, only=Selection.STALE))
        for _ in range(2)
    )

    assert (ended.counts.planned, ended.counts.ok, ended.metrics["reports_written"]) == (1, 1, 1)
    assert once_more.counts.planned == 0
    assert bank.row(daily_report, "asha", DAY)["closing_minor"] == 196
