"""HTTP route for a user's cached day, for clients without access to Redis."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from jobs.attempts.cached_day import DAY_ATTEMPTS
from opsconsole.extensions import ExtensionContext, Reply, Route


class DayRequest(msgspec.Struct, frozen=True):
    """Which cached day."""

    user: str
    date: str


def cached_day(ctx: ExtensionContext, request: DayRequest) -> Reply:
    """The cached array; 404 when it is absent or not an array. Raises Unavailable."""
    user, day = request.user, request.date
    try:
        is_date = date.fromisoformat(day).isoformat() == day
    except ValueError:
        is_date = False
    if not is_date:
        return Reply.error(400, "bad_date", "date must have the form 2026-03-08", field="date")
    value = ctx.cache.read(DAY_ATTEMPTS, [user], by="user", date=day)[user]
    if value is None or not _is_array(value):
        return Reply.error(404, "not_cached", f"no attempts are cached for this user on {day}")
    return Reply(value)


def _is_array(value: bytes) -> bool:
    try:
        msgspec.json.decode(value, type=list[msgspec.Raw])
    except msgspec.DecodeError:
        return False
    return True


attempt_day_route = Route(
    "GET",
    "/cache/attempt-day/{user}/{date}",
    cached_day,
    fields=DayRequest,
    answers={200: list[dict[str, Any]]},
)
