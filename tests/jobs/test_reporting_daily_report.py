"""reporting.daily_report: income, expenses and balances of a day."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, delete, event, select, update

from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.monthly_summary import monthly_summary
from jobs.reporting.tables import daily_financial_reports, pockets, transactions
from opsconsole.authoring.job import Job
from tests.jobs.reporting_fixtures import ReportingFixture, at

DAY = "2026-03-08"


@pytest.fixture
def fixture(database_url: str) -> Iterator[ReportingFixture]:
    made = ReportingFixture(database_url)
    made.enrol("asha", "ben", "chen")
    yield made
    made.close()


def test_a_day_with_income_expenses_and_a_transfer(fixture: ReportingFixture) -> None:
    fixture.open("cash", "asha", 10_000)
    fixture.open("bank", "asha", 500)
    fixture.move("cash", "expense", 250, f"{DAY} 09:00", category="चाय")
    fixture.move("cash", "expense", 1_000, f"{DAY} 10:00", category="books")
    fixture.move("bank", "income", 90_000, f"{DAY} 11:00", category="salary")
    fixture.move("cash", "income", 30, f"{DAY} 12:00", category="books")
    fixture.transfer("bank", "cash", 5_000, f"{DAY} 13:00")

    fixture.run(daily_report, DAY)

    report = fixture.row(daily_report, "asha", DAY)
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
    assert (report["through"], report["generated_at"]) == (at("2026-03-09 00:00"), fixture.now)


def test_owners_who_are_not_in_users_have_reports_too(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 10)
    fixture.open("s", "stranger", 200)
    fixture.move("a", "income", 5, f"{DAY} 09:00")
    fixture.move("s", "expense", 50, f"{DAY} 10:00")
    fixture.move("a", "income", 7, f"{DAY} 11:00", user="nobody", id_="t-nobody")

    result = fixture.run(daily_report, DAY)
    fixture.run(daily_snapshot, DAY)
    fixture.run(monthly_summary, DAY[:7])

    assert result.failed == ["nobody"], "a transaction of a user without a pocket is invalid, and is not ignored"
    assert fixture.rows(daily_report).keys() == {("asha", DAY), ("stranger", DAY)}
    assert fixture.row(daily_report, "stranger", DAY)["closing_minor"] == 150
    assert fixture.row(daily_snapshot, "stranger", DAY)["total_minor"] == 150
    assert fixture.row(monthly_summary, "stranger", DAY[:7])["expense_minor"] == 50


def test_only_users_with_transactions_on_the_day_have_a_report(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha")
    fixture.open("b", "ben")
    fixture.open("c", "chen")
    fixture.move("a", "income", 5, f"{DAY} 00:00")
    fixture.move("b", "income", 5, "2026-03-07 23:59:59.999999")
    fixture.move("b", "income", 5, "2026-03-09 00:00")
    fixture.move("c", "income", 5, f"{DAY} 23:59:59.999999")

    fixture.run(daily_report, DAY)

    assert fixture.rows(daily_report).keys() == {("asha", DAY), ("chen", DAY)}


def test_later_transactions_do_not_change_a_days_balances(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 1_000)
    fixture.move("a", "expense", 100, f"{DAY} 09:00")
    fixture.move("a", "expense", 300, "2026-03-09 00:00")
    fixture.move("a", "income", 9_999, "2026-05-01 12:00")

    fixture.run(daily_report, DAY)

    report = fixture.row(daily_report, "asha", DAY)
    assert (report["opening_minor"], report["closing_minor"]) == (1_000, 900)


def test_a_pocket_counts_from_the_start_of_the_day_it_was_opened(fixture: ReportingFixture) -> None:
    fixture.open("old", "asha", 1_000)
    fixture.open("new", "asha", 70, created=f"{DAY} 18:30")
    fixture.open("later", "asha", 5_000, created="2026-03-09 00:00")
    for day in ("2026-03-07", DAY):
        fixture.move("old", "expense", 1, f"{day} 09:00")

    fixture.run(daily_report, "2026-03-07")
    fixture.run(daily_report, DAY)

    before, after = fixture.row(daily_report, "asha", "2026-03-07"), fixture.row(daily_report, "asha", DAY)
    assert (before["opening_minor"], before["closing_minor"]) == (1_000, 999)
    assert (after["opening_minor"], after["closing_minor"]) == (1_069, 1_068)


def test_a_leap_day_and_a_negative_balance(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 10, created="2023-01-01 00:00")
    fixture.move("a", "expense", 2**40, "2024-02-29 12:00")

    fixture.run(daily_report, "2024-02-29")

    assert fixture.row(daily_report, "asha", "2024-02-29")["closing_minor"] == 10 - 2**40


def test_a_missing_category_counts_as_an_empty_one(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha")
    fixture.move("a", "income", 7, f"{DAY} 09:00", category=None)

    fixture.run(daily_report, DAY)

    assert fixture.row(daily_report, "asha", DAY)["by_category"] == {"": {"in": 7, "out": 0, "count": 1}}


# --- until when, and what may be replaced ---------------------------------------------------------------------------


def test_the_nightly_report_ends_a_minute_before_midnight(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100)
    fixture.move("a", "income", 1, f"{DAY} 23:58:59.999999")
    fixture.move("a", "income", 20, f"{DAY} 23:59")
    fixture.open("b", "ben", 100)
    fixture.move("b", "income", 1, f"{DAY} 23:59")

    fixture.run(daily_report, DAY, as_of=f"{DAY} 23:59")

    report = fixture.row(daily_report, "asha", DAY)
    assert (report["opening_minor"], report["closing_minor"], report["transactions"]) == (100, 101, 1)
    assert report["through"] == at(f"{DAY} 23:59")
    assert ("ben", DAY) not in fixture.rows(daily_report)


def test_a_report_is_not_replaced_by_one_that_ends_earlier(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha")
    fixture.move("a", "income", 1, f"{DAY} 08:00")
    fixture.move("a", "income", 2, f"{DAY} 20:00")
    fixture.run(daily_report, DAY)
    whole = fixture.everything()

    fixture.now = at("2027-02-01 00:00")
    fixture.run(daily_report, DAY, as_of=f"{DAY} 12:00")

    assert fixture.everything() == whole


def test_a_report_is_not_replaced_by_an_older_one(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha")
    fixture.move("a", "income", 1, f"{DAY} 08:00")
    fixture.run(daily_report, DAY)
    fixture.move("a", "income", 2, f"{DAY} 20:00")
    newest = fixture.everything()

    fixture.now = at("2026-12-31 00:00")
    fixture.run(daily_report, DAY)

    assert fixture.everything() == newest


def test_a_second_run_writes_nothing_even_later(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha")
    fixture.move("a", "income", 1, f"{DAY} 08:00")
    fixture.run(daily_report, DAY)
    first = fixture.everything()

    fixture.now = at("2027-02-01 00:00")
    again = fixture.run(daily_report, DAY)

    assert fixture.everything() == first
    assert again.metrics == {"reports_written": 0}


def test_a_user_without_transactions_is_ok_without_effect(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha")

    result = fixture.run(daily_report, DAY, keys=["asha", "gone"])

    assert (result.ok, fixture.rows(daily_report)) == (2, {})


# --- what cannot be right -------------------------------------------------------------------------------------------


def spoil(fixture: ReportingFixture, **what: Any) -> None:
    """An invalid transaction written by another program."""
    defaults = {"id": "bad", "user_id": "chen", "pocket_id": "c", "type": "expense", "category": "x", "amount_minor": 5}
    moment = at(f"{DAY} 10:00")
    fixture.add(transactions, {**defaults, "occurred_at": moment, "recorded_at": moment, **what})


BAD = [
    (
        {"type": "gift"},
        "transaction bad has the unknown type gift; the types are income, expense, transfer_in, transfer_out",
    ),
    ({"amount_minor": 0}, "transaction bad has the amount 0; it must be a whole number of minor units above 0"),
    ({"amount_minor": -5}, "transaction bad has the amount -5; it must be a whole number of minor units above 0"),
    ({"pocket_id": "lost"}, "transaction bad is in pocket lost, which does not belong to this user"),
    ({"pocket_id": "a"}, "transaction bad is in pocket a, which does not belong to this user"),
    ({"type": "gift", "occurred_at": at("2026-03-20 10:00")}, "transaction bad has the unknown type gift"),
]


@pytest.mark.parametrize(("what", "why"), BAD)
def test_one_invalid_transaction_does_not_stop_other_users(
    fixture: ReportingFixture, what: dict[str, Any], why: str
) -> None:
    for pocket, user in (("a", "asha"), ("b", "ben"), ("c", "chen")):
        fixture.open(pocket, user)
        fixture.move(pocket, "income", 1, f"{DAY} 08:00")
    spoil(fixture, **what)

    result = fixture.run(daily_report, DAY)

    assert (result.ok, result.failed) == (2, ["chen"])
    assert result.failures[0].message.startswith(why)
    assert fixture.rows(daily_report).keys() == {("asha", DAY), ("ben", DAY)}


def test_a_transaction_without_a_type_is_invalid_where_another_program_allows_it(fixture: ReportingFixture) -> None:
    theirs = transactions.to_metadata(MetaData())
    theirs.c.type.nullable = True
    theirs.drop(fixture.data.engine)
    theirs.create(fixture.data.engine)
    for pocket, user in (("a", "asha"), ("c", "chen")):
        fixture.open(pocket, user)
        fixture.move(pocket, "income", 1, f"{DAY} 08:00")
    spoil(fixture, type=None)

    for job in (daily_report, daily_snapshot, monthly_summary):
        result = fixture.run(job, DAY[:7] if job is monthly_summary else DAY)

        assert (result.ok, result.failed) == (1, ["chen"])
        assert result.failures[0].kind == "unknown_type"
        assert result.failures[0].message.startswith("transaction bad has no type; the types are income")
    assert fixture.rows(daily_report).keys() == {("asha", DAY)}


@pytest.mark.parametrize("job", [daily_report, daily_snapshot])
def test_a_user_whose_invalid_transaction_is_corrected_meanwhile_fails(fixture: ReportingFixture, job: Job) -> None:
    for pocket, user in (("a", "asha"), ("c", "chen")):
        fixture.open(pocket, user)
        fixture.move(pocket, "income", 1, f"{DAY} 08:00")
    spoil(fixture, type="gift")

    def correct(*args: Any) -> None:
        if args[2].startswith("SELECT transactions.user_id, transactions.id"):
            with fixture.data.writing() as db:
                db.execute(update(transactions).where(transactions.c.id == "bad").values(type="expense"))

    event.listen(fixture.engine, "before_cursor_execute", correct)
    result = fixture.run(job, DAY)
    event.remove(fixture.engine, "before_cursor_execute", correct)

    # SQLite still reads the transaction as it was.
    kind = "unknown_type" if fixture.data.is_sqlite else "transaction_changed"
    assert (result.ok, result.failed, result.failures[0].kind) == (1, ["chen"], kind)
    assert fixture.rows(job).keys() == {("asha", DAY)}
    assert fixture.run(job, DAY).ok == 2
    assert fixture.rows(job).keys() == {("asha", DAY), ("chen", DAY)}


@pytest.mark.parametrize("amount", [12.5, "abc"])
def test_amounts_that_are_not_integers_fail_on_sqlite(tmp_path: Path, amount: object) -> None:
    fixture = ReportingFixture(f"sqlite:///{tmp_path / 'fixture.db'}")
    fixture.enrol("asha", "chen")
    for pocket, user in (("a", "asha"), ("c", "chen")):
        fixture.open(pocket, user)
        fixture.move(pocket, "income", 1, f"{DAY} 08:00")
    spoil(fixture, amount_minor=amount)

    for job in (daily_report, daily_snapshot):
        result = fixture.run(job, DAY)

        assert (result.ok, result.failed) == (1, ["chen"])
        assert f"has the amount {amount};" in result.failures[0].message
    fixture.close()


def test_an_existing_report_stays_when_its_user_fails(fixture: ReportingFixture) -> None:
    fixture.open("c", "chen")
    fixture.move("c", "income", 1, f"{DAY} 08:00")
    fixture.run(daily_report, DAY)
    before = fixture.everything()
    spoil(fixture, type="gift")

    fixture.now = at("2027-02-01 00:00")
    result = fixture.run(daily_report, DAY)

    assert result.failed == ["chen"]
    assert fixture.everything() == before


def test_a_deleted_pocket_fails_its_user(fixture: ReportingFixture) -> None:
    fixture.open("c", "chen")
    fixture.move("c", "income", 1, f"{DAY} 08:00", id_="t1")
    with fixture.data.writing() as db:
        db.execute(delete(pockets))

    result = fixture.run(daily_report, DAY)

    assert result.failures[0].message == "transaction t1 is in pocket c, which does not belong to this user"


# --- at what cost ---------------------------------------------------------------------------------------------------


def test_the_number_of_statements_does_not_grow_with_the_batch(fixture: ReportingFixture) -> None:
    names = [f"user{n:03}" for n in range(120)]
    fixture.enrol(*names)
    moment = at(f"{DAY} 10:00")
    rows = [{"id": f"p-{name}", "user_id": name, "name": "p", "currency": "INR", "balance_minor": 9} for name in names]
    fixture.add(pockets, *({**row, "created_at": at("2025-01-01 00:00")} for row in rows))
    of_day = {"type": "income", "category": "x", "amount_minor": 5, "occurred_at": moment, "recorded_at": moment}
    fixture.add(
        transactions,
        *(
            {**of_day, "id": f"t-{name}-{n}", "user_id": name, "pocket_id": f"p-{name}"}
            for name in names
            for n in (1, 2)
        ),
    )

    few = fixture.statements(daily_report, DAY, names[:3])
    many = fixture.statements(daily_report, DAY, names)

    # On SQLite: balances, transactions, existing reports, one INSERT.
    assert len(few) == len(many) == (4 if fixture.data.is_sqlite else 1)
    with fixture.data.reading() as db:
        assert len(db.execute(select(daily_financial_reports)).all()) == 120
