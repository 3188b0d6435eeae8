"""The store's tables: exactly those that the code knows, whoever made them and however often."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from opsconsole.core.errors import Exit, SchemaMismatch
from opsconsole.store import Store, migrate, tables as schema

VERSIONS = Path(migrate.__file__).parent / "migrations" / "versions"


@pytest.fixture
def store(empty_database_url: str) -> Iterator[Store]:
    made = Store(empty_database_url)
    yield made
    made.close()


def set_version(store: Store, version: str) -> None:
    with store.writing() as db:
        db.execute(text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = :version"), {"version": version})  # noqa: S608


def tables(store: Store) -> set[str]:
    with store.reading() as db:
        return set(inspect(db).get_table_names())


def test_the_migrations_make_exactly_the_tables_that_the_code_knows(store: Store) -> None:
    migrate.upgrade(store)

    with store.reading() as db:
        about = {"compare_type": True, "version_table": migrate.VERSION_TABLE}
        assert compare_metadata(MigrationContext.configure(db, opts=about), schema.metadata) == []
    assert tables(store) == {*schema.metadata.tables, migrate.VERSION_TABLE}


def test_the_newest_version_is_the_last_migration() -> None:
    names = sorted(match.group(1) for path in VERSIONS.iterdir() if (match := re.match(r"(\d{4})_.+\.py$", path.name)))

    assert names[-1] == migrate.NEWEST


def test_a_second_time_there_is_nothing_to_do(store: Store) -> None:
    assert migrate.version(store) is None
    assert migrate.upgrade(store)
    assert not migrate.upgrade(store)
    assert migrate.version(store) == migrate.NEWEST
    migrate.require(store)


def test_a_store_without_tables_says_what_to_run(store: Store) -> None:
    with pytest.raises(SchemaMismatch, match=r"the store has no tables yet; run `opsconsole migrate`") as refused:
        migrate.require(store)
    assert refused.value.exit_code is Exit.CONFIGURATION


def test_a_newer_store_is_refused_and_left_as_it_is(store: Store) -> None:
    migrate.upgrade(store)
    set_version(store, "9999")
    before = tables(store)

    for work in (migrate.require, migrate.upgrade):
        with pytest.raises(SchemaMismatch, match=r"newer than this program's .*; install a newer opsconsole"):
            work(store)

    assert migrate.version(store) == "9999"
    assert tables(store) == before


def test_an_older_store_says_what_to_run(store: Store) -> None:
    migrate.upgrade(store)
    set_version(store, "0000")

    with pytest.raises(SchemaMismatch, match=r"is at version 0000 and this program needs .*; run `opsconsole migrate`"):
        migrate.require(store)


def test_a_migration_that_breaks_leaves_nothing_behind(store: Store) -> None:
    with store.writing() as db:
        db.execute(text("CREATE TABLE ops_log (taken INTEGER)"))

    with pytest.raises(Exception, match="ops_log"):
        migrate.upgrade(store)

    assert tables(store) == {"ops_log"}


def test_a_corrupt_file_is_left_untouched(tmp_path: Path) -> None:
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
