"""Rows that are written with one statement are what rows are that are written one by one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from opsconsole.authoring.batch import Lost
from opsconsole.core.database import Connection
from opsconsole.store import Store, migrate
from opsconsole.store.many_rows import ManyRows, insert_all, insert_numbered, parameter
from opsconsole.store.tables import jobs, pauses
from tests.services import PrivatePostgres

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)
TEXTS = ["plain", "Größe €", 'quoted "\\u0000" \\', "NUL \0", "lone \ud800", "", Lost.WORKER_DIED]
_AT = parameter("at", jobs.c.planned_until)
ADVANCE = ManyRows(
    update(jobs)
    .where(jobs.c.job == parameter("name", jobs.c.job), jobs.c.registered_at <= _AT)
    .values(planned_until=_AT, tz=parameter("zone", jobs.c.tz))
)


@pytest.fixture(params=["UTF8", "LATIN1"])
def db(request: pytest.FixtureRequest, postgres_server: PrivatePostgres) -> Iterator[Connection]:
    store = Store(postgres_server.new_database(encoding=request.param))
    migrate.upgrade(store)
    with store.writing() as opened:
        yield opened
    store.close()


def rows(texts: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "job": f"a.{n}",
            "spec": text,
            "cron": text if n % 2 else None,
            "tz": "UTC",
            "registered_at": NOON + n * timedelta(microseconds=1),
            "planned_until": NOON - n * timedelta(days=400),
        }
        for n, text in enumerate(texts)
    ]


def stored(db: Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in db.execute(select(jobs).order_by(jobs.c.job))]


def test_rows_that_are_inserted_together_have_the_values_of_single_ones(db: Connection) -> None:
    for row in rows(TEXTS):
        insert_all(db, jobs, [row])
    alone = stored(db)
    db.execute(jobs.delete())

    insert_all(db, jobs, rows(TEXTS))

    assert stored(db) == alone
    assert len(alone) == len(TEXTS)


def test_updates_that_are_made_together_have_the_values_of_single_ones(db: Connection) -> None:
    insert_all(db, jobs, rows(TEXTS))
    changes = [{"name": f"a.{n}", "at": NOON + n * timedelta(1), "zone": text} for n, text in enumerate(TEXTS)]
    for change in changes:
        ADVANCE.execute(db, [change])
    alone = stored(db)
    db.execute(update(jobs).values(planned_until=NOON, tz="UTC"))

    ADVANCE.execute(db, changes)

    assert stored(db) == alone


def test_inserted_rows_are_numbered_in_their_order(db: Connection) -> None:
    rows = [{"target": f"job {n}", "since": NOON, "who": "asha", "note": ""} for n in range(300)]

    numbers = insert_numbered(db, pauses, rows)

    targets = {row.id: row.target for row in db.execute(select(pauses.c.id, pauses.c.target))}
    assert [targets[number] for number in numbers] == [row["target"] for row in rows]


def test_a_time_without_a_timezone_is_refused(db: Connection) -> None:
    late, early = rows(["late", "early"])

    with pytest.raises(ValueError, match="pass an aware time"):
        insert_all(db, jobs, [late, early | {"planned_until": datetime(2025, 1, 19)}])  # noqa: DTZ001 - the subject
