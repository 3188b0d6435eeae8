"""Sample pockets and transactions: reproducible, with consistent balances."""

from __future__ import annotations

import ast
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobs.reporting.sample import add_reporting
from jobs.reporting.tables import pockets, transactions
from tests.jobs.oracle_reporting import change
from tests.jobs.reporting_fixtures import ReportingFixture, at

UNTIL = datetime(2026, 3, 11, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
SAMPLE = Path(__file__).parents[2] / "jobs" / "reporting" / "sample.py"


@pytest.fixture
def fixture(database_url: str) -> Iterator[ReportingFixture]:
    made = ReportingFixture(database_url)
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[ReportingFixture]:
    made = ReportingFixture(f"sqlite:///{tmp_path / 'other.db'}")
    yield made
    made.close()


def there(fixture: ReportingFixture) -> tuple[list[Any], list[Any]]:
    with fixture.data.reading() as db:
        held, moved = (list(db.execute(select(table).order_by(table.c.id))) for table in (pockets, transactions))
    return held, moved


def test_consecutive_periods_add_up_to_the_whole_on_both_databases(
    fixture: ReportingFixture, other: ReportingFixture
) -> None:
    noon = UNTIL - 2 * DAY + timedelta(hours=5, seconds=3)
    for since, until in ((UNTIL - 5 * DAY, noon), (noon, UNTIL - timedelta(hours=9, minutes=30)), (noon, UNTIL)):
        add_reporting(fixture.data, 40, since, until)

    add_reporting(other.data, 40, UNTIL - 5 * DAY, UNTIL)

    assert there(fixture) == there(other)


def test_existing_rows_are_not_written_again(other: ReportingFixture) -> None:
    add_reporting(other.data, 40, UNTIL - 5 * DAY, UNTIL)
    before = there(other)

    add_reporting(other.data, 40, UNTIL - 5 * DAY, UNTIL)
    add_reporting(other.data, 40, UNTIL - 3 * DAY, UNTIL - 2 * DAY)

    assert there(other) == before


def test_users_and_transactions_are_varied(other: ReportingFixture) -> None:
    add_reporting(other.data, 400, UNTIL - 10 * DAY, UNTIL)
    held, moved = there(other)
    with_pocket = Counter(row.user_id for row in held)
    active = Counter(row.user_id for row in moved)
    late = [row for row in moved if row.recorded_at.date() > row.occurred_at.date()]

    assert set(with_pocket.values()) == {1, 2, 3, 4}
    assert 330 < len(with_pocket) < 380, "some have no pocket"
    assert len(active) < len(with_pocket) - 40, "some are idle"
    assert {row.type for row in moved} == {"income", "expense", "transfer_in", "transfer_out"}
    assert any(row.category is None for row in moved)
    assert any(not (row.category or "").isascii() for row in moved)
    assert 0.002 < len(late) / len(moved) < 0.05
    assert max(row.recorded_at - row.occurred_at for row in late) > DAY
    assert all(UNTIL - 10 * DAY <= row.recorded_at < UNTIL for row in moved)
    assert all(row.occurred_at <= row.recorded_at and row.amount_minor > 0 for row in moved)


def test_balances_agree_with_transactions_and_transfers_have_two_sides(other: ReportingFixture) -> None:
    add_reporting(other.data, 60, UNTIL - 4 * DAY, UNTIL - 2 * DAY)
    first, _ = there(other)
    add_reporting(other.data, 60, UNTIL - 2 * DAY, UNTIL)
    held, moved = there(other)
    opened = {row.id: row for row in held}
    net: Counter[str] = Counter()
    since: Counter[str] = Counter()
    for row in moved:
        net[row.pocket_id] += change(row._mapping)
        since[row.pocket_id] += change(row._mapping) if row.recorded_at >= UNTIL - 2 * DAY else 0
    sides = Counter((row.id[:-1], row.amount_minor) for row in moved if row.type.startswith("transfer"))

    assert sides
    assert set(sides.values()) == {2}
    assert {row.id: row.balance_minor - since[row.id] for row in held if row.id in {old.id for old in first}} == {
        row.id: row.balance_minor for row in first
    }
    assert all(row.balance_minor - net[row.id] >= 0 for row in held), "initial balances are not negative"
    assert all(opened[row.pocket_id].created_at <= row.occurred_at for row in moved)
    assert all(opened[row.pocket_id].user_id == row.user_id for row in moved)


@pytest.mark.parametrize("users", [10, 200])
def test_some_transactions_are_recorded_after_their_night(other: ReportingFixture, users: int) -> None:
    for days in range(4):
        until = UNTIL + days * DAY
        add_reporting(other.data, users, until - 3 * DAY, until)
        day = (until - 2 * DAY).date()

        _, moved = there(other)
        forgot = {
            row.user_id
            for row in moved
            if row.occurred_at.date() == day and row.recorded_at > at(f"{day + DAY} 00:05") and row.recorded_at < until
        }

        assert 1 <= len(forgot) <= 10


def test_no_users_or_an_empty_period_write_nothing(other: ReportingFixture) -> None:
    add_reporting(other.data, 0, UNTIL - DAY, UNTIL)
    add_reporting(other.data, 10, UNTIL, UNTIL)

    assert there(other) == ([], [])


@pytest.mark.soak
def test_memory_does_not_grow_with_the_number_of_users(other: ReportingFixture, tmp_path: Path) -> None:
    second = ReportingFixture(f"sqlite:///{tmp_path / 'second.db'}")

    def peak(of: ReportingFixture, many: int) -> int:
        tracemalloc.start()
        try:
            add_reporting(of.data, many, UNTIL - 5 * DAY, UNTIL)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(second, 1000) < 1.3 * peak(other, 500)
    second.close()


def test_sample_data_reads_no_clock() -> None:
    tree = ast.parse(SAMPLE.read_text(encoding="utf-8"))
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert not attributes & {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}
