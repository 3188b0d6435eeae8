"""Rows 31 to 39: databases that restart, refuse, deadlock, fill up, are locked, broken, or half migrated."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import event, inspect, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import Pool

from opsconsole.authoring.run import Run, RunState
from opsconsole.core import breaker
from opsconsole.core.database import Database
from opsconsole.core.database_errors import ErrorKind, error_kind, reason
from opsconsole.core.errors import Exit
from opsconsole.store import Store, lease, migrate
from opsconsole.store.tables import lease as lease_table
from tests.conftest import Installing
from tests.faults import contention_pack
from tests.faults.conftest import Start
from tests.faults.fork_server import ForkServer
from tests.faults.servers import FAST, IMMEDIATE, Restartable
from tests.installation import Installation, is_at_work
from tests.packs import counting
from tests.private_server import running
from tests.soak import others_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually, finished

DAY = "2025-01-19"
NO_REDIS = "unix:///nowhere/redis.sock"
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


def make(
    installing: Installing,
    store: str | None,
    data: str | None = None,
    *,
    lease_seconds: float = 10.0,
    packs: str = "tests.packs.counting",
) -> Installation:
    environ = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline", "OPSCONSOLE_ENGINE__LEASE_SECONDS": str(lease_seconds)}
    if data is not None:
        environ["OPSCONSOLE_DATA__URL"] = data
    return installing(database_url=store, redis_url=NO_REDIS, packs=packs, environ=environ)


def ended(place: Installation, number: int) -> Run:
    found = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
    assert found is not None, place.service.queries.run(number)
    return found


def token_of(place: Installation) -> int:
    with place.store.reading() as db:
        held = lease.read(db)
    assert held is not None
    return held.token


def beat_of(place: Installation) -> int:
    with place.store.reading() as db:
        return int(db.execute(select(lease_table.c.beat)).scalar_one())


def put_slow(place: Installation, *, fast: int, slow: int) -> set[tuple[str, str]]:
    """Things of which the first ones are done at once, and the others take 50 ms each; the marks to expect."""
    counting.put(place.data, {f"a{i:02}": "fine" for i in range(fast)})
    counting.put(place.data, {f"b{i:02}": "dawdles" for i in range(slow)}, score=50)
    return {(DAY, f"a{i:02}") for i in range(fast)} | {(DAY, f"b{i:02}") for i in range(slow)}


# --- PostgreSQL ---------------------------------------------------------------------------------------------------


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
    assert scores == [11, 11], "each effect is there once"
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


# --- SQLite -------------------------------------------------------------------------------------------------------


class Full:
    """Makes every connection to a SQLite file find its disk full, while `now` is set."""

    def __init__(self, url: str) -> None:
        self._file = str(Path(str(make_url(url).database)).resolve())
        self.now = False

    def checkout(self, connection: sqlite3.Connection, record: object, proxy: object) -> None:
        """A connection is taken from the pool."""
        (_, _, file) = connection.execute("PRAGMA database_list").fetchone()
        if file == self._file:
            # Never less than the file has already, which is what one page means: as large as it is, and no larger.
            connection.execute(f"PRAGMA max_page_count = {1 if self.now else 1_000_000}")


@contextmanager
def filling(url: str) -> Iterator[Full]:
    full = Full(url)
    event.listen(Pool, "checkout", full.checkout)
    try:
        yield full
    finally:
        event.remove(Pool, "checkout", full.checkout)


def test_row_36_a_data_database_without_room_fails_the_run_with_that_cause(
    installing: Installing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(breaker.WAIT_SECONDS, "data", 1.0)  # it is waited for a minute
    place = make(installing, None)
    counting.put(place.data, {f"a{i:04}": "fine" for i in range(3000)})
    with filling(place.settings.data_url.reveal()) as full, place.leading() as engine:
        place.run("counting.names", DAY)
        full.now = True
        number = place.begin("counting.gross", DAY)
        found = ended(place, number)
        leads, problem = engine.is_leading, engine.problem
        full.now = False
        retried = place.retry(number)

    assert found.state in (RunState.PARTIAL, RunState.FAILED)
    assert found.error == "the data database is unreachable: database or disk is full"
    assert found.counts.planned == 3000
    assert found.counts.ok + found.counts.failed == 3000
    assert found.kinds == {"data_unreachable": found.counts.failed}
    assert (leads, problem) == (True, None)
    assert (retried.state, retried.counts.ok) == (RunState.SUCCEEDED, found.counts.failed)
    assert len(counting.marks(place.data, "counting.gross")) == 3000


@pytest.mark.parametrize("tries", [2, pytest.param(6, marks=pytest.mark.soak)])
def test_row_36_a_run_waits_while_the_store_is_full_and_continues(tries: int, installing: Installing) -> None:
    place = make(installing, None, lease_seconds=1.0)
    counting.put(place.data, {f"a{i:05}": "fine" for i in range(3000)})
    with filling(place.settings.store_url.reveal()) as full, place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: place.service.queries.run(number).counts.ok >= 50, "some are done")
        full.now = True
        eventually(lambda: engine.problem is not None, "the leader concedes")
        problem = engine.problem
        conceded = token_of(place)
        eventually(lambda: token_of(place) >= conceded + tries, "it has tried again and again")
        meanwhile = place.service.queries.run(number)
        full.now = False
        found = ended(place, number)

    assert problem == "the store is unreachable: database or disk is full"
    assert meanwhile.state in (RunState.RUNNING, RunState.INTERRUPTED)
    assert (found.state, found.counts.ok, found.counts.planned) == (RunState.SUCCEEDED, 3000, 3000)
    assert found.attempt > 1
    assert len(counting.marks(place.data)) == 3000


def test_row_37_a_lock_held_longer_than_the_lease_ends_the_leadership_until_it_is_released(
    installing: Installing,
) -> None:
    place = make(installing, None, lease_seconds=1.0)
    expected = put_slow(place, fast=10, slow=40)
    file = str(make_url(place.settings.store_url.reveal()).database)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: place.service.queries.run(number).counts.ok >= 10, "some are done")
        foreign = sqlite3.connect(file, isolation_level=None)
        foreign.execute("BEGIN EXCLUSIVE")
        eventually(lambda: not engine.is_leading, "the leader concedes")
        time.sleep(1.0)  # two leases' time has passed
        readable = place.service.queries.run(number).state
        foreign.execute("ROLLBACK")
        foreign.close()
        eventually(lambda: is_at_work(engine) and engine.problem is None, "it leads again")
        found = ended(place, number)

    assert readable is RunState.RUNNING, "readers do not wait"
    assert (found.state, found.counts.ok, found.counts.planned) == (RunState.SUCCEEDED, 50, 50)
    assert set(counting.marks(place.data)) == expected


class Typed(Protocol):
    """Types a command into a process of its own."""

    def __call__(self, environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def typed(fork_server: ForkServer, tmp_path: Path) -> Typed:
    def type_one(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        return fork_server.run(words, os.environ | environ, folder=tmp_path)

    return type_one


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def quiet_copy(folder: Path) -> Path:
    """A store at the newest version, in one file, that no connection has open."""
    store = Store(f"sqlite:///{folder / 'store.db'}")
    migrate.upgrade(store)
    store.close()
    with sqlite3.connect(folder / "store.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return folder / "store.db"


def broken(file: Path, page: int) -> Path:
    """The file with rubbish for one of its pages, numbered from 1."""
    content = bytearray(file.read_bytes())
    content[4096 * (page - 1) : 4096 * page] = b"\x13" * 4096
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("page", [1, 2])
@pytest.mark.parametrize("words", [("runs",), ("headless",), ("run", "counting.count", "--wait")])
def test_row_38_a_broken_store_is_refused_and_left_as_it_is(
    words: tuple[str, ...], page: int, tmp_path: Path, typed: Typed
) -> None:
    file = broken(quiet_copy(tmp_path), page)
    before = digest(file)
    environ = {
        "DATABASE_URL": f"sqlite:///{file}",
        "REDIS_URL": NO_REDIS,
        "OPSCONSOLE_JOBS__PACKS": "tests.packs.counting",
    }

    result = typed(environ, *words)

    assert result.returncode == Exit.CONFIGURATION, result.stderr
    assert "Traceback" not in result.stderr
    assert str(file) in result.stderr
    assert "it was not changed, restore it from a backup" in result.stderr
    assert digest(file) == before


@pytest.mark.parametrize("page", [1, 2])
def test_row_38_a_broken_store_is_not_migrated(page: int, tmp_path: Path, typed: Typed) -> None:
    file = broken(quiet_copy(tmp_path), page)
    before = digest(file)

    result = typed({"DATABASE_URL": f"sqlite:///{file}", "REDIS_URL": NO_REDIS}, "migrate")

    assert result.returncode not in (Exit.DONE, None)
    assert result.stderr.startswith("opsconsole: store ")
    assert digest(file) == before


def test_row_38_a_page_that_is_only_read_later_is_found_before_anything_is_scheduled(
    tmp_path: Path, typed: Typed
) -> None:
    file = quiet_copy(tmp_path)
    with sqlite3.connect(file) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ops_jobs'").fetchone()
    db.close()
    broken(file, page)
    environ = {"DATABASE_URL": f"sqlite:///{file}", "REDIS_URL": NO_REDIS}

    assert typed(environ, "headless").returncode == Exit.CONFIGURATION


def test_row_38_a_store_that_cannot_be_written_is_named_and_left_as_it_is(
    installing: Installing, tmp_path: Path
) -> None:
    file = quiet_copy(tmp_path)
    before = digest(file)
    place = make(installing, None)
    place.store.close()
    place.store = Store(f"sqlite:///file:{file}?mode=ro&uri=true")

    with place.leading() as engine:
        eventually(lambda: engine.problem is not None, "it reports why it does not lead")
        problem, leads = engine.problem, engine.is_leading

    assert problem == "the store is unreachable: attempt to write a readonly database"
    assert not leads
    assert digest(file) == before


SIGNALLED = """
import os, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine

