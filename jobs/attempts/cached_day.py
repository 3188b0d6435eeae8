"""A user's day as the cache has it, and whether that, with what was made since, is still all of it."""

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
DAY_ATTEMPTS = Family("attempts.day", "date:user:{date}:{user}", ttl=TTL, of=("user",), made_from=("attempts",))

LARGEST_MEASURE = 1e100
"""Seconds: more, or no number at all, is a broken measure. The sum of any number of good ones is still a number."""


class Named(msgspec.Struct):
    """A subject, topic or subtopic as readers see it."""

    id: str
    name: str


class Done(msgspec.Struct, rename="camel"):
    """What is looked at of an attempt, wherever it was read."""

    status: str
    timing: float | None
    topic: Named
    difficulty: str | None


class Seen(Done, rename="camel"):
    """An attempt as it was cached; a value that says anything else cannot be read."""

    status: Status
    timing: Annotated[float, msgspec.Meta(ge=-LARGEST_MEASURE, le=LARGEST_MEASURE)] | None
    id: str
    solved_at: Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, slots=True)
class CachedDay:
    """A value of the cache that can be read: as it is, and what it says."""

    value: bytes
    attempts: list[Seen]


Reading = Callable[[Context, Connection, list[str], Window], Iterable[Row[Any]]]
"""Reads what some users did in a window; rows have a `user_id` and an `id`."""

_decode = msgspec.json.Decoder(list[Seen]).decode


def cached_days(ctx: Context, users: Iterable[str]) -> dict[str, CachedDay]:
    """Whose day is in the cache and can be read, in one round trip. Raises Unavailable."""
    found = ctx.cache.read(DAY_ATTEMPTS, users, by="user", date=ctx.window.label)
    return {user: day for user, value in found.items() if value and (day := readable(value, ctx.window))}


def readable(value: bytes, window: Window) -> CachedDay | None:
    """A cached value, when it is attempts of that day; else None."""
    try:
        seen = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    within = all(window.start <= attempt.solved_at < window.end for attempt in seen)
    once = len({attempt.id for attempt in seen}) == len(seen) > 0
    return CachedDay(value, seen) if within and once else None


def counted(ctx: Context, db: Connection, users: list[str]) -> dict[str, int]:
    """How many attempts each user made in the window until now; nobody without any."""
    made = (
        select(attempts.c.user_id, func.count().label("made"))
        .where(ctx.among(attempts.c.user_id, users), ctx.window.until(ctx.as_of).holds(attempts.c.solved_at))
        .group_by(attempts.c.user_id)
    )
    return {row.user_id: row.made for row in db.execute(made)}


def made_since(
    ctx: Context, db: Connection, cached: Mapping[str, CachedDay], counts: Mapping[str, int], read: Reading
) -> dict[str, list[Row[Any]]]:
    """What users made after their day was cached, for those only of whom that makes the whole day."""
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
    # Cached times are cut to milliseconds, so the last cached attempts are among what is read, and known by their ids.
    earliest = min(max(attempt.solved_at for attempt in cached[user].attempts) for user in behind)
    for row in read(ctx, db, list(behind), replace(ctx.window.until(ctx.as_of), start=earliest)):
        if row.id not in behind[row.user_id]:
            since[row.user_id].append(row)
    for user, known in behind.items():
        if len(known) + len(since[user]) != counts[user]:
            del since[user]  # something came in late: it is older than what was cached last
    return since


def measured(seconds: ColumnElement[float]) -> ColumnElement[float | None]:
    """A timing where it is a number, else NULL: nobody's broken measure is to spoil everybody's mean."""
    return case((seconds.between(-LARGEST_MEASURE, LARGEST_MEASURE), seconds))
