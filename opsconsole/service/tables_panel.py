"""The panels about the tables and indexes of both databases, beside those of the packs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from opsconsole.authoring.extensions import Panel, PanelContent
from opsconsole.core.humanize import count, growth, megabytes, percent
from opsconsole.rules.storage_health import Growth, SizeOnDay, growth_of, unused_days
from opsconsole.store.table_sizes import IndexSize, TableSize

PACK = "opsconsole"
"""Where the console lists the panels."""
COLUMNS = ("database", "table", "rows", "size", "grew", "indexes", "dead")
INDEX_COLUMNS = ("database", "index", "table", "size", "not used for")
LARGEST = 12
KEPT_SECONDS = 60.0
"""How long figures are shown before they are read again: SQLite counts by reading."""
MUCH_DEAD, FEW_ROWS = 0.2, 1000


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables by database, the largest first; and what was recorded on the days before `today`, by database, table
    and index (empty for a table).
    """

    by_database: Mapping[str, Sequence[TableSize]]
    recorded: Mapping[tuple[str, str, str], Sequence[SizeOnDay]]
    today: date

    def growth(self, database: str, table: TableSize) -> Growth | None:
        """How much a table grew in the last days, at most seven; None without a record."""
        return growth_of(self.recorded.get((database, table.name, ""), ()), table.bytes, self.today)

    def unused_days(self, database: str, table: str, index: IndexSize) -> int:
        """For how many recorded days no query used an index."""
        return unused_days(self.recorded.get((database, table, index.name), ()), index.scans, self.today)


class TablesPanels:
    """Makes the panels from what `read` returns."""

    def __init__(self, read: Callable[[], Tables]) -> None:
        self._read = read
        self._tables: Tables | None = None
        self._read_at = float("-inf")
        self.panels = (
            Panel("Tables", lambda _: content(self._current())),
            Panel("Unused indexes", lambda _: indexes(self._current())),
        )

    def _current(self) -> Tables:
        if self._tables is None or time.monotonic() - self._read_at > KEPT_SECONDS:
            self._tables = self._read()
            self._read_at = time.monotonic()
        return self._tables


def content(tables: Tables) -> PanelContent:
    """The largest tables of each database, how much they grew in a week, and what is wrong with any of them."""
    databases = tables.by_database
    facts = tuple((f"size of {name}", _size([each.bytes for each in found])) for name, found in databases.items())
    rows = tuple(
        (
            name,
            each.name,
            f"{each.rows:,}",
            _size([each.bytes]),
            _grew(tables, name, each),
            _size([index.bytes for index in each.indexes]),
            _dead(each),
        )
        for name, found in databases.items()
        for each in found[:LARGEST]
    )
    notes = [note for found in databases.values() for each in found for note in _notes(each)]
    return PanelContent(facts, COLUMNS, rows, message="; ".join(notes))


def indexes(tables: Tables) -> PanelContent:
    """The indexes that only cost: no query uses them, and they keep nothing unique; the largest first."""
    found = [
        (index, table.name, name)
        for name, listed in tables.by_database.items()
        for table in listed
        for index in table.indexes
        if not index.unique
    ]
    counted = [each for each in found if each[0].scans is not None]
    if found and not counted:
        return PanelContent(message="SQLite does not count how often an index is used")
    unused = [each for each in counted if _unused(tables, *each)]
    unused.sort(key=lambda each: -(each[0].bytes or 0))
    rows = tuple(
        (name, index.name, table, _size([index.bytes]), _unused(tables, index, table, name))
        for index, table, name in unused
    )
    message = "" if rows else "every index was used by a query, or keeps something unique"
    return PanelContent((), INDEX_COLUMNS if rows else (), rows, message)


def _unused(tables: Tables, index: IndexSize, table: str, database: str) -> str:
    """For how long an index was not used; empty for one that was."""
    days = tables.unused_days(database, table, index)
    if days:
        return count(days, "day")
    return "since the statistics were reset" if index.scans == 0 else ""


def _grew(tables: Tables, database: str, table: TableSize) -> str:
    """`+12 MB in 7 d`."""
    grown = tables.growth(database, table)
    return "-" if grown is None else growth(grown.bytes, grown.days)


def _notes(table: TableSize) -> Iterator[str]:
    if table.rows < FEW_ROWS:
        return
    if table.dead_share is not None and table.dead_share > MUCH_DEAD:
        yield f"{percent(table.dead_share)} % of {table.name} are dead rows; run VACUUM {table.name}"
    for index in table.indexes:
        if index.is_bloated:
            yield f"the index {index.name} of {table.name} is bloated; run REINDEX INDEX CONCURRENTLY {index.name}"


def _dead(table: TableSize) -> str:
    return "-" if table.dead_share is None else f"{percent(table.dead_share)} %"


def _size(sizes: Sequence[int | None]) -> str:
    return "unknown" if None in sizes else megabytes(sum(size or 0 for size in sizes))
