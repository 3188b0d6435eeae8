"""Reads cached days, and checks whether they, with later attempts, are complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, case, func, select

from jobs.attempts.tables import Status, attempts
from opsconsole import Context, Window, hours
from opsconsole.cache import Family

TTL = hours(2)
DAY_ATTEMPTS = Family(
    "attempts.day",
    "date:user:{date}:{user}",
    ttl=TTL,
    of=("user",),
    computed_from=("subjects", "topics", "subtopics", "questions", "attempts"),
    filled_by=("attempts.cache_day",),
)

MAX_TIMING = 1e100
"""Seconds. Larger values are invalid; sums of valid ones never overflow."""


class Named(msgspec.Struct):
    """A subject, topic or subtopic."""

    id: str
    name: str


class AttemptResult(msgspec.Struct, rename="camel"):
    """The parts of an attempt that rules use, read from the cache or the database."""

    status: str
    timing: float | None
    topic: Named
    difficulty: int | float | None


class CachedAttempt(AttemptResult, rename="camel"):
    """A cached attempt; decoding validates it."""

    status: Status
    timing: Annotated[float, msgspec.Meta(ge=-MAX_TIMING, le=MAX_TIMING)] | None
    id: str
    solved_at: Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, slots=True)
class CachedDay:
    """A valid cached value, raw and decoded."""

    value: bytes
    attempts: list[CachedAttempt]


AttemptReader = Callable[[Context, Connection, list[str], Window], Iterable[Row[Any]]]
"""Reads the attempts of users in a window; rows have `user_id` and `id`."""

_decode = msgspec.json.Decoder(list[CachedAttempt]).decode


def read_cached_days(ctx: Context, users: Iterable[str]) -> dict[str, CachedDay]:
    """The valid cached days by user, in one round trip. Raises Unavailable."""
    values = ctx.cache.read(DAY_ATTEMPTS, users, by="user", date=ctx.window.label)
    return {user: day for user, value in values.items() if value and (day := parse_cached_day(value, ctx.window))}


def parse_cached_day(value: bytes, window: Window) -> CachedDay | None:
    """Decodes a cached value; None unless it has attempts of that day, each once."""
    try:
        cached = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    within = all(window.start <= attempt.solved_at < window.end for attempt in cached)
    once = len({attempt.id for attempt in cached}) == len(cached) > 0
    return CachedDay(value, cached) if within and once else None


def attempt_counts(ctx: Context, db: Connection, users: list[str]) -> dict[str, int]:
    """The number of attempts by user in the window until `as_of`, without users who made none."""
    query = (
        select(attempts.c.user_id, func.count().label("attempt_count"))
        .where(ctx.among(attempts.c.user_id, users), ctx.window.until(ctx.as_of).holds(attempts.c.solved_at))
        .group_by(attempts.c.user_id)
    )
    return {row.user_id: row.attempt_count for row in db.execute(query)}


def attempts_since_cached(
    ctx: Context, db: Connection, cached: Mapping[str, CachedDay], counts: Mapping[str, int], read: AttemptReader
) -> dict[str, list[Row[Any]]]:
    """Attempts made after a user's day was cached, for users whose day they complete."""
    since: dict[str, list[Row[Any]]] = {}
    behind: dict[str, set[str]] = {}
    for user, day in cached.items():
        missing = counts.get(user, 0) - len(day.attempts)
        if missing >= 0:
            since[user] = []
        if missing > 0:
            behind[user] = {attempt.id for attempt in day.attempts}
    if not behind:
        return since
    # Cached times are truncated to milliseconds, so the last cached attempts are read again and dropped by id.
    earliest = min(max(attempt.solved_at for attempt in cached[user].attempts) for user in behind)
    for row in read(ctx, db, list(behind), replace(ctx.window.until(ctx.as_of), start=earliest)):
        if row.id not in behind[row.user_id]:
            since[row.user_id].append(row)
    for user, cached_ids in behind.items():
        if len(cached_ids) + len(since[user]) != counts[user]:
            del since[user]  # an attempt was stored late: it is older than the last cached one
    return since


def valid_timing(seconds: ColumnElement[float]) -> ColumnElement[float | None]:
    """A timing where it is valid, else NULL, so that one invalid value does not affect the mean of all."""
    return case((seconds.between(-MAX_TIMING, MAX_TIMING), seconds))
