"""Caches each user's attempts of the day, for the programs that greet them the next morning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import chain
from operator import add, itemgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, Text, case, func, select, type_coerce

from jobs.attempts.cached_day import DAY_ATTEMPTS, TTL, CachedDay, Named, cached_days, counted, made_since
from jobs.attempts.options import Options
from jobs.attempts.tables import attempts, question_subtopics, questions, subjects, subtopics, topics
from jobs.common import users
from opsconsole import DAY, Context, Items, Job, Limits, Scope, Window, hours, minutes

WEEK = 7
"""Days."""


class Question(msgspec.Struct):
    """What is known of a question; the second half of each attempt in the cache."""

    subject: Named
    topic: Named
    subtopic: list[Named]
    difficulty: str | None
    category: list[str]


class Attempt(msgspec.Struct, rename="camel"):
    """The first half of each attempt in the cache: what the user did."""

    id: str
    question_id: str
    type: str | None
    answer: str | None
    mistake: str | None
    timing: float | None
    reaction_time: float | None
    status: str
    hints_used: int | None
    solved_at: str


USER, ID, QUESTION, SOLVED = 0, 1, 2, 10
"""Where they stand in a row of `_attempts_of`."""

_encode = msgspec.json.Encoder().encode


def active_users(scope: Scope) -> Select[tuple[str]]:
    """Every active user; those without attempts count as done, and have no key afterwards."""
    return select(users.c.id).where(users.c.active)


def cache_attempts(ctx: Context, batch: Items) -> None:
    """Writes one key for each user of the batch who has attempts in the window, and removes the others'."""
    options = msgspec.convert(ctx.options, Options)
    cached = cached_days(ctx, batch) if options.incremental else {}
    with ctx.reading() as db:
        added = _added(ctx, db, cached) if cached else {}
        anew = [user for user in batch if user not in added]
        rows = [*chain.from_iterable(added.values()), *_attempts_of(ctx, db, anew, ctx.window.until(ctx.as_of))]
        known = _questions(ctx, db, {row[QUESTION] for row in rows})
        lives = _lives(ctx, db, batch, hours(options.longest_ttl_hours)) if options.longest_ttl_hours else None
    days: dict[str, list[Any]] = {user: [] for user in batch}
    for row in rows:
        days[row[USER]].append(row)
    values: dict[str, bytes | None] = {}
    for user, day in days.items():
        try:
            new = encode_day(day, known) if day else None
        except KeyError as missing:
            ctx.fail(user, f"question {missing.args[0]} is missing")
        else:
            values[user] = _joined(cached[user].value, new) if user in added else new
    for user, why in ctx.cache.replace(
        DAY_ATTEMPTS,
        values,
        by="user",
        ttl_seconds=lives,
        compress_over=options.compress_over,
        date=ctx.window.label,
    ).items():
        ctx.fail(user, why)
        del values[user]
    ctx.count("keys", len(values) - list(values.values()).count(None))
    ctx.count("attempts", len(rows) + sum(len(cached[user].attempts) for user in added))


def encode_day(day: list[Any], known: dict[str, bytes]) -> bytes:
    """The JSON array of a user's attempts, ordered by time, then id. `known` has each question's half, encoded.

    Raises KeyError for a question that is not known.
    """
    # Sorted here: databases that other programs made may sort ids by their own alphabet.
    day.sort(key=itemgetter(SOLVED, ID))
    parts = []
    for _, id_, question, type_, answer, mistake, timing, reaction, status, hints, solved in day:
        head = _encode(
            Attempt(id_, question, type_, answer, mistake, timing, reaction, status, hints, _milliseconds(solved))
        )
        parts.append(head[:-1] + b"," + known[question])
    return b"[" + b",".join(parts) + b"]"


