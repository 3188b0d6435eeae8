"""The panel about the tables of both databases."""

from __future__ import annotations

from pathlib import Path

from opsconsole.authoring.context import ExtensionContext, Resources
from opsconsole.service.tables_panel import TablesPanel, content
from opsconsole.store.table_sizes import IndexSize, TableSize
from tests.conftest import Installing

UNUSED = IndexSize("ix_unused", 8192, 0, unique=False)
BLOATED = IndexSize("ix_large", 40 << 20, 7, unique=False, expected_bytes=1 << 20)
UNIQUE = IndexSize("pk_books", 8192, 0, unique=True)


def test_large_tables_are_shown_with_what_is_wrong() -> None:
    books = TableSize("books", 3000, 5_000_000, 1000, (UNUSED, UNIQUE, BLOATED))
    small = TableSize("shelves", 10, 2_000_000, 90, (UNUSED,))
    many = [TableSize(f"t{n}", n, 1000, None, ()) for n in range(30)]

    shown = content({"store": [books, small], "data": many})
    unknown = content({"data": [TableSize("t", 1, None, None, ())]})

    assert shown.facts == (("size of store", "6.7 MB"), ("size of data", "0.0 MB"))
    assert shown.rows[0] == ("store", "books", "3,000", "4.8 MB", "25.0 %")
    assert len(shown.rows) == 14
    assert shown.message == (
        "25.0 % of books are dead rows; run VACUUM books; no query uses the index ix_unused of books; "
        "the index ix_large of books is bloated; run REINDEX INDEX CONCURRENTLY ix_large"
    )
    assert unknown.facts == (("size of data", "unknown"),)


def test_figures_are_read_once_a_minute() -> None:
    reads: list[int] = []

    def read() -> dict[str, list[TableSize]]:
        reads.append(1)
        return {"data": []}

    panel, context = TablesPanel(read).panel, ExtensionContext(Resources("sqlite://", "redis://127.0.0.1:1"), {}, ())
    for _ in range(5):
        panel.read(context)

    assert len(reads) == 1


def test_the_panel_stands_beside_those_of_the_packs(installing: Installing, tmp_path: Path) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}", redis_url="unix:///nowhere/redis.sock", packs="jobs.game"
    )

    *_, tables = place.service.queries.panels()

    assert (tables.pack, tables.content.columns[1], tables.failed) == ("opsconsole", "table", False)
    assert {"ops_runs", "lives"} & {row[1] for row in tables.content.rows}
