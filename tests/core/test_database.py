"""Transactions, column types and kinds of database errors."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError, StatementError

from opsconsole.authoring.context import among
from opsconsole.core.column_types import Json, UtcTime, key_type
from opsconsole.core.database import Database
from opsconsole.core.database_errors import ErrorKind, error_kind, reason
from tests.waiting import finished

metadata = MetaData()
notes = Table(
    "notes",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("n", Integer, nullable=False),
    Column("at", UtcTime, nullable=True),
    Column("document", Json, nullable=True),
    Column("kind", String, nullable=True, unique=True),
)


@pytest.fixture
def data(empty_database_url: str) -> Iterator[Database]:
    made = Database(empty_database_url)
    metadata.create_all(made.engine)
    with made.writing() as db:
        db.execute(insert(notes).values(id="a", n=0))
    yield made
    made.close()


@pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
def test_two_processes_that_read_then_write_wait_for_each_other(data: Database, empty_database_url: str) -> None:
    others = [Database(empty_database_url), Database(empty_database_url)]
    wrong: list[Exception] = []

    def count_up(database: Database) -> None:
        try:
            for _ in range(40):
                with database.writing() as db:
                    n = db.execute(select(notes.c.n)).scalar_one()
                    db.execute(update(notes).values(n=n + 1))
        except SQLAlchemyError as error:
            wrong.append(error)

    threads = [threading.Thread(target=count_up, args=(database,)) for database in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        finished(thread)
    for database in others:
        database.close()

    assert wrong == []
    with data.reading() as db:
        assert db.execute(select(notes.c.n)).scalar_one() == 80


def test_a_reader_sees_one_snapshot_and_does_not_block_writers(data: Database) -> None:
    with data.reading() as db:
        before = db.execute(select(notes.c.n)).scalar_one()
        with data.writing() as writer:
            writer.execute(update(notes).values(n=5))
        again = db.execute(select(notes.c.n)).scalar_one()
    with data.reading() as db:
        after = db.execute(select(notes.c.n)).scalar_one()

    assert (before, again, after) == (0, 0, 5)


def test_a_database_for_viewers_refuses_every_write(data: Database, empty_database_url: str) -> None:
    viewed = Database(empty_database_url, read_only=True)
    try:
        for transaction in (viewed.writing, viewed.reading):
            with pytest.raises(SQLAlchemyError), transaction() as db:
                db.execute(update(notes).values(n=5))
        with viewed.reading() as db:
            assert db.execute(select(notes.c.n)).scalar_one() == 0
    finally:
        viewed.close()


def test_a_transaction_that_raises_is_rolled_back(data: Database) -> None:
    def fail_halfway() -> None:
        with data.writing() as db:
            db.execute(update(notes).values(n=5))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()

    with data.reading() as db:
        assert db.execute(select(notes.c.n)).scalar_one() == 0


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=9.5))])
def test_times_are_read_back_in_utc(data: Database, zone: timezone) -> None:
    at = datetime(2025, 1, 19, 0, 15, 0, 123456, tzinfo=zone)

    with data.writing() as db:
        db.execute(insert(notes).values(id="b", n=1, at=at))
    with data.reading() as db:
        found = db.execute(select(notes.c.at).where(notes.c.at == at)).scalar_one()

    assert (found, found.tzinfo) == (at, UTC)


@pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
def test_times_on_sqlite_have_the_usual_text_format(data: Database) -> None:
    with data.writing() as db:
        db.execute(insert(notes).values(id="b", n=1, at=datetime(2026, 1, 18, 18, 45, tzinfo=UTC)))
        found = db.execute(text("SELECT at FROM notes WHERE id = 'b'")).scalar_one()

    assert found == "2026-01-18 18:45:00.000000"


def test_a_time_without_zone_is_refused(data: Database) -> None:
    naive = datetime(2025, 1, 19, 12, 0)  # noqa: DTZ001

    with pytest.raises(StatementError, match="has no timezone; pass an aware time"), data.writing() as db:
        db.execute(insert(notes).values(id="b", n=1, at=naive))


def test_json_is_read_back_unchanged(data: Database) -> None:
    document = {"keys": ["आशा", 'a"b', "\u2028", ""], "n": 1.5, "none": None}

    with data.writing() as db:
        db.execute(insert(notes).values(id="b", n=1, document=document))
        db.execute(insert(notes).values(id="c", n=1, document=None))
    with data.reading() as db:
        assert db.execute(select(notes.c.document).order_by(notes.c.id)).scalars().all() == [None, document, None]


def test_keys_sort_by_code_point(data: Database) -> None:
    ids = ["a", "B", "a10", "a9", "é", "Z", "_"]

    with data.writing() as db:
        db.execute(notes.delete())
        db.execute(insert(notes), [{"id": id_, "n": 1} for id_ in ids])
        assert list(db.execute(select(notes.c.id).order_by(notes.c.id)).scalars()) == sorted(ids)


# --- kinds of errors ----------------------------------------------------------------------------------------------


def error_of(data: Database, *lines: str) -> SQLAlchemyError:
    try:
        with data.writing() as db:
            for line in lines:
                db.execute(text(line))
    except SQLAlchemyError as error:
        return error
    raise AssertionError("no error was raised")


def test_an_error_of_the_statement_is_not_retried(data: Database) -> None:
    for line in (
        "SELECT nonsense FROM nowhere",
        "INSERT INTO notes (id, n) VALUES ('a', 1)",
        "INSERT INTO notes (id) VALUES ('b')",
    ):
        assert error_kind(error_of(data, line)) is ErrorKind.STATEMENT


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_a_lock_timeout_is_transient(data: Database) -> None:
    with data.writing() as db:
        db.execute(update(notes).values(n=1))

        assert (
            error_kind(error_of(data, "SET LOCAL lock_timeout = '20ms'", "UPDATE notes SET n = 2"))
            is ErrorKind.TRANSIENT
        )


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_a_cut_connection_means_that_the_database_is_unreachable(data: Database) -> None:
    error = error_of(data, "SELECT pg_terminate_backend(pg_backend_pid())")

    assert error_kind(error) is ErrorKind.UNREACHABLE
    assert "SELECT" not in reason(error)
    with data.reading() as db:
        assert db.execute(select(notes.c.n)).scalar_one() == 0, "the next transaction gets a working connection"


def test_a_connection_in_use_is_closed_when_its_transaction_ends(data: Database) -> None:
    with data.reading() as db:
        raw: Any = db.connection.driver_connection
        data.close()
        assert db.execute(text("SELECT 1")).scalar() == 1

    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        raw.execute("SELECT 1")


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_a_wrong_password_is_not_in_the_reason(data: Database, empty_database_url: str) -> None:
    good = empty_database_url.split(":")[2].split("@")[0]
    wrong = Database(empty_database_url.replace(good, "swordfish"))

    error = error_of(wrong, "SELECT 1")

    assert error_kind(error) is ErrorKind.UNREACHABLE
    assert "swordfish" not in reason(error)
    wrong.close()


def test_a_missing_server_is_unreachable() -> None:
    data = Database("postgresql+psycopg://ops:swordfish@127.0.0.1:1/nowhere")

    error = error_of(data, "SELECT 1")

    assert error_kind(error) is ErrorKind.UNREACHABLE
    assert "swordfish" not in reason(error)
    assert reason(error).isprintable()


@pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
def test_a_full_disk_means_that_the_database_is_unreachable(data: Database) -> None:
    error = error_of(data, "PRAGMA max_page_count = 1", "CREATE TABLE more AS SELECT hex(randomblob(100000)) AS x")

    assert error_kind(error) is ErrorKind.UNREACHABLE
    assert reason(error) == "database or disk is full"


def test_a_missing_folder_is_unreachable(tmp_path: Path) -> None:
    data = Database(f"sqlite:///{tmp_path / 'nowhere' / 'data.db'}")

    assert error_kind(error_of(data, "SELECT 1")) is ErrorKind.UNREACHABLE


def test_other_errors_are_errors_of_the_statement() -> None:
    assert error_kind(ValueError("x")) is ErrorKind.STATEMENT
    assert reason(ValueError("two\nlines\x1b")) == "two"
    assert reason(ValueError()) == "ValueError"


def test_any_key_is_found_among_many(data: Database) -> None:
    keys = ["b", 'c"d', "e\\f", "g,h", "{i}", "", "NULL", " j ", "k\n\u0939"]
    with data.writing() as db:
        db.execute(insert(notes), [{"id": key, "n": 1} for key in keys])

    with data.reading() as db:
        for some in (keys, keys[:1], []):
            found = db.execute(select(notes.c.id).where(among(notes.c.id, some, sqlite=data.is_sqlite))).scalars()
            assert sorted(found) == sorted(some)
