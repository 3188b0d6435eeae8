"""Column types and statements that work on SQLite and PostgreSQL alike, for the tables of packs."""

from __future__ import annotations

from opsconsole.core.database import Database, Json, UtcTime, inserting, key_type

__all__ = ["Database", "Json", "UtcTime", "inserting", "key_type"]
