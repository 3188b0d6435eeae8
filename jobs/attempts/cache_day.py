"""Caches each user's attempts of the day; other programs read them the next morning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import chain
from operator import add, itemgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, Integer, Row, Select, Text, case, func, select, type_coerce

from jobs.attempts.cached_day import (
    DAY_ATTEMPTS,
    TTL,
    CachedDay,
    Named,
    attempt_counts,
    attempts_since_cached,
    read_cached_days,
)
from jobs.attempts.oldest import first_attempt
from jobs.attempts.options import Options
from jobs.attempts.tables import attempts, question_subtopics, questions, subjects, subtopics, topics
from jobs.common import users
from opsconsole import DAY, Context, Items, Job, Limits, Scope, Window, hours, minutes
from opsconsole.extensions import count

ACTIVITY_DAYS = 7
"""Days of recent activity that can extend the TTL."""


class Question(msgspec.Struct):
    """The question's fields of a cached attempt. They follow those of `Attempt` in one JSON object."""

    subject: Named
    topic: Named
    subtopic: list[Named]
    difficulty: int | float | None
    category: list[str]


class Attempt(msgspec.Struct, rename="camel"):
    """The attempt's own fields of a cached attempt."""

    id: str
    question_id: str
    type: str | None
    answer: str | None
    mistake: str | None
    timing: float | None
    reaction_time: float | None
    status: str
    hints_used: bool | None
    solved_at: str


USER, ID, QUESTION, SOLVED = 0, 1, 2, 10
"""Column positions in a row of `_attempts_of`."""

_encode = msgspec.json.Encoder().encode


def active_users(scope: Scope) -> Select[tuple[str]]:
    """All active users; those without attempts succeed and have no key afterwards."""
    return select(users.c.id).where(users.c.active)


def cache_attempts(ctx: Context, batch: Items) -> None:
    """Writes one key for each user with attempts in the window, and removes the keys of the others."""
    options = msgspec.convert(ctx.options, Options)
    cached = read_cached_days(ctx, batch) if options.incremental else {}
    with ctx.reading() as db:
        appended = _appended(ctx, db, cached) if cached else {}
        rebuilt = [user for user in batch if user not in appended]
        rows = [*chain.from_iterable(appended.values()), *_attempts_of(ctx, db, rebuilt, ctx.window.until(ctx.as_of))]
        encoded = _encoded_questions(ctx, db, {row[QUESTION] for row in rows})
        ttls = _ttl_by_user(ctx, db, batch, hours(options.max_ttl_hours)) if options.max_ttl_hours else None
    days: dict[str, list[Any]] = {user: [] for user in batch}
    for row in rows:
        days[row[USER]].append(row)
    values: dict[str, bytes | None] = {}
    for user, day in days.items():
        try:
            new = encode_day(day, encoded) if day else None
        except KeyError as missing:
            ctx.fail(user, f"question {missing.args[0]} is missing", kind="question_missing")
        else:
            values[user] = _concatenated(cached[user].value, new) if user in appended else new
    for user, error in ctx.cache.replace(
        DAY_ATTEMPTS,
        values,
        by="user",
        ttl_seconds=ttls,
        compress_over=options.compress_over,
        date=ctx.window.label,
    ).items():
        ctx.fail(user, error)
        del values[user]
    ctx.count("keys", len(values) - list(values.values()).count(None))
    ctx.count("attempts", len(rows) + sum(len(cached[user].attempts) for user in appended))
    if options.log_users:
        for user in [user for user, value in values.items() if value is not None]:
            total = len(days[user]) + (len(cached[user].attempts) if user in appended else 0)
            ctx.log(f"cached {count(total, 'attempt')} for {user}")


def encode_day(day: list[Any], encoded: dict[str, bytes]) -> bytes:
    """The JSON array of a user's attempts, ordered by time, then id. `encoded` has the encoded fields by question.

    Raises KeyError for a missing question.
    """
    # Sorted here: a database created by another program may have a different collation.
    day.sort(key=itemgetter(SOLVED, ID))
    parts = []
    for _, id_, question, type_, answer, mistake, timing, reaction, status, hints, solved in day:
        used = None if hints is None else bool(hints)
        head = _encode(
            Attempt(id_, question, type_, answer, mistake, timing, reaction, status, used, _milliseconds(solved))
        )
        parts.append(head[:-1] + b"," + encoded[question])
    return b"[" + b",".join(parts) + b"]"


