"""Statements. Each test has its own database and cache."""

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
def resources(tmp_path: Path) -> Iterator[Resources]:
    redis = EmbeddedRedis(tmp_path)
    redis.ensure()
    resources = Resources(f"sqlite:///{tmp_path / 'data.db'}", redis.url)
    create_missing(resources.data, [pack])
    yield resources
    resources.close()
    redis.stop()


def charge(resources: Resources, id_: str, customer: str, amount_minor: int, currency: str = "EUR") -> None:
    """Adds a charge at noon."""
    at = datetime(2026, 3, 8, 12, tzinfo=UTC)
    row = {"id": id_, "customer_id": customer, "amount_minor": amount_minor, "currency": currency, "charged_at": at}
    with resources.data.writing() as db:
        if not db.execute(select(customers.c.id).where(customers.c.id == customer)).first():
            db.execute(insert(customers).values(id=customer, name=customer))
        db.execute(insert(charges).values(**row))


def items(resources: Resources, population: Population) -> list[Any]:
    """The items of a population."""
    query = population(SCOPE)
    assert not isinstance(query, tuple)
    with resources.data.reading() as db:
        return sorted(db.execute(query).scalars())


def run(resources: Resources) -> BatchResult:
    """Runs the job in one batch, as a worker process does."""
    keys = items(resources, charged_customers)
    batch = Batch(1, 1, 1, daily_statements.name, WINDOW, WINDOW.end, keys, facts={}, timeout_seconds=60)
    return work(batch, daily_statements, resources, OPTIONS)


def stored(resources: Resources) -> list[Any]:
    """All stored statements."""
    c = statements.c
    with resources.data.reading() as db:
        return [tuple(row) for row in db.execute(select(c.customer_id, c.day, c.charges, c.amount_minor))]


def test_a_statement_has_the_number_and_sum_of_charges(resources: Resources) -> None:
    charge(resources, "1", "asha", 1250)
    charge(resources, "2", "asha", -250)

    result = run(resources)

    assert (result.ok, result.failed) == (1, [])
    assert stored(resources) == [("asha", DAY, 2, 1000)]


def test_a_second_run_changes_nothing(resources: Resources) -> None:
    charge(resources, "1", "asha", 1250)
    run(resources)
    once = stored(resources)

    run(resources)

    assert stored(resources) == once


def test_one_failed_customer_does_not_stop_the_others(resources: Resources) -> None:
    charge(resources, "1", "chen", 5000, "USD")
    charge(resources, "2", "ben", 700)

    result = run(resources)

    assert (result.ok, result.failed) == (1, ["chen"])
    assert stored(resources) == [("ben", DAY, 1, 700)]


def test_a_late_charge_makes_its_customer_stale(resources: Resources) -> None:
    charge(resources, "1", "asha", 1250)
    charge(resources, "2", "ben", 700)
    run(resources)
    assert items(resources, outdated_customers) == []

    charge(resources, "3", "ben", 100)

    assert items(resources, outdated_customers) == ["ben"]
