"""Tables of figures, and of what was set aside."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table, Text, text

from opsconsole.core.column_types import UtcTime
from opsconsole.store.tables.schema import metadata

# What could not be processed and is left out, so that it does not hold up the rest: events, and checks of windows.
set_aside = Table(
    "ops_set_aside",
    metadata,
    Column("kind", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
)

# The reads of a family on a UTC day, and the newest sample of what the server held of it on that day.
cache_days = Table(
    "ops_cache_days",
    metadata,
    Column("day", String, primary_key=True),
    Column("family", String, primary_key=True),
    Column("hits", BigInteger, nullable=False, server_default=text("0")),
    Column("misses", BigInteger, nullable=False, server_default=text("0")),
    Column("failed", BigInteger, nullable=False, server_default=text("0")),
    Column("keys", BigInteger, nullable=True),
    Column("bytes", BigInteger, nullable=True),
)

# How large each table and index was on each UTC day. `database` is "store" or "data"; the row about a table itself,
# with its indexes, has no index. `scans` counts the queries that used an index until then.
table_days = Table(
    "ops_table_days",
    metadata,
    Column("day", String, primary_key=True),
    Column("database", String, primary_key=True),
    Column("table", String, primary_key=True),
    Column("index", String, primary_key=True),
    Column("rows", BigInteger, nullable=True),
    Column("bytes", BigInteger, nullable=True),
    Column("scans", BigInteger, nullable=True),
)
