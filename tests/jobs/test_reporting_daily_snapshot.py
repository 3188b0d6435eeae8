"""reporting.daily_snapshot: balances at the end of a day, and completing reports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.tables import pockets
from tests.jobs.reporting_fixtures import ReportingFixture, at

DAY = "2026-03-08"


@pytest.fixture
def fixture(database_url: str) -> Iterator[ReportingFixture]:
    made = ReportingFixture(database_url)
    made.enrol("asha", "ben", "chen")
    yield made
    made.close()


def test_exactly_the_users_with_a_pocket_have_a_snapshot(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100)
    fixture.open("a2", "asha", 11)
    fixture.open("b", "ben", 200)
    fixture.move("a", "income", 40, f"{DAY} 09:00")
    fixture.transfer("a", "a2", 15, f"{DAY} 10:00")
    fixture.move("a", "expense", 5, f"{DAY} 11:00")

    fixture.run(daily_snapshot, DAY)

    found = fixture.rows(daily_snapshot)
    assert found.keys() == {("asha", DAY), ("ben", DAY)}
    assert {name: found["asha", DAY][name] for name in ("total_minor", "pockets", "income_minor", "expense_minor")} == {
        "total_minor": 146,
        "pockets": 2,
        "income_minor": 40,
        "expense_minor": 5,
    }
    assert (found["ben", DAY]["total_minor"], found["ben", DAY]["income_minor"]) == (200, 0)


def test_a_snapshot_of_a_past_day_has_that_days_balances(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100)
    fixture.open("new", "asha", 7, created="2026-03-09 00:00")
    fixture.move("a", "income", 1, f"{DAY} 23:59:59.999999")
    fixture.move("a", "income", 1_000, "2026-03-09 00:00")
    fixture.move("new", "expense", 3, "2026-03-10 00:00")

    for day in ("2026-03-10", DAY, "2026-03-09"):
        fixture.run(daily_snapshot, day)

    totals = {day: (row["total_minor"], row["pockets"]) for (_, day), row in fixture.rows(daily_snapshot).items()}
    assert totals == {DAY: (101, 1), "2026-03-09": (1_108, 2), "2026-03-10": (1_105, 2)}


def test_a_pocket_opened_in_the_last_moment_of_the_day_counts(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100, created=f"{DAY} 23:59:59.999999")

    fixture.run(daily_snapshot, "2026-03-07")
    fixture.run(daily_snapshot, DAY)

    assert fixture.rows(daily_snapshot).keys() == {("asha", DAY)}


# --- the reports of the day -----------------------------------------------------------------------------------------


def test_transactions_of_the_last_minute_are_added_to_reports(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100)
    fixture.open("b", "ben", 100)
    fixture.open("c", "chen", 100)
    fixture.move("a", "income", 1, f"{DAY} 10:00")
    fixture.move("a", "income", 2, f"{DAY} 23:59")
    fixture.move("b", "income", 3, f"{DAY} 23:59:30")
    fixture.move("c", "income", 4, f"{DAY} 10:00")

    fixture.now = at(f"{DAY} 23:59")
    fixture.run(daily_report, DAY, as_of=f"{DAY} 23:59")
    fixture.now = at("2026-03-09 00:00")
    result = fixture.run(daily_snapshot, DAY)

    found = fixture.rows(daily_report)
    assert {user: row["closing_minor"] for (user, _), row in found.items()} == {"asha": 103, "ben": 103, "chen": 104}
    assert {user: row["through"] for (user, _), row in found.items()} == {
        "asha": at("2026-03-09 00:00"),
        "ben": at("2026-03-09 00:00"),
        "chen": at(f"{DAY} 23:59"),
    }
    assert result.metrics == {"reports_updated": 2, "snapshots_written": 3}


def test_transactions_committed_during_the_report_are_added(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100)
    fixture.move("a", "income", 1, f"{DAY} 10:00")
    fixture.now = at(f"{DAY} 23:59")
    fixture.run(daily_report, DAY, as_of=f"{DAY} 23:59")
    fixture.move("a", "income", 2, f"{DAY} 23:58:59")

    fixture.now = at("2026-03-09 00:00")
    fixture.run(daily_snapshot, DAY)

    assert fixture.row(daily_report, "asha", DAY)["closing_minor"] == 103
    assert fixture.row(daily_snapshot, "asha", DAY)["total_minor"] == 103


def test_the_snapshot_writes_missing_reports(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100)
    fixture.open("b", "ben", 100)
    fixture.move("a", "income", 1, f"{DAY} 00:00")

    fixture.run(daily_snapshot, DAY)

    assert fixture.rows(daily_report).keys() == {("asha", DAY)}


# --- again, and with one who fails ----------------------------------------------------------------------------------


def test_a_second_run_writes_nothing_even_later(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100)
    fixture.move("a", "income", 1, f"{DAY} 10:00")
    fixture.run(daily_snapshot, DAY)
    first = fixture.everything()

    fixture.now = at("2027-02-01 00:00")
    again = fixture.run(daily_snapshot, DAY)

    assert fixture.everything() == first
    assert again.metrics == {"reports_updated": 0, "snapshots_written": 0}


def test_an_older_snapshot_does_not_replace_a_newer_one(fixture: ReportingFixture) -> None:
    fixture.open("a", "asha", 100)
    fixture.run(daily_snapshot, DAY)
    fixture.move("a", "income", 1, f"{DAY} 10:00")
    newest = fixture.rows(daily_snapshot)

    fixture.now = at("2026-12-31 00:00")
    fixture.run(daily_snapshot, DAY)

    assert fixture.rows(daily_snapshot) == newest


def test_one_invalid_transaction_does_not_stop_other_users(fixture: ReportingFixture) -> None:
    for pocket, user in (("a", "asha"), ("b", "ben"), ("c", "chen")):
        fixture.open(pocket, user)
    fixture.move("a", "income", 1, f"{DAY} 10:00")
    fixture.move("c", "income", 1, f"{DAY} 10:00")
    fixture.move("c", "gift", 1, f"{DAY} 11:00", id_="t1")

    result = fixture.run(daily_snapshot, DAY)

    assert (result.ok, result.failed) == (2, ["chen"])
    assert result.failures[0].message.startswith("transaction t1 has the unknown type gift; the types are")
    assert fixture.rows(daily_snapshot).keys() == {("asha", DAY), ("ben", DAY)}
    assert fixture.rows(daily_report).keys() == {("asha", DAY)}


def test_the_number_of_statements_does_not_grow_with_the_batch(fixture: ReportingFixture) -> None:
    names = [f"user{n:03}" for n in range(120)]
    fixture.enrol(*names)
    row = {"name": "p", "currency": "INR", "balance_minor": 9, "created_at": at("2025-01-01 00:00")}
    fixture.add(pockets, *({**row, "id": f"p-{name}", "user_id": name} for name in names))
    for name in names[::10]:
        fixture.move(f"p-{name}", "income", 1, f"{DAY} 10:00")

    few = fixture.statements(daily_snapshot, DAY, names[:3])
    many = fixture.statements(daily_snapshot, DAY, names)

    # On SQLite: balances; existing reports; transactions and reports of outdated users; snapshots; two INSERTs.
    assert len(few) == len(many) == (7 if fixture.data.is_sqlite else 1)
    assert len(fixture.rows(daily_snapshot)) == 120
