"""Answers with a user's cached day, for programs that do not speak to Redis."""

from __future__ import annotations

from datetime import date

import msgspec

from jobs.attempts.cached_day import DAY_ATTEMPTS
from opsconsole.extensions import ExtensionContext, Reply, Request, Route


def cached_day(ctx: ExtensionContext, request: Request) -> Reply:
    """The array as it was cached; 404 where there is none, or something else. Raises Unavailable."""
    user, day = request.path["user"], request.path["date"]
    try:
        named = date.fromisoformat(day).isoformat() == day
    except ValueError:
        named = False
    if not named:
        return Reply.error(400, "bad_date", "write the date as 2026-03-08", field="date")
    value = ctx.cache.read(DAY_ATTEMPTS, [user], by="user", date=day)[user]
    if value is None or not _is_array(value):
        return Reply.error(404, "not_cached", f"nothing is cached for this user on {day}")
    return Reply(value)


def _is_array(value: bytes) -> bool:
    try:
        msgspec.json.decode(value, type=list[msgspec.Raw])
    except msgspec.DecodeError:
        return False
    return True


attempt_day = Route("GET", "/cache/attempt-day/{user}/{date}", cached_day)
