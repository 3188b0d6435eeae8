"""The panel about the tables of both databases."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from opsconsole.authoring.context import ExtensionContext, Resources
from opsconsole.rules.storage_health import SizeOnDay, by_name
from opsconsole.service.tables_panel import Tables, TablesPanels, content, indexes
from opsconsole.store.table_sizes import IndexSize, TableSize
from tests.conftest import Installing

UNUSED = IndexSize("ix_unused", 8192, 0, unique=False)
BLOATED = IndexSize("ix_large", 40 << 20, 7, unique=False, expected_bytes=1 << 20)
UNIQUE = IndexSize("pk_books", 8192, 0, unique=True)


TODAY = date(2026, 1, 19)


def tables(by_database: dict[str, list[TableSize]], *recorded: SizeOnDay) -> Tables:
    return Tables(by_database, by_name(recorded), TODAY)


def recorded(days_ago: int, table: str, size: int | None, index: str = "", scans: int | None = None) -> SizeOnDay:
    return SizeOnDay(TODAY - timedelta(days=days_ago), "store", table, index, None, size, scans)


def test_large_tables_are_shown_with_what_is_wrong() -> None:
    books = TableSize("books", 3000, 5_000_000, 1000, (UNUSED, UNIQUE, BLOATED))
    small = TableSize("shelves", 10, 2_000_000, 90, (UNUSED,))
    many = [TableSize(f"t{n}", n, 1000, None, ()) for n in range(30)]
    days = (
        recorded(9, "books", 1),
        recorded(6, "books", 2_000_000),
        recorded(1, "books", 9),
        recorded(3, "shelves", 3 << 20),
    )

    shown = content(tables({"store": [books, small], "data": many}, *days))
    unknown = content(tables({"data": [TableSize("t", 1, None, None, ())]}))

    assert shown.facts == (("size of store", "6.7 MB"), ("size of data", "0.0 MB"))
    assert shown.rows[0] == ("store", "books", "3,000", "4.8 MB", "+2.9 MB in 6 d", "40 MB", "25.0 %")
    assert shown.rows[1][4] == "-1.1 MB in 3 d"
    assert shown.rows[2][4] == "-"
    assert len(shown.rows) == 14
    assert shown.message == (
        "25.0 % of books are dead rows; run VACUUM books; "
        "the index ix_large of books is bloated; run REINDEX INDEX CONCURRENTLY ix_large"
    )
    assert unknown.facts == (("size of data", "unknown"),)


def test_indexes_that_only_cost_are_listed_with_for_how_long() -> None:
    idle = IndexSize("ix_idle", 2 << 20, 50, unique=False)
    books = TableSize("books", 3000, 5_000_000, 1000, (UNUSED, UNIQUE, BLOATED, idle))
    days = [recorded(n, "books", 1, "ix_idle", scans=50 if n < 12 else 49) for n in range(1, 20)]

    shown = indexes(tables({"store": [books]}, *days))
    used = indexes(tables({"store": [TableSize("books", 1, 1, None, (BLOATED, UNIQUE))]}))
    sqlite = indexes(tables({"store": [TableSize("books", 1, 1, None, (IndexSize("ix", 1, None, unique=False),))]}))

    assert shown.rows == (
        ("store", "ix_idle", "books", "2.0 MB", "11 days"),
        ("store", "ix_unused", "books", "0.0 MB", "since the statistics were reset"),
    )
    assert used.message == "every index was used by a query, or keeps something unique"
    assert sqlite.message == "SQLite does not count how often an index is used"


def test_figures_are_read_once_a_minute() -> None:
    reads: list[int] = []

    def read() -> Tables:
        reads.append(1)
        return tables({"data": []})

    context = ExtensionContext(Resources("sqlite://", "redis://127.0.0.1:1"), {}, ())
    panels = TablesPanels(read).panels
    for _ in range(5):
        for panel in panels:
            panel.read(context)

    assert len(reads) == 1


def test_the_panel_stands_beside_those_of_the_packs(installing: Installing, tmp_path: Path) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}", redis_url="unix:///nowhere/redis.sock", packs="jobs.game"
    )

    *_, sizes, unused = place.service.queries.panels()

    assert (sizes.pack, sizes.content.columns[1], sizes.failed) == ("opsconsole", "table", False)
    assert {"ops_runs", "lives"} & {row[1] for row in sizes.content.rows}
    assert (unused.title, unused.failed) == ("Unused indexes", False)
