"""The tables of practice: session configs and sessions."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table

from jobs.common import metadata
from opsconsole.sql import Json, UtcTime, key_type

session_configs = Table(
    "session_configs",
    metadata,
    Column("stream", key_type(), primary_key=True),
    Column("grade", key_type(), primary_key=True),
    Column("config", Json, nullable=False),
)

practice_sessions = Table(
    "practice_sessions",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("user_id", key_type(), nullable=False),
    Column("subject_id", key_type(), nullable=False),
    Column("questions", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "user_id", "created_at"),
    Index(None, "created_at"),
)
