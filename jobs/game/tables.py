"""The tables of the game: lives, progress, quiz sessions, and current and archived rankings."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, Index, Integer, String, Table, text

from jobs.common import metadata
from opsconsole.sql import UtcTime, key_type, partial_index

MAX_LIVES = 5

lives = Table(
    "lives",
    metadata,
    Column("user_id", key_type(), primary_key=True),
    Column("current_lives", Integer, nullable=False),
    Column("last_regen_at", UtcTime, nullable=True),
    Column("next_regen_at", UtcTime, nullable=True),
)
# A partial index: most players have NULL in this column, which also counts as due.
_waiting = text(f"current_lives < {MAX_LIVES}")
partial_index(None, lives.c.next_regen_at, where=_waiting)

# No index on XP: it would be updated with every answer, to save one sort an hour.
player_progress = Table(
    "player_progress",
    metadata,
    Column("user_id", key_type(), primary_key=True),
    Column("username", String, nullable=True),
    Column("xp", BigInteger, nullable=True),
    Column("weekly_xp", BigInteger, nullable=True),
    Column("monthly_xp", BigInteger, nullable=True),
    Column("xp_updated_at", UtcTime, nullable=True),
    Column("last_quiz_at", UtcTime, nullable=True),
    Column("current_streak", Integer, nullable=False),
    Column("longest_streak", Integer, nullable=False),
    Column("protections_remaining", Integer, nullable=True),
    Column("streak_checked_on", Date, nullable=True),
)
_on_a_streak = text("current_streak > 0")
partial_index(None, player_progress.c.last_quiz_at, where=_on_a_streak)

quiz_sessions = Table(
    "quiz_sessions",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("user_id", key_type(), nullable=False),
    Column("status", String, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("completed_at", UtcTime, nullable=True),
    Index(None, "status", "expires_at"),
)

rankings = Table(
    "rankings",
    metadata,
    Column("board", key_type(), primary_key=True),
    Column("user_id", key_type(), primary_key=True),
    Column("score", BigInteger, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index(None, "board", "rank"),
)

ranking_archive = Table(
    "ranking_archive",
    metadata,
    Column("board", key_type(), primary_key=True),
    Column("period", String, primary_key=True),
    Column("user_id", key_type(), primary_key=True),
    Column("score", BigInteger, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("archived_at", UtcTime, nullable=False),
)
