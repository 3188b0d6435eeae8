"""Jobs on SQLite files that other programs wrote, with the values that Prisma puts into the same columns."""

from __future__ import annotations

import pytest
from sqlalchemy import Date, text

from jobs import attempts
from jobs.common import metadata
from opsconsole.core.column_types import UtcTime
from opsconsole.core.database import Database
from opsconsole.store import data_tables
from tests import templates
from tests.conftest import Installing
from tests.jobs.test_foreign_schemas import installed, rows, run_all

FORMS: dict[str, dict[type, str]] = {
    "text": {UtcTime: "strftime('%Y-%m-%dT%H:%M:%fZ', {0})", Date: "strftime('%Y-%m-%dT%H:%M:%fZ', {0})"},
    "milliseconds": {
        UtcTime: "CAST(round((julianday({0}) - 2440587.5) * 86400000) AS INTEGER)",
        Date: "CAST(strftime('%s', {0}) AS INTEGER) * 1000",
    },
    "offset": {UtcTime: "strftime('%Y-%m-%d %H:%M:%f', {0}) || '+00:00'"},
}

TRIED_FORMS = ["text", *(pytest.param(form, marks=pytest.mark.soak) for form in FORMS if form != "text")]


def rewrite(data: Database, form: str) -> None:
    """Rewrites the values of all tables."""
    with data.writing() as db:
        for table in metadata.sorted_tables:
            for column in table.columns:
                value = next((each for kind, each in FORMS[form].items() if isinstance(column.type, kind)), None)
                if value is not None:
                    db.execute(text(f"UPDATE {table.name} SET {column.name} = {value.format(column.name)}"))  # noqa: S608
        db.execute(text("UPDATE users SET active = CASE active WHEN 1 THEN 'true' ELSE 'false' END"))


@pytest.mark.parametrize("form", TRIED_FORMS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_job_gives_the_same_rows_after_the_statements_of_check_were_run(
    installing: Installing, database_url: str, redis_url: str, form: str
) -> None:
    usual = installed(installing, database_url, redis_url)
    other_url = templates.copy_sqlite(usual.settings.folder / "theirs.db")
    other = installed(installing, other_url, redis_url)
    expected, expected_rows = run_all(usual), rows(usual.data)
    rewrite(other.data, form)

    found = data_tables.differences(other.data, other.catalog.packs)
    with other.data.writing() as db:
        for difference in found:
            db.exec_driver_sql(difference.partition("run: ")[2])

    assert len(found) >= 5
    assert all(" has times that " in line or " has booleans " in line or " has dates " in line for line in found)
    assert data_tables.differences(other.data, other.catalog.packs) == []
    assert run_all(other) == expected
    assert rows(other.data) == expected_rows


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("INSERT INTO users VALUES ('a', 'A', 'yes', NULL, NULL, '2026-01-18 18:45:00.000000')", "users.active has"),
        ("INSERT INTO users VALUES ('a', x'41', 1, NULL, NULL, '2026-01-18 18:45:00.000000')", "users.name has"),
        ("INSERT INTO questions VALUES ('a', 's', 't', 'hard', NULL)", "questions.difficulty has numbers"),
        ("INSERT INTO questions VALUES ('a', 's', 't', 1, x'5b5d')", "questions.categories has JSON in binary form"),
    ],
)
def test_values_that_cannot_be_read_are_named(database_url: str, statement: str, what: str) -> None:
    data = Database(database_url)
    with data.writing() as db:
        db.exec_driver_sql(statement)

    (found,) = data_tables.differences(data, [attempts.pack])
    with data.writing() as db:
        db.exec_driver_sql(found.partition("run: ")[2])

    assert what in found
    assert data_tables.differences(data, [attempts.pack]) == []
    data.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_key_that_is_a_number_is_refused(database_url: str) -> None:
    data = Database(database_url)
    with data.writing() as db:
        db.exec_driver_sql("DROP TABLE subjects")
        db.exec_driver_sql("CREATE TABLE subjects (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")

    (found,) = data_tables.differences(data, [attempts.pack])

    assert found == (
        "column subjects.id is INTEGER, but jobs need TEXT, and SQLite cannot change it; create the table again with "
        "TEXT, and copy its rows"
    )
    data.close()
