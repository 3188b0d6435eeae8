"""Databases behind a wire that leads to a hot standby for a while, and a standby that is promoted."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.run import RunState
from opsconsole.core.database import Database
from opsconsole.core.database_errors import ErrorKind, error_kind, reason
from tests.conftest import Installing
from tests.faults.conftest import Start
from tests.faults.servers import IMMEDIATE, Restartable, Standby
from tests.faults.sql_installation import NO_REDIS, ended, put_slow, token_of
from tests.installation import Installation, is_at_work
from tests.packs import counting
from tests.private_server import running
from tests.waiting import eventually
from tests.wire import Wire

DAY = "2025-01-19"


@pytest.fixture
def primary() -> Iterator[Restartable]:
    with running(Restartable()) as server:
        yield server


@pytest.fixture
def standby(primary: Restartable) -> Iterator[Standby]:
    """A hot standby of `primary`."""
    with Standby(primary) as made:
        yield made


@pytest.fixture
def wire(primary: Restartable) -> Iterator[Wire]:
    with Wire(primary.port) as made:
        yield made


def make(installing: Installing, store: str, data: str) -> Installation:
    environ = {
        "OPSCONSOLE_ENGINE__EXECUTOR": "inline",
        "OPSCONSOLE_ENGINE__LEASE_SECONDS": "2",
        "OPSCONSOLE_DATA__URL": data,
    }
    return installing(database_url=store, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ)


@pytest.mark.soak
def test_a_store_that_is_a_standby_for_a_while_is_led_again_without_a_restart(
    primary: Restartable, standby: Standby, wire: Wire, installing: Installing, tmp_path: object
) -> None:
    place = make(installing, wire.url(primary.new_database()), f"sqlite:///{tmp_path}/data.db")
    expected = put_slow(place, fast=10, slow=40)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch is under way")
        standby.catch_up()
        wire.port = standby.port
        wire.cut()
        eventually(lambda: "is a standby" in (engine.problem or ""), "it reports why it does not lead")
        problem, led = engine.problem, engine.is_leading
        wire.port = primary.port  # the connections to the standby stay open
        eventually(lambda: is_at_work(engine) and engine.problem is None, "it leads again")
        found = ended(place, number)

    assert problem == "the store is unreachable: the server is a standby and accepts no writes"
    assert not led
    assert (found.state, found.counts.ok, found.counts.planned) == (RunState.SUCCEEDED, 50, 50)
    assert set(counting.marks(place.data)) == expected


@pytest.mark.soak
def test_data_on_a_standby_for_a_while_fails_no_item(
    primary: Restartable, standby: Standby, wire: Wire, installing: Installing, tmp_path: object
) -> None:
    place = make(installing, f"sqlite:///{tmp_path}/store.db", wire.url(primary.new_database()))
    expected = put_slow(place, fast=10, slow=40)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: place.service.queries.run(number).counts.ok >= 10, "some are done")
        standby.catch_up()
        wire.port = standby.port
        wire.cut()
        later = place.begin("counting.names", DAY)  # its population is read from the standby
        time.sleep(3)
        wire.port = primary.port
        found, second = ended(place, number), ended(place, later)
        leads, token = engine.is_leading, token_of(place)

    assert (found.state, found.counts.ok, found.counts.planned) == (RunState.SUCCEEDED, 50, 50)
    assert second.state is RunState.SUCCEEDED
    assert set(counting.marks(place.data)) == expected
    assert (leads, token) == (True, 1)


def test_a_viewer_may_read_a_standby_and_a_leader_may_not(primary: Restartable, standby: Standby) -> None:
    url = primary.new_database()
    writer = Database(url)
    counting.metadata.create_all(writer.engine)
    standby.catch_up()
    viewer, leader = Database(standby.address(url)), Database(standby.address(url), primary_only=True)

    with viewer.reading() as db:
        rows = db.exec_driver_sql("SELECT count(*) FROM things").scalar_one()
    with pytest.raises(SQLAlchemyError) as refused, leader.reading():
        pass
    for database in (writer, viewer, leader):
        database.close()

    assert rows == 0
    assert error_kind(refused.value) is ErrorKind.UNREACHABLE
    assert reason(refused.value) == "the server is a standby and accepts no writes"


@pytest.mark.soak
def test_headless_that_must_not_wait_names_the_standby(
    primary: Restartable, standby: Standby, installing: Installing, start: Start
) -> None:
    url = primary.new_database()
    place = make(installing, url, url)
    with place.leading() as engine:  # so that the store has a leader, too
        eventually(lambda: is_at_work(engine), "it is leading")
        standby.catch_up()
        place.environ |= {"DATABASE_URL": standby.address(url), "OPSCONSOLE_DATA__URL": standby.address(url)}

        code = start(place, "headless", "--no-standby").wait()

    log = start.log.read_text()
    assert (code, "the server is a standby and accepts no writes" in log) == (1, True), log
    assert "another process is leading" not in log


@pytest.mark.soak
def test_of_two_hosts_the_one_that_accepts_writes_is_used(primary: Restartable, standby: Standby) -> None:
    url = primary.new_database()
    standby.catch_up()
    front, _, name = url.rpartition("/")
    account = front.rpartition("@")[0]
    hosts = f"host=127.0.0.1:{standby.port}&host=127.0.0.1:{primary.port}"
    database = Database(f"{account}@/{name}?{hosts}")

    with database.writing() as db:
        db.exec_driver_sql("CREATE TABLE proof (n int)")
    database.close()

    assert primary.ask("SELECT 1") == 1


@pytest.mark.soak
def test_a_store_that_changes_to_its_standby_and_back_loses_and_doubles_nothing(
    primary: Restartable, standby: Standby, wire: Wire, installing: Installing, tmp_path: object
) -> None:
    place = make(installing, wire.url(primary.new_database()), f"sqlite:///{tmp_path}/data.db")
    expected = put_slow(place, fast=10, slow=60)
    runs = []

    with place.leading() as engine:
        for day in range(1, 7):
            number = place.begin("counting.count", f"2025-01-{day:02}")
            runs.append(number)
            standby.catch_up()
            wire.port = standby.port
            wire.cut()
            time.sleep(25 if day == 1 else 2)
            wire.port = primary.port
            if day % 2:
                wire.cut()
            eventually(lambda: is_at_work(engine) and engine.problem is None, "it leads again")
        found = [ended(place, number) for number in runs]
        standby.catch_up()
        last = place.begin("counting.count", DAY)
        standby.catch_up()
        primary.halt(IMMEDIATE)
        standby.promote()
        wire.port = standby.port
        wire.cut()
        eventually(lambda: is_at_work(engine) and engine.problem is None, "it leads on the promoted server")
        found.append(ended(place, last))

    assert [(run.state, run.counts.ok) for run in found] == [(RunState.SUCCEEDED, 70)] * 7
    days = [*(f"2025-01-{day:02}" for day in range(1, 7)), DAY]
    assert set(counting.marks(place.data)) == {(day, item) for day in days for _, item in expected}
