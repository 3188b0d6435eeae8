"""reporting.monthly_summary: income, expenses and balances of a month."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.monthly_summary import monthly_summary
from jobs.reporting.tables import pockets
from tests.jobs.reporting_fixtures import ReportingFixture, at

MONTH = "2026-02"


@pytest.fixture
def fixture(database_url: str) -> Iterator[ReportingFixture]:
    made = ReportingFixture(database_url)
    made.enrol("asha", "ben", "chen")
    yield made
    made.close()


def test_a_month_with_salary_rent_and_savings(fixture: ReportingFixture) -> None:
    fixture.open("bank", "asha", 1_000)
    fixture.open("save", "asha", 5)
    fixture.move("bank", "income", 70, "2026-01-31 23:59:59.999999")
    fixture.move("bank", "income", 5_000, "2026-02-01 00:00", category="salary")
    fixture.move("bank", "expense", 2_000, "2026-02-02 10:00", category="rent")
    fixture.transfer("bank", "save", 300, "2026-02-10 10:00")
    fixture.move("bank", "expense", 40, "2026-02-28 23:59:59.999999", category="tea")
    fixture.move("bank", "expense", 900, "2026-03-01 00:00", category="rent")
    for day in ("2026-02-01", "2026-02-02", "2026-02-28", "2026-01-31"):
        fixture.run(daily_report, day)

    fixture.run(monthly_summary, MONTH)

    row = fixture.row(monthly_summary, "asha", MONTH)
    assert (row["opening_minor"], row["closing_minor"]) == (1_075, 4_035)
    assert (row["income_minor"], row["expense_minor"], row["transactions"]) == (5_000, 2_040, 5)
    assert row["by_category"] == {
        "rent": {"in": 0, "out": 2_000, "count": 1},
        "salary": {"in": 5_000, "out": 0, "count": 1},
        "tea": {"in": 0, "out": 40, "count": 1},
        "transfer": {"in": 300, "out": 300, "count": 2},
    }
    assert row["by_pocket"] == {
        "bank": {"in": 5_000, "out": 2_340, "count": 4},
        "save": {"in": 300, "out": 0, "count": 1},
    }
    assert row["days_reported"] == 3
    assert list(row["by_category"]) == sorted(row["by_category"])


def test_the_opening_is_the_snapshot_of_the_last_day_of_the_month_before(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 1_000)
    fixture.open("new", "asha", 500, created="2026-02-01 00:00")
    fixture.move("a", "expense", 10, "2026-01-31 10:00")
    fixture.move("new", "expense", 10, "2026-02-28 10:00")
    for day in ("2026-01-31", "2026-02-28"):
        fixture.run(daily_snapshot, day)

    fixture.run(monthly_summary, MONTH)

    row = fixture.row(monthly_summary, "asha", MONTH)
    assert row["opening_minor"] == fixture.row(daily_snapshot, "asha", "2026-01-31")["total_minor"] == 990
    assert row["closing_minor"] == fixture.row(daily_snapshot, "asha", "2026-02-28")["total_minor"] == 1_480


@pytest.mark.parametrize(
    ("month", "last"), [("2024-02", "2024-02-29"), ("2026-12", "2026-12-31"), ("2026-04", "2026-04-30")]
)
def test_months_have_as_many_days_as_the_calendar_says(fixture: ReportingFixture, month: str, last: str) -> None:
    fixture.open("a", "asha", created="2023-01-01 00:00")
    fixture.move("a", "income", 1, f"{month}-01 00:00")
    fixture.move("a", "income", 2, f"{last} 23:59:59.999999")

    fixture.run(monthly_summary, month)

    assert fixture.row(monthly_summary, "asha", month)["income_minor"] == 3


def test_users_with_a_pocket_or_a_report_have_a_summary(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", created="2026-02-28 23:00")
    fixture.open("b", "ben", created="2026-03-01 00:00")
    fixture.open("c", "chen", created="2026-03-01 00:00")
    fixture.move("c", "income", 5, "2026-02-10 10:00")
    fixture.run(daily_report, "2026-02-10")

    fixture.run(monthly_summary, MONTH)

    found = fixture.rows(monthly_summary)
    assert found.keys() == {("asha", MONTH), ("chen", MONTH)}
    assert (found["chen", MONTH]["closing_minor"], found["chen", MONTH]["income_minor"]) == (0, 5)


def test_figures_are_the_same_with_and_without_reports(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100)
    for day in range(1, 29):
        fixture.move("a", "income", day, f"2026-02-{day:02} 10:00")
    fixture.run(monthly_summary, MONTH)
    without = fixture.row(monthly_summary, "asha", MONTH)

    for day in range(1, 29):
        fixture.run(daily_snapshot, f"2026-02-{day:02}")
    fixture.now = at("2027-02-01 00:00")
    fixture.run(monthly_summary, MONTH)

    assert fixture.row(monthly_summary, "asha", MONTH) == without | {"days_reported": 28, "generated_at": fixture.now}


def test_a_second_run_writes_nothing_even_later(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100)
    fixture.move("a", "income", 1, "2026-02-03 10:00")
    fixture.run(daily_report, "2026-02-03")
    fixture.run(monthly_summary, MONTH)
    first = fixture.everything()

    fixture.now = at("2027-02-01 00:00")
    again = fixture.run(monthly_summary, MONTH)

    assert fixture.everything() == first
    assert again.metrics == {"summaries_written": 0}


def test_one_invalid_transaction_does_not_stop_other_users(fixture: ReportingFixture) -> None:
    for pocket, user in (("a", "asha"), ("b", "ben"), ("c", "chen")):
        fixture.open(pocket, user)
    fixture.move("c", "gift", 1, "2026-02-03 10:00", id_="t1")

    result = fixture.run(monthly_summary, MONTH)

    assert (result.ok, result.failed) == (2, ["chen"])
    assert result.failures[0].message.startswith("transaction t1 has the unknown type gift; the types are")
    assert fixture.rows(monthly_summary).keys() == {("asha", MONTH), ("ben", MONTH)}


def test_the_number_of_statements_does_not_grow_with_the_batch(fixture: ReportingFixture) -> None:
    names = [f"user{n:03}" for n in range(120)]
    fixture.enrol(*names)
    row = {"name": "p", "currency": "INR", "balance_minor": 9, "created_at": at("2025-01-01 00:00")}
    fixture.add(pockets, *({**row, "id": f"p-{name}", "user_id": name} for name in names))
    for name in names[::10]:
        fixture.move(f"p-{name}", "income", 1, "2026-02-03 10:00")

    few = fixture.statements(monthly_summary, MONTH, names[:3])
    many = fixture.statements(monthly_summary, MONTH, names)

    assert len(few) == len(many) == 5  # pockets, transactions, reported days, summaries that are there, one INSERT
    assert len(fixture.rows(monthly_summary)) == 120
