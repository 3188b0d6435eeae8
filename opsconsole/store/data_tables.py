"""The tables of packs and the outbox in the data database: created where missing, checked, never altered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, MetaData, Table, inspect, literal_column, select

from opsconsole.authoring import outbox
from opsconsole.authoring.pack import Pack
from opsconsole.core.database import Database, UtcTime

_TIME_FORM = "'____-__-__ __:__:__.______'"


def create_missing(data: Database, packs: Iterable[Pack]) -> list[str]:
    """Creates missing tables and indexes; returns what was created, one line each."""
    created: list[str] = []
    with data.writing() as db:
        for table in _tables(packs):
            present = inspect(db)
            if not present.has_table(table.name):
                table.create(db)
                created.append(f"table {table.name} created")
                continue
            columns = {column["name"] for column in present.get_columns(table.name)}
            indexes = {index["name"] for index in present.get_indexes(table.name)}
            for index in table.indexes:
                if index.name not in indexes and {column.name for column in index.columns} <= columns:
                    index.create(db)
                    created.append(f"index {index.name} created")
    return created


def differences(data: Database, packs: Iterable[Pack]) -> list[str]:
    """The differences to what the packs need, one sentence each."""
    with data.reading() as db:
        return [line for table in _tables(packs) for line in _differences(db, table, sqlite=data.is_sqlite)]


def _differences(db: Connection, table: Table, *, sqlite: bool) -> Iterator[str]:
    present = inspect(db)
    if not present.has_table(table.name):
        yield f"table {table.name} is missing; run `opsconsole migrate --data`"
        return
    columns = {column["name"] for column in present.get_columns(table.name)}
    for column in table.columns:
        if column.name not in columns:
            yield f"column {table.name}.{column.name} is missing; add it, opsconsole does not alter tables"
        elif sqlite and isinstance(column.type, UtcTime):
            other_form = column.is_not(None) & literal_column(f'"{column.name}" NOT LIKE {_TIME_FORM}')
            if db.execute(select(1).select_from(table).where(other_form).limit(1)).scalar():
                yield (
                    f"{table.name}.{column.name} has times that are not written as 2026-01-18 18:45:00.000000; "
                    "rewrite them"
                )
    indexes = {index["name"] for index in present.get_indexes(table.name)}
    for index in table.indexes:
        if index.name not in indexes:
            yield f"index {index.name} is missing and queries may be slow; run `opsconsole migrate --data`"


def _tables(packs: Iterable[Pack]) -> list[Table]:
    collected: list[MetaData] = [outbox.metadata]
    for pack in packs:
        if pack.metadata is not None and pack.metadata not in collected:
            collected.append(pack.metadata)
    return [table for metadata in collected for table in metadata.sorted_tables]