def _appended(ctx: Context, db: Connection, cached: Mapping[str, CachedDay]) -> dict[str, list[Row[Any]]]:
    """The attempts to append, for users whose cached day need not be rebuilt."""
    since = attempts_since_cached(ctx, db, cached, attempt_counts(ctx, db, list(cached)), _attempts_of)
    # Cached times are truncated, so attempts within one millisecond cannot be ordered.
    return {
        user: rows
        for user, rows in since.items()
        if all(_milliseconds(row.solved_at) > _milliseconds(cached[user].attempts[-1].solved_at) for row in rows)
    }


def _concatenated(value: bytes, more: bytes | None) -> bytes:
    return value if more is None else value[:-1] + b"," + more[1:]


def _ttl_by_user(ctx: Context, db: Connection, batch: Items, longest: timedelta) -> dict[str, int]:
    """TTL in seconds: longer for users with attempts on more of the last seven days."""
    c, today = attempts.c, ctx.window
    week = [Window(today.start - timedelta(n), today.end - timedelta(n), "") for n in range(ACTIVITY_DAYS)]
    active_days = reduce(add, (func.max(case((day.holds(c.solved_at), 1), else_=0)) for day in week))
    query = (
        select(c.user_id, active_days)
        .where(batch.among(c.user_id), Window(week[-1].start, today.end, "").until(ctx.as_of).holds(c.solved_at))
        .group_by(c.user_id)
    )
    per_day = max(timedelta(0), longest - TTL) / (ACTIVITY_DAYS - 1)
    return {user: int((TTL + max(0, days - 1) * per_day).total_seconds()) for user, days in db.execute(query)}


def _attempts_of(ctx: Context, db: Connection, users: list[str], window: Window) -> Iterable[Row[Any]]:
    c = attempts.c
    query: Select[Any] = select(
        c.user_id,
        c.id,
        c.question_id,
        c.type,
        c.answer,
        c.mistake,
        c.timing,
        c.reaction_time,
        c.status,
        # As the driver returns it: SQLite may have a number of hints here.
        type_coerce(c.hints_used, Integer).label("hints_used"),
        # As the driver returns it: parsing SQLite's text only to format it again would be slow.
        type_coerce(c.solved_at, Text).label("solved_at"),
    ).where(ctx.among(c.user_id, users), window.holds(c.solved_at))
    return db.execute(query)


def _milliseconds(solved_at: datetime | str) -> str:
    """Formats SQLite's text or PostgreSQL's time as ISO 8601 UTC with milliseconds, truncated."""
    if isinstance(solved_at, str):
        if len(solved_at) == 26:
            return f"{solved_at[:10]}T{solved_at[11:23]}Z"
        solved_at = datetime.fromisoformat(solved_at).replace(tzinfo=UTC)
    return solved_at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _encoded_questions(ctx: Context, db: Connection, ids: Iterable[str]) -> dict[str, bytes]:
    """The encoded fields of questions, encoded once per run and process: most batches need the same ones."""
    encoded: dict[str, bytes] = ctx.memory.setdefault("questions", {})
    new = [question for question in ids if question not in encoded]
    if not new:
        return encoded
    subtopics_of: dict[str, list[Named]] = {}
    subtopic_rows = (
        select(question_subtopics.c.question_id, subtopics.c.id, subtopics.c.name)
        .join(subtopics, subtopics.c.id == question_subtopics.c.subtopic_id)
        .where(ctx.among(question_subtopics.c.question_id, new))
    )
    for question, subtopic, name in db.execute(subtopic_rows):
        subtopics_of.setdefault(question, []).append(Named(subtopic, name))
    question_rows = (
        select(
            questions.c.id,
            questions.c.difficulty,
            questions.c.categories,
            subjects.c.id.label("subject_id"),
            subjects.c.name.label("subject"),
            topics.c.id.label("topic_id"),
            topics.c.name.label("topic"),
        )
        .join(subjects, subjects.c.id == questions.c.subject_id)
        .join(topics, topics.c.id == questions.c.topic_id)
        .where(ctx.among(questions.c.id, new))
    )
    for row in db.execute(question_rows):
        fields = Question(
            Named(row.subject_id, row.subject),
            Named(row.topic_id, row.topic),
            sorted(subtopics_of.get(row.id, []), key=lambda subtopic: subtopic.id),
            row.difficulty,
            row.categories or [],
        )
        encoded[row.id] = _encode(fields)[1:]
    return encoded


cache_day = Job(
    "attempts.cache_day",
    active_users,
    cache_attempts,
    results_ttl=TTL,
    cron="50 23 * * *",
    tz="Asia/Kolkata",
    covers=DAY,
    oldest=first_attempt,
    batch=250,  # measured: half the leader work of 50, see docs/performance.md
    workers=8,
    limits=Limits(longest=minutes(10)),
    aliases=("cacheAttemptDay",),
    description="Caches the day's attempts",
)
