"""Migrates the store, and checks that it has been migrated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from opsconsole.core.errors import SchemaMismatch
from opsconsole.store import Store

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0014"
"""The revision that this version needs: the last file in `migrations/versions`."""
VERSION_TABLE = "ops_schema_version"


def version(store: Store) -> str | None:
    """The revision of the store's tables; None when there are none."""
    with store.reading() as db:
        return _version(db)


def _version(db: Connection) -> str | None:
    if not inspect(db).has_table(VERSION_TABLE):
        return None
    found: str | None = db.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
    return found


def upgrade(store: Store) -> bool:
    """Migrates in one transaction; False when nothing was to do. Raises SchemaMismatch for a newer store."""
    if version(store) == NEWEST:
        return False
    with store.writing(patient=True) as db:
        found = _version(db)
        if found == NEWEST:
            return False
        _refuse_newer(found)
        from alembic import command

        config = _config()
        config.attributes["connection"] = db
        command.upgrade(config, "head")
    return True


def require(store: Store) -> None:
    """Raises SchemaMismatch, with what to do, unless the store is at this revision."""
    found = version(store)
    if found == NEWEST:
        return
    _refuse_newer(found)
    what = "has no tables yet" if found is None else f"is at version {found} and this program needs {NEWEST}"
    raise SchemaMismatch(f"the store {what}; run `opsconsole migrate`")


def _refuse_newer(found: str | None) -> None:
    if found is not None and found > NEWEST:
        raise SchemaMismatch(
            f"the store is at version {found}, newer than this program's {NEWEST}; install a newer opsconsole"
        )


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    # A % is special in the files that Alembic reads such options from.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
