"""The packs' tables: created where they are missing, compared, and never altered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import inspect, text

from jobs.attempts import pack
from opsconsole.core.database import Database
from opsconsole.store.data_tables import create_missing, differences


@pytest.fixture
def data(empty_database_url: str) -> Iterator[Database]:
    made = Database(empty_database_url)
    yield made
    made.close()


def execute(data: Database, *lines: str) -> None:
    with data.writing() as db:
        for line in lines:
            db.execute(text(line))


def test_missing_tables_are_created_once(data: Database) -> None:
    assert pack.metadata is not None

    made = create_missing(data, [pack])

    assert {f"table {name} created" for name in (*pack.metadata.tables, "events")} == set(made)
    assert create_missing(data, [pack]) == []
    assert differences(data, [pack]) == []


def test_differences_name_what_is_missing_and_the_remedy(data: Database) -> None:
    create_missing(data, [pack])
    execute(data, "DROP TABLE topics", "DROP INDEX ix_attempts_user_id_solved_at")
    execute(data, "ALTER TABLE users DROP COLUMN grade")

    found = differences(data, [pack])

    assert sorted(found) == [
        "column users.grade is missing; add it, opsconsole does not alter tables",
        "index ix_attempts_user_id_solved_at is missing and queries may be slow; run `opsconsole migrate --data`",
        "table topics is missing; run `opsconsole migrate --data`",
    ]


def test_existing_tables_are_not_altered(data: Database) -> None:
    create_missing(data, [pack])
    execute(data, "DROP INDEX ix_attempts_user_id_solved_at", "ALTER TABLE users DROP COLUMN grade")
    execute(data, "ALTER TABLE users ADD COLUMN nickname TEXT")

    made = create_missing(data, [pack])

    assert made == ["index ix_attempts_user_id_solved_at created"]
    with data.reading() as db:
        columns = {column["name"] for column in inspect(db).get_columns("users")}
    assert "nickname" in columns
    assert "grade" not in columns


def test_no_index_is_created_on_a_missing_column(data: Database) -> None:
    execute(data, "CREATE TABLE attempts (id TEXT PRIMARY KEY, user_id TEXT)")

    made = create_missing(data, [pack])

    assert not any("attempts" in line and "question" not in line for line in made)


@pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "written", ["2025-01-19 06:30:00", "2025-01-19T06:30:00.000000", "2025-01-19 06:30:00.000000+00:00"]
)
def test_times_in_another_format_are_reported(data: Database, written: str) -> None:
    create_missing(data, [pack])
    execute(data, f"INSERT INTO users (id, name, active, created_at) VALUES ('asha', 'Asha', 1, '{written}')")  # noqa: S608

    (found,) = differences(data, [pack])

    assert found.startswith("column users.created_at has times that are not written as 2026-01-18 18:45:00.000000")
