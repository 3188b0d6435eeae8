"""Column types and statements that work on SQLite and PostgreSQL alike, for the tables of packs."""

from __future__ import annotations

from opsconsole.core.column_types import Json, TextArray, UtcTime, key_type
from opsconsole.core.database import Database, inserting
from opsconsole.core.indexes import partial_index
from opsconsole.core.row_pages import row_pages

__all__ = ["Database", "Json", "TextArray", "UtcTime", "inserting", "key_type", "partial_index", "row_pages"]
