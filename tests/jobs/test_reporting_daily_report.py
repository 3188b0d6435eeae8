"""The report of a day: what came in, what went out, and what there was before and after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.tables import daily_financial_reports, pockets, transactions
from tests.jobs.reporting_fixtures import Bank, at

DAY = "2026-03-08"


@pytest.fixture
def bank(database_url: str) -> Iterator[Bank]:
    made = Bank(database_url)
    made.enrol("asha", "ben", "chen")
    yield made
    made.close()


def test_asha_earns_spends_and_moves_money_on_one_day(bank: Bank) -> None:
    bank.open("cash", "asha", 10_000)
    bank.open("bank", "asha", 500)
    bank.move("cash", "expense", 250, f"{DAY} 09:00", category="चाय")
    bank.move("cash", "expense", 1_000, f"{DAY} 10:00", category="books")
    bank.move("bank", "income", 90_000, f"{DAY} 11:00", category="salary")
    bank.move("cash", "income", 30, f"{DAY} 12:00", category="books")
    bank.transfer("bank", "cash", 5_000, f"{DAY} 13:00")

    bank.run(daily_report, DAY)

    report = bank.row(daily_report, "asha", DAY)
    assert (report["opening_minor"], report["closing_minor"]) == (10_500, 99_280)
    assert (report["income_minor"], report["expense_minor"], report["transactions"]) == (90_030, 1_250, 6)
    assert report["by_type"] == {
        "expense": {"in": 0, "out": 1_250, "count": 2},
        "income": {"in": 90_030, "out": 0, "count": 2},
        "transfer_in": {"in": 5_000, "out": 0, "count": 1},
        "transfer_out": {"in": 0, "out": 5_000, "count": 1},
    }
    assert report["by_category"] == {
        "books": {"in": 30, "out": 1_000, "count": 2},
        "salary": {"in": 90_000, "out": 0, "count": 1},
        "transfer": {"in": 5_000, "out": 5_000, "count": 2},
        "चाय": {"in": 0, "out": 250, "count": 1},
    }
    assert report["by_pocket"] == {
        "bank": {"in": 90_000, "out": 5_000, "count": 2},
        "cash": {"in": 5_030, "out": 1_250, "count": 4},
    }
    for name in ("by_type", "by_category", "by_pocket"):
        assert list(report[name]) == sorted(report[name])
    assert (report["through"], report["generated_at"]) == (at("2026-03-09 00:00"), bank.now)


def test_only_those_with_a_transaction_on_the_day_have_a_report(bank: Bank) -> None:
    bank.open("a", "asha")
    bank.open("b", "ben")
    bank.open("c", "chen")
    bank.move("a", "income", 5, f"{DAY} 00:00")
    bank.move("b", "income", 5, "2026-03-07 23:59:59.999999")
    bank.move("b", "income", 5, "2026-03-09 00:00")
    bank.move("c", "income", 5, f"{DAY} 23:59:59.999999")

    bank.run(daily_report, DAY)

    assert bank.rows(daily_report).keys() == {("asha", DAY), ("chen", DAY)}


def test_what_happened_after_the_day_does_not_change_its_balances(bank: Bank) -> None:
    bank.open("a", "asha", 1_000)
    bank.move("a", "expense", 100, f"{DAY} 09:00")
    bank.move("a", "expense", 300, "2026-03-09 00:00")
    bank.move("a", "income", 9_999, "2026-05-01 12:00")

    bank.run(daily_report, DAY)

    report = bank.row(daily_report, "asha", DAY)
    assert (report["opening_minor"], report["closing_minor"]) == (1_000, 900)


def test_a_pocket_counts_from_the_start_of_the_day_it_was_opened(bank: Bank) -> None:
    bank.open("old", "asha", 1_000)
    bank.open("new", "asha", 70, created=f"{DAY} 18:30")
    bank.open("later", "asha", 5_000, created="2026-03-09 00:00")
    for day in ("2026-03-07", DAY):
        bank.move("old", "expense", 1, f"{day} 09:00")

    bank.run(daily_report, "2026-03-07")
    bank.run(daily_report, DAY)

    before, after = bank.row(daily_report, "asha", "2026-03-07"), bank.row(daily_report, "asha", DAY)
    assert (before["opening_minor"], before["closing_minor"]) == (1_000, 999)
    assert (after["opening_minor"], after["closing_minor"]) == (1_069, 1_068)


def test_a_leap_day_and_a_balance_below_nothing(bank: Bank) -> None:
    bank.open("a", "asha", 10, created="2023-01-01 00:00")
    bank.move("a", "expense", 2**40, "2024-02-29 12:00")

    bank.run(daily_report, "2024-02-29")

    assert bank.row(daily_report, "asha", "2024-02-29")["closing_minor"] == 10 - 2**40


def test_what_has_no_category_is_kept_under_an_empty_one(bank: Bank) -> None:
    bank.open("a", "asha")
    bank.move("a", "income", 7, f"{DAY} 09:00", category=None)

    bank.run(daily_report, DAY)

    assert bank.row(daily_report, "asha", DAY)["by_category"] == {"": {"in": 7, "out": 0, "count": 1}}


# --- until when, and what may be replaced ---------------------------------------------------------------------------


def test_the_nights_run_ends_a_minute_before_the_day(bank: Bank) -> None:
    bank.open("a", "asha", 100)
    bank.move("a", "income", 1, f"{DAY} 23:58:59.999999")
    bank.move("a", "income", 20, f"{DAY} 23:59")
    bank.open("b", "ben", 100)
    bank.move("b", "income", 1, f"{DAY} 23:59")

    bank.run(daily_report, DAY, as_of=f"{DAY} 23:59")

    report = bank.row(daily_report, "asha", DAY)
    assert (report["opening_minor"], report["closing_minor"], report["transactions"]) == (100, 101, 1)
    assert report["through"] == at(f"{DAY} 23:59")
    assert ("ben", DAY) not in bank.rows(daily_report)


def test_a_report_is_not_replaced_by_one_that_ends_earlier(bank: Bank) -> None:
    bank.open("a", "asha")
    bank.move("a", "income", 1, f"{DAY} 08:00")
    bank.move("a", "income", 2, f"{DAY} 20:00")
    bank.run(daily_report, DAY)
    whole = bank.everything()

    bank.now = at("2027-02-01 00:00")
    bank.run(daily_report, DAY, as_of=f"{DAY} 12:00")

    assert bank.everything() == whole


def test_a_report_is_not_replaced_by_an_older_one(bank: Bank) -> None:
    bank.open("a", "asha")
    bank.move("a", "income", 1, f"{DAY} 08:00")
    bank.run(daily_report, DAY)
    bank.move("a", "income", 2, f"{DAY} 20:00")
    newest = bank.everything()

    bank.now = at("2026-12-31 00:00")
    bank.run(daily_report, DAY)

    assert bank.everything() == newest


def test_a_second_run_writes_nothing_even_later(bank: Bank) -> None:
    bank.open("a", "asha")
    bank.move("a", "income", 1, f"{DAY} 08:00")
    bank.run(daily_report, DAY)
    first = bank.everything()

    bank.now = at("2027-02-01 00:00")
    again = bank.run(daily_report, DAY)

    assert bank.everything() == first
    assert again.metrics == {"reports_written": 0}


def test_whoever_has_nothing_left_to_report_is_done(bank: Bank) -> None:
    bank.open("a", "asha")

    result = bank.run(daily_report, DAY, keys=["asha", "gone"])

    assert (result.ok, bank.rows(daily_report)) == (2, {})


# --- what cannot be right -------------------------------------------------------------------------------------------


def spoil(bank: Bank, **what: Any) -> None:
    """A transaction of Chen's that other programs should not have written."""
    usual = {"id": "bad", "user_id": "chen", "pocket_id": "c", "type": "expense", "category": "x", "amount_minor": 5}
    moment = at(f"{DAY} 10:00")
    bank.add(transactions, {**usual, "occurred_at": moment, "recorded_at": moment, **what})


