"""Rows 36 to 39: databases that fill up, are locked or broken, or half migrated."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.pool import Pool

from opsconsole.authoring.run import RunState
from opsconsole.core import breaker
from opsconsole.core.database import Database
from opsconsole.core.errors import Exit
from opsconsole.store import Store, migrate
from tests.conftest import Installing
from tests.faults.fork_server import ForkServer
from tests.faults.sql_installation import DAY, NO_REDIS, ended, make, put_slow, token_of
from tests.installation import is_at_work
from tests.packs import counting
from tests.soak import others_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually


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
    assert between is None, "no table has been created"
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
