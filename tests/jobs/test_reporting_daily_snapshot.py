"""The snapshot of a day: what everybody had when it ended, and the reports that the night's run left incomplete."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.tables import pockets
from tests.jobs.reporting_fixtures import Bank, at

DAY = "2026-03-08"


@pytest.fixture
def bank(database_url: str) -> Iterator[Bank]:
    made = Bank(database_url)
    made.enrol("asha", "ben", "chen")
    yield made
    made.close()


def test_everybody_with_a_pocket_has_a_snapshot_and_nobody_else(bank: Bank) -> None:
    bank.open("a", "asha", 100)
    bank.open("a2", "asha", 11)
    bank.open("b", "ben", 200)
    bank.move("a", "income", 40, f"{DAY} 09:00")
    bank.transfer("a", "a2", 15, f"{DAY} 10:00")
    bank.move("a", "expense", 5, f"{DAY} 11:00")

    bank.run(daily_snapshot, DAY)

    found = bank.rows(daily_snapshot)
    assert found.keys() == {("asha", DAY), ("ben", DAY)}
    assert {name: found["asha", DAY][name] for name in ("total_minor", "pockets", "income_minor", "expense_minor")} == {
        "total_minor": 146,
        "pockets": 2,
        "income_minor": 40,
        "expense_minor": 5,
    }
    assert (found["ben", DAY]["total_minor"], found["ben", DAY]["income_minor"]) == (200, 0)


def test_a_past_day_is_that_days_truth_and_not_todays(bank: Bank) -> None:
    bank.open("a", "asha", 100)
    bank.open("new", "asha", 7, created="2026-03-09 00:00")
    bank.move("a", "income", 1, f"{DAY} 23:59:59.999999")
    bank.move("a", "income", 1_000, "2026-03-09 00:00")
    bank.move("new", "expense", 3, "2026-03-10 00:00")

    for day in ("2026-03-10", DAY, "2026-03-09"):
        bank.run(daily_snapshot, day)

    totals = {day: (row["total_minor"], row["pockets"]) for (_, day), row in bank.rows(daily_snapshot).items()}
    assert totals == {DAY: (101, 1), "2026-03-09": (1_108, 2), "2026-03-10": (1_105, 2)}


def test_a_pocket_opened_in_the_last_moment_of_the_day_counts(bank: Bank) -> None:
    bank.open("a", "asha", 100, created=f"{DAY} 23:59:59.999999")

    bank.run(daily_snapshot, "2026-03-07")
    bank.run(daily_snapshot, DAY)

    assert bank.rows(daily_snapshot).keys() == {("asha", DAY)}


# --- the reports of the day -----------------------------------------------------------------------------------------


def test_the_days_last_minute_gets_into_the_reports_of_those_who_used_it(bank: Bank) -> None:
    bank.open("a", "asha", 100)
    bank.open("b", "ben", 100)
    bank.open("c", "chen", 100)
    bank.move("a", "income", 1, f"{DAY} 10:00")
    bank.move("a", "income", 2, f"{DAY} 23:59")
    bank.move("b", "income", 3, f"{DAY} 23:59:30")
    bank.move("c", "income", 4, f"{DAY} 10:00")

    bank.now = at(f"{DAY} 23:59")
    bank.run(daily_report, DAY, as_of=f"{DAY} 23:59")
    bank.now = at("2026-03-09 00:00")
    result = bank.run(daily_snapshot, DAY)

    found = bank.rows(daily_report)
    assert {user: row["closing_minor"] for (user, _), row in found.items()} == {"asha": 103, "ben": 103, "chen": 104}
    assert {user: row["through"] for (user, _), row in found.items()} == {
        "asha": at("2026-03-09 00:00"),
        "ben": at("2026-03-09 00:00"),
        "chen": at(f"{DAY} 23:59"),
    }
    assert result.metrics == {"reports_updated": 2, "snapshots_written": 3}


def test_what_was_committed_while_the_report_was_made_gets_into_it_too(bank: Bank) -> None:
    bank.open("a", "asha", 100)
    bank.move("a", "income", 1, f"{DAY} 10:00")
    bank.now = at(f"{DAY} 23:59")
    bank.run(daily_report, DAY, as_of=f"{DAY} 23:59")
    bank.move("a", "income", 2, f"{DAY} 23:58:59")

    bank.now = at("2026-03-09 00:00")
    bank.run(daily_snapshot, DAY)

    assert bank.row(daily_report, "asha", DAY)["closing_minor"] == 103
    assert bank.row(daily_snapshot, "asha", DAY)["total_minor"] == 103


def test_without_any_report_the_snapshot_makes_them(bank: Bank) -> None:
    bank.open("a", "asha", 100)
    bank.open("b", "ben", 100)
    bank.move("a", "income", 1, f"{DAY} 00:00")

    bank.run(daily_snapshot, DAY)

    assert bank.rows(daily_report).keys() == {("asha", DAY)}


# --- again, and with one who fails ----------------------------------------------------------------------------------


def test_a_second_run_writes_nothing_even_later(bank: Bank) -> None:
    bank.open("a", "asha", 100)
    bank.move("a", "income", 1, f"{DAY} 10:00")
    bank.run(daily_snapshot, DAY)
    first = bank.everything()

    bank.now = at("2027-02-01 00:00")
    again = bank.run(daily_snapshot, DAY)

    assert bank.everything() == first
    assert again.metrics == {"reports_updated": 0, "snapshots_written": 0}


def test_an_older_snapshot_does_not_replace_a_newer_one(bank: Bank) -> None:
    bank.open("a", "asha", 100)
    bank.run(daily_snapshot, DAY)
    bank.move("a", "income", 1, f"{DAY} 10:00")
    newest = bank.rows(daily_snapshot)

    bank.now = at("2026-12-31 00:00")
    bank.run(daily_snapshot, DAY)

    assert bank.rows(daily_snapshot) == newest


def test_one_broken_ledger_does_not_stop_the_others(bank: Bank) -> None:
    for pocket, user in (("a", "asha"), ("b", "ben"), ("c", "chen")):
        bank.open(pocket, user)
    bank.move("a", "income", 1, f"{DAY} 10:00")
    bank.move("c", "income", 1, f"{DAY} 10:00")
    bank.move("c", "gift", 1, f"{DAY} 11:00", id_="t1")

    result = bank.run(daily_snapshot, DAY)

    assert (result.ok, result.failed) == (2, ["chen"])
    assert result.failures[0].message.startswith("transaction t1 has the unknown type gift; known are")
    assert bank.rows(daily_snapshot).keys() == {("asha", DAY), ("ben", DAY)}
    assert bank.rows(daily_report).keys() == {("asha", DAY)}


def test_the_number_of_statements_does_not_grow_with_the_batch(bank: Bank) -> None:
    names = [f"user{n:03}" for n in range(120)]
    bank.enrol(*names)
    row = {"name": "p", "currency": "INR", "balance_minor": 9, "created_at": at("2025-01-01 00:00")}
    bank.add(pockets, *({**row, "id": f"p-{name}", "user_id": name} for name in names))
    for name in names[::10]:
        bank.move(f"p-{name}", "income", 1, f"{DAY} 10:00")

    few = bank.statements(daily_snapshot, DAY, names[:3])
    many = bank.statements(daily_snapshot, DAY, names)

    # Balances; reports that are there; for those behind transactions and reports; snapshots; two INSERTs.
    assert len(few) == len(many) == 7
    assert len(bank.rows(daily_snapshot)) == 120
