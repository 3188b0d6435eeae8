"""`tables`: the sizes of tables and the use of indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import growth, megabytes, percent

if TYPE_CHECKING:
    from opsconsole.rules.storage_health import Growth
    from opsconsole.service.tables_panel import Tables
    from opsconsole.store.table_sizes import TableSize


@click.command("tables", cls=Command)
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Show the sizes of tables and unused indexes.

    Covers the tables of the store and of the packs. Sizes include indexes; the growth is that of the last days, up to
    a week. On PostgreSQL, numbers of rows are estimates; dead rows are those that VACUUM has not removed yet; an index
    is unused if no query has used it since the statistics were reset, and it keeps nothing unique.

    \b
    Examples:
      opsconsole tables
      opsconsole tables --json
    """
    settings = load_settings(options)
    with open_service(settings) as service:
        tables = service.queries.tables()
    databases = tables.by_database
    if as_json:
        print_json([_document(name, each, tables) for name, found in databases.items() for each in found])
        return
    print_table(
        ("DATABASE", "TABLE", "ROWS", "SIZE", "GREW", "INDEXES", "DEAD", "UNUSED INDEXES"),
        [
            (
                name,
                each.name,
                f"{each.rows:,}",
                _size(each.bytes),
                _grew(tables.growth(name, each)),
                _size(_index_bytes(each)),
                "-" if each.dead_share is None else f"{percent(each.dead_share)} %",
                ", ".join(index.name for index in each.indexes if index.is_unused),
            )
            for name, found in databases.items()
            for each in found
        ],
        right=(2, 3, 4, 5, 6),
    )
    if not any(databases.values()):
        echo("there are no tables yet; run `opsconsole migrate --data`")
    echo(f"the store keeps: {settings.retention}")


def _size(size: int | None) -> str:
    return "?" if size is None else megabytes(size)


def _index_bytes(table: TableSize) -> int | None:
    sizes = [index.bytes for index in table.indexes]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _grew(grown: Growth | None) -> str:
    return "-" if grown is None else growth(grown.bytes, grown.days)


def _document(database: str, table: TableSize, tables: Tables) -> dict[str, Any]:
    grown = tables.growth(database, table)
    indexes = [
        {"name": index.name, "bytes": index.bytes, "scans": index.scans, "unique": index.unique}
        for index in table.indexes
    ]
    return {
        "database": database,
        "table": table.name,
        "rows": table.rows,
        "bytes": table.bytes,
        "dead_rows": table.dead_rows,
        "grown_bytes": grown.bytes if grown is not None else None,
        "grown_days": grown.days if grown is not None else None,
        "indexes": indexes,
    }
