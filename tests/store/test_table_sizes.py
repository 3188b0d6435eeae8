"""The sizes of tables, dead rows, and the use of indexes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from opsconsole.core.database import Database
from opsconsole.store.table_sizes import IndexSize, TableSize, table_sizes
from tests.waiting import eventually

NAMES = ("shelves", "books", "lost")


def opened(url: str) -> Iterator[Database]:
    made = Database(url)
    with made.writing() as db:
        db.execute(text("CREATE TABLE shelves (id integer PRIMARY KEY, name text)"))
        db.execute(text("CREATE INDEX ix_shelves_name ON shelves (name)"))
        db.execute(text("CREATE TABLE books (id integer PRIMARY KEY, title text UNIQUE)"))
        db.execute(text("CREATE TABLE others (id integer)"))
    yield made
    made.close()


@pytest.fixture
def data(database_url: str) -> Iterator[Database]:
    yield from opened(database_url)


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    yield from opened(postgres_url)


def test_tables_are_listed_with_their_sizes_the_largest_first(data: Database) -> None:
    with data.writing() as db:
        rows = [{"id": n, "title": f"{n} " * 200} for n in range(500)]
        db.execute(text("INSERT INTO books VALUES (:id, :title)"), rows)
        db.execute(text("INSERT INTO shelves VALUES (1, 'top')"))
    _analyze(data)

    books, shelves = table_sizes(data, NAMES)

    assert (books.name, books.rows, shelves.name, shelves.rows) == ("books", 500, "shelves", 1)
    assert books.bytes is not None
    assert shelves.bytes is not None
    assert books.bytes > 100_000 > shelves.bytes > 0
    names = {index.name: index for index in (*books.indexes, *shelves.indexes)}
    assert names["ix_shelves_name"].unique is False
    assert all(index.bytes for index in names.values())
    assert any(index.unique for index in books.indexes)
    assert not any(index.is_unused for index in books.indexes), "it keeps titles unique"
    assert names["ix_shelves_name"].is_unused is not data.is_sqlite, "SQLite does not count"


def test_dead_rows_and_scans_are_those_of_postgresql(postgres: Database) -> None:
    with postgres.writing() as db:
        db.execute(text("ALTER TABLE shelves SET (autovacuum_enabled = false)"))
        db.execute(text("INSERT INTO shelves SELECT n, 'n' || n FROM generate_series(1, 300) n"))
        db.execute(text("SET LOCAL enable_seqscan = off"))
        db.execute(text("DELETE FROM shelves WHERE name < 'n2'"))

    def shelves() -> TableSize:
        return next(each for each in table_sizes(postgres, NAMES) if each.name == "shelves")

    eventually(lambda: bool(shelves().dead_rows), "the server has counted")
    found = shelves()
    assert found.dead_share is not None
    assert 0 < found.dead_share < 1
    assert not any(index.is_unused for index in found.indexes if index.name == "ix_shelves_name")


def test_shares_without_rows_are_unknown() -> None:
    index = IndexSize("ix", 1, 0, unique=False)

    assert TableSize("a", 0, None, 0, (index,)).dead_share is None
    assert TableSize("a", 3, None, None, (index,)).dead_share is None
    assert TableSize("a", 3, None, 1, (index,)).dead_share == 0.25
    assert index.is_unused


def _analyze(data: Database) -> None:
    """Brings the server's estimates up to date."""
    if not data.is_sqlite:
        with data.engine.connect() as db:
            db.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
        eventually(lambda: sum(each.rows for each in table_sizes(data, NAMES)) == 501, "the server has counted")
