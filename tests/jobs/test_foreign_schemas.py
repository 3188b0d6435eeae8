"""Jobs on tables that other programs made, with the types that Prisma and Supabase give the same columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest
from sqlalchemy import select, text

from jobs.common import metadata
from opsconsole.authoring import catalog
from opsconsole.authoring.run import RunState
from opsconsole.core.column_types import Json, UtcTime
from opsconsole.core.database import Database
from opsconsole.core.installed_packs import DEFAULT_PACKS
from opsconsole.embedded import sample
from opsconsole.store import data_tables
from tests.conftest import Installing
from tests.installation import Installation
from tests.jobs.test_every_job import MONDAY, STAMPS, USERS, clock_at, led_at
from tests.services import PrivatePostgres

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def installed(installing: Installing, database_url: str, redis_url: str) -> Installation:
    place = installing(
        database_url=database_url,
        redis_url=redis_url,
        packs=",".join(DEFAULT_PACKS),
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    sample.fill(place.data, place.catalog.packs, USERS, MONDAY)
    return place


def change_types(data: Database, types: Mapping[type, str]) -> int:
    """Changes the columns of these types; returns how many."""
    changed = 0
    with data.writing() as db:
        for table in metadata.sorted_tables:
            for column in table.columns:
                required = next((name for kind, name in types.items() if isinstance(column.type, kind)), None)
                if required is not None:
                    using = f"{column.name}::jsonb" if required == "jsonb" else f"{column.name} AT TIME ZONE 'UTC'"
                    db.execute(text(f"ALTER TABLE {table.name} ALTER {column.name} TYPE {required} USING {using}"))
                    changed += 1
    return changed


def run_all(place: Installation) -> dict[str, tuple[RunState, int]]:
    place.service._backend.now = clock_at(MONDAY)
    order = sorted(place.catalog, key=lambda job: (job.pack == "practice", len(job.after), job.name))
    with led_at(place, MONDAY):
        runs = [place.ended_run(place.service.commands.trigger(job.name)) for job in order]
    return {run.job: (run.state, run.counts.ok) for run in runs}


def rows(data: Database) -> dict[str, list[str]]:
    """All rows with times to the hour, as the clock runs; JSON with sorted keys, as jsonb has an order of its own."""
    found = {}
    with data.reading() as db:
        for table in metadata.sorted_tables:
            columns = [column for column in table.c if column.name not in STAMPS or column.primary_key]
            found[table.name] = sorted(
                json.dumps(list(row), sort_keys=True, default=lambda value: str(value)[:13])
                for row in db.execute(select(*columns))
            )
    return found


@pytest.fixture
def other_url(_shared_postgres: PrivatePostgres, _postgres_template: str) -> Iterator[str]:
    """A second migrated database."""
    url = _shared_postgres.new_database(_postgres_template)
    yield url
    _shared_postgres.drop_database(url)


@pytest.mark.soak
def test_every_job_gives_the_same_rows_on_jsonb_and_times_without_a_zone(
    installing: Installing, database_url: str, redis_url: str, other_url: str
) -> None:
    usual = installed(installing, database_url, redis_url)
    expected, expected_rows = run_all(usual), rows(usual.data)
    other = installed(installing, other_url, redis_url)
    assert change_types(other.data, {Json: "jsonb", UtcTime: "timestamp(3)"}) > 40

    assert data_tables.differences(other.data, other.catalog.packs) == []
    assert run_all(other) == expected
    assert rows(other.data) == expected_rows


@pytest.mark.parametrize(
    ("column", "type_", "using", "required"),
    [
        ("users.active", "integer", "active::int", "BOOLEAN USING active <> 0"),
        ("users.id", "uuid", "NULL::uuid", "VARCHAR USING id::VARCHAR"),
        ("attempts.status", "mood", "'correct'::mood", "VARCHAR USING status::VARCHAR"),
        ("transactions.amount_minor", "numeric(65,30)", "amount_minor", "BIGINT USING amount_minor::BIGINT"),
        ("attempts.timing", "numeric", "timing::numeric", "FLOAT USING timing::FLOAT"),
        ("users.created_at", "text", "created_at::text", "TIMESTAMP WITH TIME ZONE USING created_at::"),
        ("questions.categories", "text[]", "'{easy}'::text[]", "JSONB USING to_jsonb(categories)"),
        ("questions.difficulty", "text", "difficulty::text", "INTEGER USING difficulty::INTEGER"),
        ("user_performance.date", "timestamp(3)", "date::timestamp", "DATE USING date::DATE"),
    ],
)
def test_a_type_that_cannot_work_is_named_with_the_statement_that_mends_it(
    database_url: str, column: str, type_: str, using: str, required: str
) -> None:
    data = Database(database_url)
    table, _, name = column.partition(".")
    with data.writing() as db:
        db.execute(text("CREATE TYPE mood AS ENUM ('correct', 'incorrect', 'unsolved')"))
        db.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS pk_{table}"))
        db.execute(text(f"ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL"))
        db.execute(text(f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {type_} USING {using}"))
    packs = catalog.load(DEFAULT_PACKS, {}, {}).packs

    (difference,) = data_tables.differences(data, packs)
    statement = difference.partition("run: ")[2]
    with data.writing() as db:
        db.execute(text(statement))

    assert difference.startswith(f"column {column} is ")
    assert required in statement
    assert data_tables.differences(data, packs) == []
    data.close()


THEIRS = (
    "CREATE TYPE attempt_status AS ENUM ('correct', 'incorrect', 'unsolved')",
    "ALTER TABLE attempts ALTER status TYPE attempt_status USING status::attempt_status",
    "ALTER TABLE attempts ALTER status SET DEFAULT 'unsolved'",
    "ALTER TABLE attempts ALTER hints_used TYPE integer USING hints_used::int",
    "ALTER TABLE attempts ALTER hints_used SET DEFAULT 0",
    "ALTER TABLE attempts ALTER timing TYPE numeric",
    "ALTER TABLE attempts ALTER timing SET DEFAULT 1.5",
    "ALTER TABLE users ALTER active TYPE integer USING active::int",
    "ALTER TABLE users ALTER created_at TYPE timestamp(3)",
    "ALTER TABLE users ALTER created_at SET DEFAULT CURRENT_TIMESTAMP",
    (
        "ALTER TABLE questions ALTER categories TYPE text[] USING CASE WHEN categories IS NULL THEN NULL "
        "ELSE string_to_array(btrim(replace(categories, '\"', ''), '[]'), ',') END"
    ),
    "ALTER TABLE questions ALTER categories SET DEFAULT '{}'",
)
"""Types and defaults that other programs give the same columns."""


@pytest.mark.soak
def test_every_job_works_after_the_statements_of_check_were_run(
    installing: Installing, database_url: str, redis_url: str, other_url: str
) -> None:
    usual = installed(installing, database_url, redis_url)
    expected = run_all(usual)
    other = installed(installing, other_url, redis_url)
    with other.data.writing() as db:
        for statement in THEIRS:
            db.execute(text(statement))

    found = data_tables.differences(other.data, other.catalog.packs)
    with other.data.writing() as db:
        for difference in found:
            db.execute(text(difference.partition("run: ")[2].replace(":", "\\:")))

    assert {line.split()[1] for line in found} == {
        "attempts.status",
        "attempts.hints_used",
        "attempts.timing",
        "users.active",
        "questions.categories",
    }
    assert data_tables.differences(other.data, other.catalog.packs) == []
    assert run_all(other) == expected
    with other.data.reading() as db:
        default = "SELECT column_default FROM information_schema.columns WHERE table_name = 'attempts' AND "
        assert "unsolved" in str(db.execute(text(f"{default} column_name = 'status'")).scalar())
