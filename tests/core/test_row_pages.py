"""Reading many rows in pages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, case, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.core.database import Database
from opsconsole.sql import Json, UtcTime, row_pages

lessons = Table(
    "lessons",
    MetaData(),
    Column("name", String, primary_key=True),
    Column("at", UtcTime),
    Column("notes", Json),
    Column("minutes", Integer),
)
AT = datetime(2026, 3, 8, 12, 30, tzinfo=UTC)
ROWS = [(f"lesson {n:02}", AT if n % 2 else None, {"n": n}, n) for n in range(7)]


@pytest.fixture
def data(url: str) -> Database:
    database = Database(url)
    with database.writing() as db:
        lessons.create(db)
        db.execute(insert(lessons), [dict(zip(lessons.c.keys(), row, strict=True)) for row in ROWS])
    return database


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data.db'}"


def test_pages_have_the_values_of_their_column_types(data: Database) -> None:
    with data.reading() as db:
        pages = list(row_pages(db, select(lessons).order_by(lessons.c.name), 3))

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [row for page in pages for row in page] == ROWS


def test_a_query_without_rows_has_no_page(data: Database) -> None:
    with data.reading() as db:
        assert list(row_pages(db, select(lessons.c.name).where(lessons.c.minutes > 10), 3)) == []


def test_an_error_between_two_rows_is_one_of_the_database(data: Database) -> None:
    # SQLite parses the text of a row when that is read, not when the query starts.
    parsed = func.json(case((lessons.c.minutes < 6, "{}"), else_="no JSON"))

    with data.reading() as db, pytest.raises(SQLAlchemyError, match="malformed"):
        list(row_pages(db, select(parsed).order_by(lessons.c.name), 3))