number, left = int(sys.argv[1]), [int(sys.argv[2])]
sys.argv[:] = ["opsconsole", *sys.argv[3:]]

@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, statement, *rest):
    if statement.lstrip().startswith(("CREATE", "ALTER", "INSERT", "UPDATE", "DROP")):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), number)

from opsconsole.__main__ import main
main()
"""
"""Runs `opsconsole argv[3:]`, which gets the signal argv[1] before the argv[2]-th statement that changes something."""


@pytest.mark.parametrize(
    ("number", "code"), others_in_soak((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129))
)
def test_row_39_a_signal_during_a_migration_leaves_nothing_half_done(
    number: signal.Signals, code: int, empty_database_url: str, typed: Typed
) -> None:
    environ = {"DATABASE_URL": empty_database_url, "REDIS_URL": NO_REDIS, "OPSCONSOLE_JOBS__PACKS": "jobs.game"}

    def migrated(before: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", SIGNALLED, str(number.value), str(before), "migrate", "--data"]
        return subprocess.run(
            command, env=os.environ | environ, check=False, timeout=PATIENCE_SECONDS, capture_output=True, text=True
        )

    def tables() -> set[str]:
        database = Database(empty_database_url)
        with database.reading() as db:
            found = set(inspect(db).get_table_names())
        database.close()
        return found

    of_store = migrated(15)
    after_store = tables()
    assert typed(environ, "migrate").returncode == Exit.DONE
    complete = tables()
    of_data = migrated(3)
    after_data = tables()
    again = typed(environ, "migrate", "--data")

    assert (of_store.returncode, after_store) == (code, set()), of_store.stderr
    assert (of_data.returncode, after_data) == (code, complete), of_data.stderr
    assert "Traceback" not in of_store.stderr + of_data.stderr
    assert again.returncode == Exit.DONE
    assert {"lives", "events"} <= tables()


KILLED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from opsconsole.store import Store, migrate

store, left = Store(sys.argv[1]), [int(sys.argv[2])]

@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, statement, *rest):
    if statement.lstrip().startswith(("CREATE", "ALTER", "INSERT", "UPDATE", "DROP")):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

migrate.upgrade(store)
"""
"""Migrates the store argv[1], and is killed before the argv[2]-th statement that changes it."""


