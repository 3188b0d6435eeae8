"""The store and the data behind PgBouncer in transaction mode, with fewer sessions than the program has connections."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import date

import pytest
from sqlalchemy import text

from opsconsole.authoring.run import RunState
from opsconsole.core.database import Database
from opsconsole.core.urls import database_url
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.rules.backfill_status import BackfillState
from tests.conftest import Installing
from tests.faults.servers import NoPgBouncer, PgBouncer, Restartable
from tests.faults.sql_installation import ended, put_slow, token_of
from tests.installation import is_at_work
from tests.packs import counting
from tests.private_server import running
from tests.waiting import PATIENCE_SECONDS, eventually, finished

DAY = "2025-01-19"


@pytest.fixture(scope="module")
def bouncers() -> Iterator[tuple[Restartable, PgBouncer]]:
    with running(Restartable()) as server:
        bouncer = PgBouncer(server, pool=2)
        try:
            yield server, bouncer.start()
        except NoPgBouncer as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        finally:
            bouncer.stop()


@pytest.fixture
def bouncer(bouncers: tuple[Restartable, PgBouncer]) -> PgBouncer:
    return bouncers[1]


@pytest.fixture
def new_database(bouncers: tuple[Restartable, PgBouncer]) -> Callable[[], str]:
    """Creates databases that are reached through PgBouncer."""
    return lambda: bouncers[1].url(bouncers[0].new_database())


@pytest.mark.soak
def test_nothing_depends_on_the_session_of_a_transaction(new_database: Callable[[], str]) -> None:
    url = new_database()
    limited, unlimited = Database(url, statement_seconds=7.0), Database(url)
    counting.metadata.create_all(unlimited.engine)
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            with limited.writing() as db:
                db.execute(text("SET LOCAL TimeZone = 'Asia/Kolkata'"))

    others = [threading.Thread(target=disturb) for _ in range(3)]
    for thread in others:
        thread.start()
    found = set()
    for _ in range(200):
        with unlimited.writing() as db:
            query = "SELECT current_setting('TimeZone'), current_setting('statement_timeout'), now()::text LIKE '%+00'"
            found.add(tuple(db.execute(text(query)).one()))
    stop.set()
    for thread in others:
        finished(thread)
    for database in (limited, unlimited):
        database.close()

    assert found == {("UTC", "0", True)}


@pytest.mark.soak
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_runs_and_backfills_survive_a_pgbouncer_that_is_killed(
    executor: str, bouncer: PgBouncer, new_database: Callable[[], str], own_redis: EmbeddedRedis, installing: Installing
) -> None:
    environ = {
        "OPSCONSOLE_ENGINE__EXECUTOR": executor,
        "OPSCONSOLE_ENGINE__WORKERS": "3",
        "OPSCONSOLE_ENGINE__LEASE_SECONDS": "2",
        "OPSCONSOLE_DATA__URL": new_database(),
    }
    place = installing(
        database_url=new_database(), redis_url=own_redis.url, packs="tests.packs.counting", environ=environ
    )
    expected = put_slow(place, fast=10, slow=60)
    days = [f"2025-01-{day:02}" for day in range(1, 4)]

    with place.leading() as engine:
        plan = place.service.backfills.plan(("counting.count",), date(2025, 1, 1), date(2025, 1, 3))
        applied = place.service.backfills.apply(plan)
        assert place.service.commands.outcome(applied, PATIENCE_SECONDS) is not None
        number = place.begin("counting.count", DAY)
        eventually(lambda: place.service.queries.run(number).counts.ok >= 10, "some are done")
        bouncer.kill()
        eventually(lambda: not engine.is_leading, "it concedes")
        bouncer.start()
        eventually(lambda: is_at_work(engine) and engine.problem is None, "it leads again")
        found = ended(place, number)
        backfill = place.service.backfills.wait_for(plan, PATIENCE_SECONDS)
        token = token_of(place)

    assert (found.state, found.counts.ok, found.counts.planned) == (RunState.SUCCEEDED, 70, 70)
    assert backfill is not None
    assert backfill.state is BackfillState.DONE
    assert token >= 2
    assert set(counting.marks(place.data)) == {(day, item) for day in (*days, DAY) for _, item in expected}


@pytest.mark.soak
def test_a_schema_in_the_url_holds_in_transactions_that_share_sessions(new_database: Callable[[], str]) -> None:
    url = new_database()
    plain = Database(url)
    with plain.writing() as db:
        for schema in ("one", "two"):
            db.execute(text(f"CREATE SCHEMA {schema}"))
            db.execute(text(f"CREATE TABLE {schema}.things AS SELECT '{schema}' AS name"))
    places = {name: Database(database_url(f"{url}?schema={name}&pgbouncer=true")) for name in ("one", "two")}
    found = set()
    for _ in range(20):
        for name, database in places.items():
            with database.reading() as db:
                found.add((name, db.execute(text("SELECT name FROM things")).scalar()))
            with database.writing() as db:
                found.add((name, db.execute(text("UPDATE things SET name = name RETURNING name")).scalar()))
        with plain.reading() as db:
            found.add(("plain", db.execute(text("SELECT to_regclass('things')")).scalar()))
    for database in (plain, *places.values()):
        database.close()

    assert found == {("one", "one"), ("two", "two"), ("plain", None)}
