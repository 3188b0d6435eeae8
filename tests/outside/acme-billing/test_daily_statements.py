"""Statements, on a database and a cache that each test has for itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select

from acme.billing import pack
from acme.billing.daily_statements import charged_customers, daily_statements, outdated_customers
from acme.billing.tables import charges, customers, statements
from opsconsole import Scope
from opsconsole.authoring.batch import Batch, BatchResult
from opsconsole.authoring.context import Resources
from opsconsole.authoring.job import Population
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.store.data_tables import create_missing
from opsconsole.worker.work import work

DAY = "2026-03-08"
OPTIONS = {"currency": "EUR"}
WINDOW = daily_statements.covers.named(date.fromisoformat(DAY), ZoneInfo(daily_statements.tz))
SCOPE = Scope(WINDOW, WINDOW.end, {}, OPTIONS)


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Resources]:
    redis = EmbeddedRedis(tmp_path)
    redis.ensure()
    tools = Resources(f"sqlite:///{tmp_path / 'data.db'}", redis.url)
    create_missing(tools.data, [pack])
    yield tools
    tools.close()
    redis.stop()


def charge(tools: Resources, id_: str, customer: str, amount_minor: int, currency: str = "EUR") -> None:
    """A customer's charge at noon."""
    at = datetime(2026, 3, 8, 12, tzinfo=UTC)
    row = {"id": id_, "customer_id": customer, "amount_minor": amount_minor, "currency": currency, "charged_at": at}
    with tools.data.writing() as db:
        if not db.execute(select(customers.c.id).where(customers.c.id == customer)).first():
            db.execute(insert(customers).values(id=customer, name=customer))
        db.execute(insert(charges).values(**row))


def found(tools: Resources, population: Population) -> list[Any]:
    """The keys that a population gives."""
    query = population(SCOPE)
    assert not isinstance(query, tuple)
    with tools.data.reading() as db:
        return sorted(db.execute(query).scalars())


def run(tools: Resources) -> BatchResult:
    """Works on everyone in one batch, as a worker process does."""
    keys = found(tools, charged_customers)
    batch = Batch(1, 1, 1, daily_statements.name, WINDOW, WINDOW.end, keys, facts={}, timeout_seconds=60)
    return work(batch, daily_statements, tools, OPTIONS)


def written(tools: Resources) -> list[Any]:
    """All statements."""
    c = statements.c
    with tools.data.reading() as db:
        return [tuple(row) for row in db.execute(select(c.customer_id, c.day, c.charges, c.amount_minor))]


def test_asha_is_told_what_her_day_came_to(tools: Resources) -> None:
    charge(tools, "1", "asha", 1250)
    charge(tools, "2", "asha", -250)

    result = run(tools)

    assert (result.ok, result.failed) == (1, [])
    assert written(tools) == [("asha", DAY, 2, 1000)]


def test_doing_it_twice_changes_nothing(tools: Resources) -> None:
    charge(tools, "1", "asha", 1250)
    run(tools)
    once = written(tools)

    run(tools)

    assert written(tools) == once


def test_chens_dollars_do_not_keep_ben_from_his_statement(tools: Resources) -> None:
    charge(tools, "1", "chen", 5000, "USD")
    charge(tools, "2", "ben", 700)

    result = run(tools)

    assert (result.ok, result.failed) == (1, ["chen"])
    assert written(tools) == [("ben", DAY, 1, 700)]


def test_a_charge_that_comes_late_is_noticed(tools: Resources) -> None:
    charge(tools, "1", "asha", 1250)
    charge(tools, "2", "ben", 700)
    run(tools)
    assert found(tools, outdated_customers) == []

    charge(tools, "3", "ben", 100)

    assert found(tools, outdated_customers) == ["ben"]
