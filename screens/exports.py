"""What is copied and exported: a text, and tables as CSV and JSON. No Textual in it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from opsconsole.core.text import printable, safe

MAX_COPIED = 20_000
"""Characters: terminals ignore longer copies."""
MAX_CELL = 10_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would evaluate."""

Cell = str | int | float | bool | None


class Copied(NamedTuple):
    """A text to copy, and what it is: `the number of run 4811`. One that `is_text` keeps its lines."""

    value: str
    name: str
    is_text: bool = False


class Table(NamedTuple):
    """A table: the names of its columns as JSON keys, and its rows. Times are ISO 8601 in UTC."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


class Format(StrEnum):
    """How a page is exported."""

    SVG = "svg"
    CSV = "csv"
    JSON = "json"


def copied_text(copied: Copied) -> str:
    """The text in one line, unless it is one of several: what is pasted into a shell must not start a command."""
    return printable(copied.value)[:MAX_COPIED] if copied.is_text else safe(copied.value, MAX_COPIED)


def csv_text(table: Table) -> str:
    """A table as CSV. Text that a spreadsheet would take for a formula starts with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_csv_cell(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def json_text(table: Table) -> str:
    """A table as a JSON list with one object a row."""
    rows = [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.rows]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def file_name(page: str, at: datetime, form: str) -> str:
    """The name of an export: `run-4811-20260119T182007Z.csv`."""
    name = re.sub(r"[^a-z0-9._]+", "-", page.casefold()).strip("-.")[:60] or "page"
    return f"{name}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.{form}"


def _csv_cell(cell: Cell) -> Cell:
    shown = _plain(cell)
    return f"'{shown}" if isinstance(shown, str) and shown.startswith(FORMULA) else shown


def _plain(cell: Cell) -> Cell:
    return safe(cell, MAX_CELL) if isinstance(cell, str) else cell
