"""Migrations create exactly the tables in the code, once."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from opsconsole.authoring.occurrence import OccurrenceFilter, Reason
from opsconsole.core.errors import Exit, SchemaMismatch
from opsconsole.core.urls import sqlite_url
from opsconsole.store import Store, migrate, occurrence_lists, tables as schema
from opsconsole.store.registrations import registrations

AT = datetime(2025, 1, 1, tzinfo=UTC)
VERSIONS = Path(migrate.__file__).parent / "migrations" / "versions"


@pytest.fixture
def store(empty_database_url: str) -> Iterator[Store]:
    made = Store(empty_database_url)
    yield made
    made.close()


def set_version(store: Store, version: str) -> None:
    with store.writing() as db:
        db.execute(text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = :version"), {"version": version})  # noqa: S608


def upgrade_to(store: Store, version: str) -> None:
    """Migrates to an earlier version."""
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    with store.writing() as db:
        config.attributes["connection"] = db
        command.upgrade(config, version)


def tables(store: Store) -> set[str]:
    with store.reading() as db:
        return set(inspect(db).get_table_names())


def test_the_migrations_create_exactly_the_tables_in_the_code(store: Store) -> None:
    migrate.upgrade(store)

    with store.reading() as db:
        about = {"compare_type": True, "version_table": migrate.VERSION_TABLE}
        assert compare_metadata(MigrationContext.configure(db, opts=about), schema.metadata) == []
    assert tables(store) == {*schema.metadata.tables, migrate.VERSION_TABLE}


def test_the_newest_version_is_the_last_migration() -> None:
    names = sorted(match.group(1) for path in VERSIONS.iterdir() if (match := re.match(r"(\d{4})_.+\.py$", path.name)))

    assert names[-1] == migrate.NEWEST


def test_a_second_migration_does_nothing(store: Store) -> None:
    assert migrate.version(store) is None
    assert migrate.upgrade(store)
    assert not migrate.upgrade(store)
    assert migrate.version(store) == migrate.NEWEST
    migrate.require(store)


def test_a_store_without_tables_names_the_command_to_run(store: Store) -> None:
    with pytest.raises(SchemaMismatch, match=r"the store has no tables yet; run `opsconsole migrate`") as refused:
        migrate.require(store)
    assert refused.value.exit_code is Exit.CONFIGURATION


def test_a_newer_store_is_refused_and_not_changed(store: Store) -> None:
    migrate.upgrade(store)
    set_version(store, "9999")
    before = tables(store)

    for work in (migrate.require, migrate.upgrade):
        with pytest.raises(SchemaMismatch, match=r"newer than this program's .*; install a newer opsconsole"):
            work(store)

    assert migrate.version(store) == "9999"
    assert tables(store) == before


def test_an_older_store_names_the_command_to_run(store: Store) -> None:
    migrate.upgrade(store)
    set_version(store, "0000")

    with pytest.raises(SchemaMismatch, match=r"is at version 0000 and this program needs .*; run `opsconsole migrate`"):
        migrate.require(store)


def test_a_failed_migration_changes_nothing(store: Store) -> None:
    with store.writing() as db:
        db.execute(text("CREATE TABLE ops_log (taken INTEGER)"))

    with pytest.raises(Exception, match="ops_log"):
        migrate.upgrade(store)

    assert tables(store) == {"ops_log"}


def test_manual_jobs_lose_the_schedule_they_had_before(store: Store) -> None:
    upgrade_to(store, "0004")
    values = "'s', :cron, 'UTC', '2025-01-01 00:00:00', '2025-01-01 00:00:00')"
    insert = f"INSERT INTO ops_jobs (job, spec, cron, tz, registered_at, planned_until) VALUES (:job, {values}"  # noqa: S608
    crons = {"exams.cleanup": "0 0 29 2 *", "books.close": "0 * * * *"}
    with store.writing() as db:
        db.execute(text(insert), [{"job": job, "cron": cron} for job, cron in crons.items()])

    migrate.upgrade(store)

    with store.reading() as db:
        found = {job: registration.cron for job, registration in registrations(db).items()}
    assert found == {"exams.cleanup": None, "books.close": "0 * * * *"}


def test_reasons_become_tokens(store: Store) -> None:
    upgrade_to(store, "0004")
    row = {"job": "books.close", "instants": 1, "state": "missed", "spec": "s", "token": 1}
    times = {"due_at": AT, "last_due_at": AT, "recorded_at": AT}
    with store.writing() as db:
        db.execute(schema.occurrences.insert().values(**row, **times, reason="catch-up limit"))

    migrate.upgrade(store)

    with store.reading() as db:
        (found,) = occurrence_lists.newest(db, OccurrenceFilter(), limit=1)
    assert found.reason is Reason.CATCH_UP_LIMIT


def test_a_corrupt_file_is_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    good = Store(f"sqlite:///{tmp_path / 'good.db'}")
    migrate.upgrade(good)
    good.close()
    shutil.copy(tmp_path / "good.db", file)
    content = bytearray(file.read_bytes())
    content[:200] = b"\x13" * 200
    file.write_bytes(content)
    store = Store(f"sqlite:///{file}")

    with pytest.raises(Exception, match="file is not a database"):
        migrate.upgrade(store)
    store.close()

    assert file.read_bytes() == content


@pytest.mark.parametrize("name", ["100% ours", "a b", "has#hash", "wh?at", "co:lon", "%(here)s", "new\nline"])
def test_the_program_may_be_installed_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = tmp_path / name
    shutil.copytree(Path(migrate.__file__).parent / "migrations", folder / "migrations")
    monkeypatch.setattr(migrate, "__file__", str(folder / "migrate.py"))
    store = Store(sqlite_url(folder / "store.db"))

    migrate.upgrade(store)

    assert migrate.version(store) == migrate.NEWEST
    store.close()
