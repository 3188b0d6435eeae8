"""Rows 31 to 35: PostgreSQL servers that restart, refuse connections, deadlock, and end what takes too long."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.run import RunState
from opsconsole.core import breaker
from opsconsole.core.database import Database
from opsconsole.core.database_errors import ErrorKind, error_kind, reason
from opsconsole.core.errors import Exit
from tests.conftest import Installing
from tests.faults import contention_pack
from tests.faults.conftest import Start
from tests.faults.servers import FAST, IMMEDIATE, Restartable
from tests.faults.sql_installation import DAY, beat_of, ended, make, put_slow, token_of
from tests.installation import is_at_work
from tests.packs import counting
from tests.private_server import running
from tests.waiting import PATIENCE_SECONDS, eventually, finished

CONNECTIONS = 20


@pytest.fixture(scope="module")
def _own_postgres() -> Iterator[Restartable]:
    with running(Restartable(max_connections=str(CONNECTIONS))) as server:
        yield server


@pytest.fixture
def own_postgres(_own_postgres: Restartable) -> Iterator[Restartable]:
    """A PostgreSQL server of these tests' own, with room for few connections; it runs again after the test."""
    yield _own_postgres
    _own_postgres.revive()


@pytest.mark.parametrize("how", [FAST, IMMEDIATE], ids=["fast", "immediate"])
def test_row_31_a_restart_of_the_data_database_fails_no_item(
    how: signal.Signals, own_postgres: Restartable, installing: Installing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(breaker.WAIT_SECONDS, "data", 20.0)  # a third of the minute
    place = make(installing, None, own_postgres.new_database())
    expected = put_slow(place, fast=10, slow=20)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch is under way")
        own_postgres.halt(how)
        own_postgres.resume()
        found = ended(place, number)
        token, leads = token_of(place), engine.is_leading

    assert (found.state, found.counts.ok, found.counts.planned, found.error) == (RunState.SUCCEEDED, 30, 30, None)
    assert set(counting.marks(place.data)) == expected
    assert (found.attempt, token, leads) == (1, 1, True), "the store was there all the time"


@pytest.mark.soak
def test_row_31_a_data_database_that_recovers_late_fails_no_item(
    own_postgres: Restartable, installing: Installing, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = 40.0
    monkeypatch.setitem(breaker.WAIT_SECONDS, "data", wait)
    place = make(installing, None, own_postgres.new_database())
    put_slow(place, fast=10, slow=20)

    with place.leading():
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch is under way")
        own_postgres.halt(IMMEDIATE)
        time.sleep(wait * 0.55)
        own_postgres.resume()
        found = ended(place, number)

    assert (found.state, found.counts.ok) == (RunState.SUCCEEDED, 30)


@pytest.mark.parametrize("how", [FAST, IMMEDIATE], ids=["fast", "immediate"])
def test_row_31_a_restart_of_the_store_hands_the_run_on(
    how: signal.Signals, own_postgres: Restartable, installing: Installing, tmp_path: Path
) -> None:
    place = make(installing, own_postgres.new_database(), f"sqlite:///{tmp_path / 'data.db'}", lease_seconds=1.0)
    expected = put_slow(place, fast=10, slow=30)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch is under way")
        own_postgres.halt(how)
        eventually(lambda: engine.problem is not None, "the leader concedes")
        problem, led_without_a_store = engine.problem, engine.is_leading
        own_postgres.resume()
        eventually(lambda: is_at_work(engine), "it leads again")
        found = ended(place, number)
        token = token_of(place)

    assert problem is not None
    assert problem.startswith("the store is unreachable: ")
    assert not led_without_a_store
    assert (found.state, found.counts.ok, found.counts.planned) == (RunState.SUCCEEDED, 40, 40)
    assert min(found.attempt, token) >= 2  # a busy machine may lose so short a lease once more
    assert set(counting.marks(place.data)) == expected


def test_row_31_a_command_that_waits_for_its_run_survives_a_restart_of_the_store(
    own_postgres: Restartable, installing: Installing, start: Start, tmp_path: Path
) -> None:
    place = make(installing, own_postgres.new_database(), f"sqlite:///{tmp_path / 'data.db'}", lease_seconds=2.0)
    put_slow(place, fast=10, slow=30)
    counting.put(place.data, {"broken": "fails"})

    waiting = start(place, "run", "counting.count", "--date", DAY, "--wait", lease=2.0)
    eventually(lambda: len(counting.tried(place.data)) >= 2, "the second batch is under way")
    own_postgres.halt(FAST)
    eventually(lambda: "waiting until it responds" in start.log.read_text(), "it has noticed")
    own_postgres.resume()
    code = waiting.wait(PATIENCE_SECONDS)

    (run,) = place.service.queries.runs(limit=5)
    assert (run.state, run.counts.ok, run.counts.failed) == (RunState.PARTIAL, 40, 1)
    assert code == Exit.ITEMS_FAILED
    log = start.log.read_text()
    assert log.count("the store is unreachable") == 1
    assert "40 ok, 1 failed" in log


def test_row_32_idle_connections_that_are_cut_fail_no_run(own_postgres: Restartable, installing: Installing) -> None:
    store, data = own_postgres.new_database(), own_postgres.new_database()
    place = make(installing, store, data, lease_seconds=2.0)
    counting.put(place.data, {f"a{i}": "fine" for i in range(5)})
    problems: list[str | None] = []

    with place.leading() as engine:
        found = [place.run("counting.count", "2025-01-01")]
        cut = 0
        for day in range(2, 6):
            cut += own_postgres.cut(store) + own_postgres.cut(data)
            found.append(place.run("counting.count", f"2025-01-{day:02}"))
            problems.append(engine.problem)

    assert cut >= 8
    assert [(run.state, run.counts.ok) for run in found] == [(RunState.SUCCEEDED, 5)] * 5
    assert None in problems, "a connection that is cut while it is used is noticed"


def test_row_33_too_many_connections_are_waited_for_and_the_lease_is_renewed_all_the_while(
    own_postgres: Restartable, installing: Installing
) -> None:
    store, data = own_postgres.new_database(), own_postgres.new_database()
    place = make(installing, store, data, lease_seconds=2.0)
    counting.put(place.data, {f"a{i}": "fine" for i in range(15)})

    with place.leading() as engine:
        place.run("counting.count", "2025-01-01")
        with own_postgres.crowded(cutting=data) as others:
            with pytest.raises(SQLAlchemyError) as refused, place.data.reading():
                pass
            number = place.begin("counting.count", DAY)
            before = beat_of(place)
            eventually(lambda: beat_of(place) >= before + 8, "two leases' time has passed")
            led, meanwhile = engine.is_leading, place.service.queries.run(number)
        found = ended(place, number)
        token = token_of(place)

    assert others > 5
    assert "too many clients" in reason(refused.value)
    assert error_kind(refused.value) is ErrorKind.UNREACHABLE, (
        "it names no state, and is waited for like a server that is unreachable"
    )
    assert led
    assert (meanwhile.state, meanwhile.counts.planned) == (RunState.RUNNING, 0)
    assert (found.state, found.counts.ok, found.attempt) == (RunState.SUCCEEDED, 15, 1)
    assert (token, engine.problem) == (1, None)


def test_row_34_a_deadlock_is_tried_again_as_a_whole(own_postgres: Restartable, installing: Installing) -> None:
    place = make(installing, None, own_postgres.new_database(), packs="tests.faults.contention_pack")
    counting.put(place.data, {"a": "fine", "b": "fine"}, score=0)
    contention_pack.reset()
    other = threading.Thread(target=_add_in_the_other_order, args=(place.data,))
    other.start()

    found = place.run("contention.scores", DAY)
    finished(other)

    assert (found.state, found.counts.ok) == (RunState.SUCCEEDED, 2)
    with place.data.reading() as db:
        scores = db.execute(select(counting.things.c.score)).scalars().all()
    assert scores == [11, 11], "each item took effect once"
    with place.store.reading() as db:
        closed = db.execute(text("SELECT cause FROM ops_batches ORDER BY seq")).scalars().all()
    assert closed == ["deadlock detected", None]


def _add_in_the_other_order(data: Database) -> None:
    with data.writing() as db:
        db.execute(text("SET LOCAL deadlock_timeout = '20s'"))  # the other one finds it, and is the victim
        db.execute(
            update(counting.things).where(counting.things.c.id == "b").values(score=counting.things.c.score + 10)
        )
        contention_pack.MEETING.wait(PATIENCE_SECONDS)
        db.execute(
            update(counting.things).where(counting.things.c.id == "a").values(score=counting.things.c.score + 10)
        )


def test_row_35_a_transaction_that_stood_idle_too_long_is_tried_again(
    own_postgres: Restartable, installing: Installing
) -> None:
    place = make(installing, None, own_postgres.new_database(), packs="tests.faults.contention_pack")
    counting.put(place.data, {"a": "fine", "b": "fine"}, score=0)
    contention_pack.reset()

    found = place.run("contention.idle", DAY)

    assert (found.state, found.counts.ok) == (RunState.SUCCEEDED, 2)
    with place.data.reading() as db:
        assert db.execute(select(counting.things.c.score)).scalars().all() == [1, 1]


def test_row_35_a_statement_that_takes_too_long_is_tried_with_fewer_items(
    own_postgres: Restartable, installing: Installing
) -> None:
    place = make(installing, None, own_postgres.new_database(), packs="tests.faults.contention_pack")
    counting.put(place.data, dict.fromkeys("abcdefgh", "fine"), score=0)

    found = place.run("contention.long", DAY)

    assert (found.state, found.counts.ok, found.counts.failed) == (RunState.SUCCEEDED, 8, 0)
    with place.data.reading() as db:
        assert db.execute(select(counting.things.c.score)).scalars().all() == [1] * 8


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (("SET LOCAL statement_timeout = '20ms'", "SELECT pg_sleep(1)"), ErrorKind.STATEMENT),
        (("SET TRANSACTION READ ONLY", "UPDATE things SET score = 1"), ErrorKind.UNREACHABLE),
        (("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$",), ErrorKind.TRANSIENT),
        (("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$",), ErrorKind.TRANSIENT),
        (("DO $$ BEGIN RAISE SQLSTATE '53300'; END $$",), ErrorKind.TRANSIENT),
        (("DO $$ BEGIN RAISE SQLSTATE '57P01'; END $$",), ErrorKind.UNREACHABLE),
        (("DO $$ BEGIN RAISE SQLSTATE '57P03'; END $$",), ErrorKind.UNREACHABLE),
        (("DO $$ BEGIN RAISE SQLSTATE '08006'; END $$",), ErrorKind.UNREACHABLE),
    ],
)
def test_row_35_the_sql_state_of_an_error_decides_what_it_means(
    lines: tuple[str, ...], what: ErrorKind, own_postgres: Restartable
) -> None:
    data = Database(own_postgres.new_database())
    counting.metadata.create_all(data.engine)

    with pytest.raises(SQLAlchemyError) as raised:
        _execute(data, *lines)
    data.close()

    assert error_kind(raised.value) is what


def _execute(data: Database, *lines: str) -> None:
    with data.writing() as db:
        for line in lines:
            db.execute(text(line))


def test_row_35_no_job_asks_redis_inside_a_write_transaction(installing: Installing) -> None:
    place = make(installing, None, packs="tests.faults.contention_pack")
    counting.put(place.data, {"a": "fine", "b": "fine"}, score=0)

    found = place.run("contention.lock", DAY)

    assert found.state is RunState.FAILED
    assert found.kinds == {"runtime_error": 2}
    with place.data.reading() as db:
        assert db.execute(select(counting.things.c.score)).scalars().all() == [0, 0], "nothing of it is written"