@pytest.mark.parametrize(
    "statement", [pytest.param(2, marks=pytest.mark.soak), 15, pytest.param(25, marks=pytest.mark.soak)]
)
def test_row_39_a_migration_that_is_killed_leaves_nothing_and_is_completed_by_the_next(
    statement: int, empty_database_url: str, typed: Typed
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, empty_database_url, str(statement)], check=False, timeout=PATIENCE_SECONDS
    )
    store = Store(empty_database_url)
    between = migrate.version(store)
    store.close()

    result = typed({"DATABASE_URL": empty_database_url, "REDIS_URL": NO_REDIS}, "migrate")
    store = Store(empty_database_url)
    after = migrate.version(store)
    migrate.require(store)
    store.close()

    assert killed.returncode == -signal.SIGKILL
    assert between is None, "not one table is there"
    assert result.returncode == Exit.DONE, result.stderr
    assert after == migrate.NEWEST


def test_row_39_a_newer_store_is_refused_by_every_command(tmp_path: Path, typed: Typed) -> None:
    file = quiet_copy(tmp_path)
    with sqlite3.connect(file) as db:
        db.execute(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'")  # noqa: S608 - a constant
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    before = digest(file)

    for words in (("runs",), ("headless",), ("migrate",)):
        result = typed({"DATABASE_URL": f"sqlite:///{file}", "REDIS_URL": NO_REDIS}, *words)
        assert result.returncode == Exit.CONFIGURATION
        assert "install a newer opsconsole" in result.stderr
    assert digest(file) == before