def _added(ctx: Context, db: Connection, cached: Mapping[str, CachedDay]) -> dict[str, list[Row[Any]]]:
    """What is to be appended for the users whose cached day need not be made anew."""
    since = made_since(ctx, db, cached, counted(ctx, db, list(cached)), _attempts_of)
    # A cached time is cut, so among the attempts of one millisecond nothing says what was last.
    return {
        user: rows
        for user, rows in since.items()
        if all(_milliseconds(row.solved_at) > _milliseconds(cached[user].attempts[-1].solved_at) for row in rows)
    }


def _joined(value: bytes, more: bytes | None) -> bytes:
    return value if more is None else value[:-1] + b"," + more[1:]


def _lives(ctx: Context, db: Connection, batch: Items, longest: timedelta) -> dict[str, int]:
    """How many seconds each user's day is kept: the longer, the more of the last seven days had attempts."""
    c, today = attempts.c, ctx.window
    week = [Window(today.start - timedelta(n), today.end - timedelta(n), "") for n in range(WEEK)]
    came = reduce(add, (func.max(case((day.holds(c.solved_at), 1), else_=0)) for day in week))
    seen = (
        select(c.user_id, came)
        .where(batch.among(c.user_id), Window(week[-1].start, today.end, "").until(ctx.as_of).holds(c.solved_at))
        .group_by(c.user_id)
    )
    more = max(timedelta(0), longest - TTL) / (WEEK - 1)
    return {user: int((TTL + max(0, days - 1) * more).total_seconds()) for user, days in db.execute(seen)}


def _attempts_of(ctx: Context, db: Connection, users: list[str], window: Window) -> Iterable[Row[Any]]:
    c = attempts.c
    made: Select[Any] = select(
        c.user_id,
        c.id,
        c.question_id,
        c.type,
        c.answer,
        c.mistake,
        c.timing,
        c.reaction_time,
        c.status,
        c.hints_used,
        # As the driver gives it: SQLite's text need not become a datetime only to become text again.
        type_coerce(c.solved_at, Text).label("solved_at"),
    ).where(ctx.among(c.user_id, users), window.holds(c.solved_at))
    return db.execute(made)


def _milliseconds(solved_at: datetime | str) -> str:
    """UTC as ISO 8601 with milliseconds and Z, cut, not rounded; from SQLite's text or PostgreSQL's time."""
    if isinstance(solved_at, str):
        if len(solved_at) == 26:
            return f"{solved_at[:10]}T{solved_at[11:23]}Z"
        solved_at = datetime.fromisoformat(solved_at).replace(tzinfo=UTC)
    return solved_at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _questions(ctx: Context, db: Connection, wanted: Iterable[str]) -> dict[str, bytes]:
    """The questions' halves, encoded once a run in each process: nearly all batches need the same ones."""
    known: dict[str, bytes] = ctx.memory.setdefault("questions", {})
    new = [question for question in wanted if question not in known]
    if not new:
        return known
    below: dict[str, list[Named]] = {}
    named = (
        select(question_subtopics.c.question_id, subtopics.c.id, subtopics.c.name)
        .join(subtopics, subtopics.c.id == question_subtopics.c.subtopic_id)
        .where(ctx.among(question_subtopics.c.question_id, new))
    )
    for question, subtopic, name in db.execute(named):
        below.setdefault(question, []).append(Named(subtopic, name))
    found = (
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
    for row in db.execute(found):
        half = Question(
            Named(row.subject_id, row.subject),
            Named(row.topic_id, row.topic),
            sorted(below.get(row.id, []), key=lambda subtopic: subtopic.id),
            row.difficulty,
            row.categories or [],
        )
        known[row.id] = _encode(half)[1:]
    return known


cache_day = Job(
    "attempts.cache_day",
    active_users,
    cache_attempts,
    results_last=TTL,
    cron="50 23 * * *",
    tz="Asia/Kolkata",
    covers=DAY,
    batch=250,  # measured: half as much work for the leader as with 50, see docs/scaling.md
    workers=8,
    limits=Limits(longest=minutes(10)),
    aliases=("cacheAttemptDay",),
    description="caches the day's attempts",
)