BAD = [
    (
        {"type": "gift"},
        "transaction bad has the unknown type gift; known are income, expense, transfer_in, transfer_out",
    ),
    ({"amount_minor": 0}, "transaction bad has the amount 0; it must be a whole number of minor units above 0"),
    ({"amount_minor": -5}, "transaction bad has the amount -5; it must be a whole number of minor units above 0"),
    ({"pocket_id": "lost"}, "transaction bad is in pocket lost, which does not belong to this user"),
    ({"pocket_id": "a"}, "transaction bad is in pocket a, which does not belong to this user"),
    ({"type": "gift", "occurred_at": at("2026-03-20 10:00")}, "transaction bad has the unknown type gift"),
]


@pytest.mark.parametrize(("what", "why"), BAD)
def test_one_broken_ledger_does_not_stop_the_others(bank: Bank, what: dict[str, Any], why: str) -> None:
    for pocket, user in (("a", "asha"), ("b", "ben"), ("c", "chen")):
        bank.open(pocket, user)
        bank.move(pocket, "income", 1, f"{DAY} 08:00")
    spoil(bank, **what)

    result = bank.run(daily_report, DAY)

    assert (result.ok, result.failed) == (2, ["chen"])
    assert result.failures[0].message.startswith(why)
    assert bank.rows(daily_report).keys() == {("asha", DAY), ("ben", DAY)}


