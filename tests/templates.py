"""Migrated databases, copied from a template: which is much cheaper than creating the tables."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.engine import make_url

from opsconsole.authoring import catalog, outbox
from opsconsole.authoring.pack import Pack
from opsconsole.core.database import Database
from opsconsole.core.installed_packs import DEFAULT_PACKS
from opsconsole.store import Store, data_tables, migrate


def fill(url: str) -> None:
    """Creates the store's tables and those of the packs that come with opsconsole."""
    store = Store(url)
    try:
        migrate.upgrade(store)
        data_tables.create_missing(store, catalog.load(DEFAULT_PACKS, {}, {}).packs)
    finally:
        store.close()


def copy_sqlite(file: Path) -> str:
    """Writes a migrated SQLite database to `file` and returns its URL."""
    file.write_bytes(_sqlite_template())
    return f"sqlite:///{file}"


@cache
def _sqlite_template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "template.db"
        fill(f"sqlite:///{file}")
        return file.read_bytes()


def copy_where_missing(url: str) -> None:
    """Puts a migrated database where an SQLite URL names a file that does not exist."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.query or not parsed.database:
        return
    if not (file := Path(parsed.database)).exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        copy_sqlite(file)


def create_missing(data: Database, packs: Sequence[Pack]) -> None:
    """Creates the packs' tables unless all of them exist; checks only names, which is cheap."""
    metadatas = [outbox.metadata, *(pack.metadata for pack in packs if pack.metadata is not None)]
    needed = {name for metadata in metadatas for name in metadata.tables}
    with data.reading() as db:
        present = set(inspect(db).get_table_names())
    if needed - present:
        data_tables.create_missing(data, packs)
