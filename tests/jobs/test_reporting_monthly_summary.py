"""The summary of a month: what came in, what went out, and what there was before and after."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.monthly_summary import monthly_summary
from jobs.reporting.tables import pockets
from tests.jobs.reporting_fixtures import Bank, at

MONTH = "2026-02"


@pytest.fixture
def bank(database_url: str) -> Iterator[Bank]:
    made = Bank(database_url)
    made.enrol("asha", "ben", "chen")
    yield made
    made.close()


def test_asha_has_a_month_with_a_salary_a_rent_and_savings(bank: Bank) -> None:
    bank.open("bank", "asha", 1_000)
    bank.open("save", "asha", 5)
    bank.move("bank", "income", 70, "2026-01-31 23:59:59.999999")
    bank.move("bank", "income", 5_000, "2026-02-01 00:00", category="salary")
    bank.move("bank", "expense", 2_000, "2026-02-02 10:00", category="rent")
    bank.transfer("bank", "save", 300, "2026-02-10 10:00")
    bank.move("bank", "expense", 40, "2026-02-28 23:59:59.999999", category="tea")
    bank.move("bank", "expense", 900, "2026-03-01 00:00", category="rent")
    for day in ("2026-02-01", "2026-02-02", "2026-02-28", "2026-01-31"):
        bank.run(daily_report, day)

    bank.run(monthly_summary, MONTH)

    row = bank.row(monthly_summary, "asha", MONTH)
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


def test_the_opening_is_the_snapshot_of_the_last_day_of_the_month_before(bank: Bank) -> None:
    bank.open("a", "asha", 1_000)
    bank.open("new", "asha", 500, created="2026-02-01 00:00")
    bank.move("a", "expense", 10, "2026-01-31 10:00")
    bank.move("new", "expense", 10, "2026-02-28 10:00")
    for day in ("2026-01-31", "2026-02-28"):
        bank.run(daily_snapshot, day)

    bank.run(monthly_summary, MONTH)

    row = bank.row(monthly_summary, "asha", MONTH)
    assert row["opening_minor"] == bank.row(daily_snapshot, "asha", "2026-01-31")["total_minor"] == 990
    assert row["closing_minor"] == bank.row(daily_snapshot, "asha", "2026-02-28")["total_minor"] == 1_480


@pytest.mark.parametrize(
    ("month", "last"), [("2024-02", "2024-02-29"), ("2026-12", "2026-12-31"), ("2026-04", "2026-04-30")]
)
def test_months_have_as_many_days_as_the_calendar_says(bank: Bank, month: str, last: str) -> None:
    bank.open("a", "asha", created="2023-01-01 00:00")
    bank.move("a", "income", 1, f"{month}-01 00:00")
    bank.move("a", "income", 2, f"{last} 23:59:59.999999")

    bank.run(monthly_summary, month)

    assert bank.row(monthly_summary, "asha", month)["income_minor"] == 3


def test_those_with_a_pocket_at_its_end_or_a_report_in_it_have_one(bank: Bank) -> None:
    bank.open("a", "asha", created="2026-02-28 23:00")
    bank.open("b", "ben", created="2026-03-01 00:00")
    bank.open("c", "chen", created="2026-03-01 00:00")
    bank.move("c", "income", 5, "2026-02-10 10:00")
    bank.run(daily_report, "2026-02-10")

    bank.run(monthly_summary, MONTH)

    found = bank.rows(monthly_summary)
    assert found.keys() == {("asha", MONTH), ("chen", MONTH)}
    assert (found["chen", MONTH]["closing_minor"], found["chen", MONTH]["income_minor"]) == (0, 5)


def test_figures_are_the_same_with_and_without_reports(bank: Bank) -> None:
    bank.open("a", "asha", 100)
    for day in range(1, 29):
        bank.move("a", "income", day, f"2026-02-{day:02} 10:00")
    bank.run(monthly_summary, MONTH)
    without = bank.row(monthly_summary, "asha", MONTH)

    for day in range(1, 29):
        bank.run(daily_snapshot, f"2026-02-{day:02}")
    bank.now = at("2027-02-01 00:00")
    bank.run(monthly_summary, MONTH)

    assert bank.row(monthly_summary, "asha", MONTH) == without | {"days_reported": 28, "generated_at": bank.now}


def test_a_second_run_writes_nothing_even_later(bank: Bank) -> None:
    bank.open("a", "asha", 100)
    bank.move("a", "income", 1, "2026-02-03 10:00")
    bank.run(daily_report, "2026-02-03")
    bank.run(monthly_summary, MONTH)
    first = bank.everything()

    bank.now = at("2027-02-01 00:00")
    again = bank.run(monthly_summary, MONTH)

    assert bank.everything() == first
    assert again.metrics == {"summaries_written": 0}


def test_one_broken_ledger_does_not_stop_the_others(bank: Bank) -> None:
    for pocket, user in (("a", "asha"), ("b", "ben"), ("c", "chen")):
        bank.open(pocket, user)
    bank.move("c", "gift", 1, "2026-02-03 10:00", id_="t1")

    result = bank.run(monthly_summary, MONTH)

    assert (result.ok, result.failed) == (2, ["chen"])
    assert result.failures[0].message.startswith("transaction t1 has the unknown type gift; known are")
    assert bank.rows(monthly_summary).keys() == {("asha", MONTH), ("ben", MONTH)}


def test_the_number_of_statements_does_not_grow_with_the_batch(bank: Bank) -> None:
    names = [f"user{n:03}" for n in range(120)]
    bank.enrol(*names)
    row = {"name": "p", "currency": "INR", "balance_minor": 9, "created_at": at("2025-01-01 00:00")}
    bank.add(pockets, *({**row, "id": f"p-{name}", "user_id": name} for name in names))
    for name in names[::10]:
        bank.move(f"p-{name}", "income", 1, "2026-02-03 10:00")

    few = bank.statements(monthly_summary, MONTH, names[:3])
    many = bank.statements(monthly_summary, MONTH, names)

    assert len(few) == len(many) == 5  # pockets, transactions, reported days, summaries that are there, one INSERT
    assert len(bank.rows(monthly_summary)) == 120