@pytest.mark.parametrize("amount", [12.5, "abc"])
def test_sqlite_keeps_what_is_no_whole_number_and_the_report_refuses_it(tmp_path: Path, amount: object) -> None:
    bank = Bank(f"sqlite:///{tmp_path / 'bank.db'}")
    bank.enrol("asha", "chen")
    for pocket, user in (("a", "asha"), ("c", "chen")):
        bank.open(pocket, user)
        bank.move(pocket, "income", 1, f"{DAY} 08:00")
    spoil(bank, amount_minor=amount)

    for job in (daily_report, daily_snapshot):
        result = bank.run(job, DAY)

        assert (result.ok, result.failed) == (1, ["chen"])
        assert f"has the amount {amount};" in result.failures[0].message
    bank.close()


def test_a_report_that_was_right_stays_when_its_user_fails(bank: Bank) -> None:
    bank.open("c", "chen")
    bank.move("c", "income", 1, f"{DAY} 08:00")
    bank.run(daily_report, DAY)
    before = bank.everything()
    spoil(bank, type="gift")

    bank.now = at("2027-02-01 00:00")
    result = bank.run(daily_report, DAY)

    assert result.failed == ["chen"]
    assert bank.everything() == before


def test_a_pocket_that_is_gone_fails_its_user_rather_than_bending_the_balance(bank: Bank) -> None:
    bank.open("c", "chen")
    bank.move("c", "income", 1, f"{DAY} 08:00", id_="t1")
    with bank.data.writing() as db:
        db.execute(delete(pockets))

    result = bank.run(daily_report, DAY)

    assert result.failures[0].message == "transaction t1 is in pocket c, which does not belong to this user"


# --- at what cost ---------------------------------------------------------------------------------------------------


def test_the_number_of_statements_does_not_grow_with_the_batch(bank: Bank) -> None:
    names = [f"user{n:03}" for n in range(120)]
    bank.enrol(*names)
    moment = at(f"{DAY} 10:00")
    rows = [{"id": f"p-{name}", "user_id": name, "name": "p", "currency": "INR", "balance_minor": 9} for name in names]
    bank.add(pockets, *({**row, "created_at": at("2025-01-01 00:00")} for row in rows))
    of_day = {"type": "income", "category": "x", "amount_minor": 5, "occurred_at": moment, "recorded_at": moment}
    bank.add(
        transactions,
        *(
            {**of_day, "id": f"t-{name}-{n}", "user_id": name, "pocket_id": f"p-{name}"}
            for name in names
            for n in (1, 2)
        ),
    )

    few = bank.statements(daily_report, DAY, names[:3])
    many = bank.statements(daily_report, DAY, names)

    assert len(few) == len(many) == 4  # balances, transactions, reports that are there, one INSERT
    with bank.data.reading() as db:
        assert len(db.execute(select(daily_financial_reports)).all()) == 120
