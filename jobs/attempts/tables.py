"""The tables of attempts, the question catalogue, and the results computed from attempts."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Boolean, Column, Date, Float, Index, Integer, String, Table, Text

from jobs.common import metadata
from opsconsole.sql import Json, UtcTime, key_type

subjects = Table(
    "subjects",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("name", String, nullable=False),
)

topics = Table(
    "topics",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("subject_id", key_type(), nullable=False),
    Column("name", String, nullable=False),
)

subtopics = Table(
    "subtopics",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("topic_id", key_type(), nullable=False),
    Column("name", String, nullable=False),
)

questions = Table(
    "questions",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("subject_id", key_type(), nullable=False),
    Column("topic_id", key_type(), nullable=False),
    Column("difficulty", Integer, nullable=True),
    Column("categories", Json, nullable=True),
)

question_subtopics = Table(
    "question_subtopics",
    metadata,
    Column("question_id", key_type(), primary_key=True),
    Column("subtopic_id", key_type(), primary_key=True),
)


class Status(StrEnum):
    """The result of an attempt."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    UNSOLVED = "unsolved"


attempts = Table(
    "attempts",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("user_id", key_type(), nullable=False),
    Column("question_id", key_type(), nullable=False),
    Column("type", Text, nullable=True),
    Column("answer", Text, nullable=True),
    Column("mistake", Text, nullable=True),
    Column("timing", Float, nullable=True),
    Column("reaction_time", Float, nullable=True),
    Column("status", String, nullable=False),
    Column("hints_used", Boolean, nullable=True),
    Column("solved_at", UtcTime, nullable=False),
    Index(None, "user_id", "solved_at"),
)

suggestions = Table(
    "suggestions",
    metadata,
    Column("user_id", key_type(), primary_key=True),
    Column("date", Date, primary_key=True),
    Column("kind", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    # No index starts with the date: without statistics of a new date, a database would scan the date for each batch.
    Index(None, "created_at"),
)

user_performance = Table(
    "user_performance",
    metadata,
    Column("user_id", key_type(), primary_key=True),
    Column("date", Date, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("correct", Integer, nullable=False),
    Column("accuracy", Float, nullable=False),
    Column("avg_timing", Float, nullable=True),
    Column("avg_reaction_time", Float, nullable=True),
    Column("by_subject", Json, nullable=False),
)

topic_mastery = Table(
    "topic_mastery",
    metadata,
    Column("user_id", key_type(), primary_key=True),
    Column("topic_id", key_type(), primary_key=True),
    Column("mastery", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_attempt_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
