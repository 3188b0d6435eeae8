"""Tables of processes and operators: the lease, who is attached, commands and the audit trail."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text

from opsconsole.core.column_types import Json, UtcTime
from opsconsole.store.tables.schema import metadata, serial

lease = Table(
    "ops_lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Unique, so that on PostgreSQL a fenced transaction blocks a takeover but not a renewal.
    Column("token", BigInteger, nullable=False, unique=True),
    Column("beat", BigInteger, nullable=False),
    Column("owner", String, nullable=True),
    Column("host", String, nullable=True),
    Column("pid", Integer, nullable=True),
    Column("pid_started", String, nullable=True),
    Column("boot", String, nullable=True),
    Column("who", String, nullable=True),
    Column("since", UtcTime, nullable=True),
    Column("renewed_at", UtcTime, nullable=True),
    # What the holder cannot do, from its newest renewal.
    Column("problems", Text, nullable=True),
    CheckConstraint("id = 1", name="one_row"),
)

presence = Table(
    "ops_presence",
    metadata,
    Column("owner", String, primary_key=True),
    Column("who", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("interface", String, nullable=False),
    Column("screen", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)

commands = Table(
    "ops_commands",
    metadata,
    Column("id", serial, primary_key=True),
    Column("verb", String, nullable=False),
    Column("target", String, nullable=False),
    Column("arguments", Json, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("requested_from", String, nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("state", String, nullable=False),
    Column("outcome", Json, nullable=True),
    Column("done_at", UtcTime, nullable=True),
    Column("role", String, nullable=False, server_default="operator"),
    # Sent by a client, so that a request that it repeats is carried out once.
    Column("key", String, nullable=True),
    Index(None, "state"),
    Index(None, "requested_by", "key", unique=True),
)

audit = Table(
    "ops_audit",
    metadata,
    Column("id", serial, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("command_id", BigInteger, nullable=True),
    Column("who", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("target", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("before", Json, nullable=True),
    Column("after", Json, nullable=True),
    Column("previous", String, nullable=False, unique=True),
    Column("hash", String, nullable=False, unique=True),
)

# The last row of the audit trail that was removed for its age: the trail starts after it.
audit_start = Table(
    "ops_audit_start",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("row", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
