"""The panel about the tables of both databases, beside those of the packs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from opsconsole.authoring.context import ExtensionContext
from opsconsole.authoring.extensions import Panel, PanelContent
from opsconsole.core.humanize import megabytes, percent
from opsconsole.store.table_sizes import TableSize

PACK = "opsconsole"
"""Where the console lists the panel."""
COLUMNS = ("database", "table", "rows", "size", "dead")
LARGEST = 12
KEPT_SECONDS = 60.0
"""How long figures are shown before they are read again: SQLite counts by reading."""
MUCH_DEAD, FEW_ROWS = 0.2, 1000


class TablesPanel:
    """Makes the panel from what `read` returns: the tables by database, the largest first."""

    def __init__(self, read: Callable[[], Mapping[str, Sequence[TableSize]]]) -> None:
        self._read = read
        self._content = PanelContent()
        self._read_at = float("-inf")
        self.panel = Panel("Tables", self._current)

    def _current(self, _context: ExtensionContext) -> PanelContent:
        if time.monotonic() - self._read_at > KEPT_SECONDS:
            self._content = content(self._read())
            self._read_at = time.monotonic()
        return self._content


def content(databases: Mapping[str, Sequence[TableSize]]) -> PanelContent:
    """The largest tables of each database, and what is wrong with any of them."""
    facts = tuple((f"size of {name}", _size([each.bytes for each in tables])) for name, tables in databases.items())
    rows = tuple(
        (name, each.name, f"{each.rows:,}", _size([each.bytes]), _dead(each))
        for name, tables in databases.items()
        for each in tables[:LARGEST]
    )
    notes = [note for tables in databases.values() for each in tables for note in _notes(each)]
    return PanelContent(facts, COLUMNS, rows, message="; ".join(notes))


def _notes(table: TableSize) -> Iterator[str]:
    if table.rows < FEW_ROWS:
        return
    if table.dead_share is not None and table.dead_share > MUCH_DEAD:
        yield f"{percent(table.dead_share)} % of {table.name} are dead rows; run VACUUM {table.name}"
    for index in table.indexes:
        if index.is_unused:
            yield f"no query uses the index {index.name} of {table.name}"
        if index.is_bloated:
            yield f"the index {index.name} of {table.name} is bloated; run REINDEX INDEX CONCURRENTLY {index.name}"


def _dead(table: TableSize) -> str:
    return "-" if table.dead_share is None else f"{percent(table.dead_share)} %"


def _size(sizes: Sequence[int | None]) -> str:
    return "unknown" if None in sizes else megabytes(sum(size or 0 for size in sizes))
