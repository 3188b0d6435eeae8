"""HTTP routes: practice sessions, cache health, statistics and clearing."""

from __future__ import annotations

import secrets
from typing import Any

from jobs.practice.sessions import NotFound, find_session, new_session
from opsconsole import Unavailable
from opsconsole.cache import CacheDay
from opsconsole.extensions import ClearCache, ExtensionContext, Reply, Request, Route

MAX_DAYS = 90
SURVEY_SECONDS = 1.0
"""The time to scan keys for a response; when it is not enough, the figures are extrapolated."""


def start_session(ctx: ExtensionContext, request: Request) -> Reply:
    """Creates a practice session for `userId` in `subjectId`: 201.

    400 names a missing or invalid field, 404 the field whose value does not exist. Raises Unavailable.
    """
    fields = _text_fields(request.body, ("userId", "subjectId"))
    if isinstance(fields, Reply):
        return fields
    for name in ("userId", "subjectId"):
        if name not in fields:
            return Reply.error(400, "missing", f"{name} is required", field=name)
    try:
        session = new_session(ctx, fields["userId"], fields["subjectId"], secrets.token_hex(12))
    except NotFound as error:
        return Reply.error(404, "not_found", str(error), field=error.field)
    return Reply({"success": True, "session": session}, 201)


def show_session(ctx: ExtensionContext, request: Request) -> Reply:
    """Returns an existing session; 404 without one. Raises Unavailable."""
    session = find_session(ctx, request.path["user"], request.path["session"])
    if session is None:
        return Reply.error(404, "not_found", "this user has no such session")
    return Reply({"success": True, "session": session})


def redis_health(ctx: ExtensionContext, request: Request) -> Reply:
    """Whether Redis answers, with its main statistics; 503 when it is unreachable."""
    try:
        stats, _ = ctx.cache.statistics()
    except Unavailable as error:
        unreachable = {"connected": False, "ping": None, "stats": None, "reason": error.reason}
        return Reply({"status": "unhealthy", "redis": unreachable}, 503)
    figures = {"totalKeys": stats.keys, "memoryUsage": _memory_usage(stats.memory), "hitRate": _rate(stats.hit_rate)}
    return Reply({"status": "healthy", "redis": {"connected": True, "ping": "PONG", "stats": figures}})


def cache_stats(ctx: ExtensionContext, request: Request) -> Reply:
    """Server statistics, and keys, memory, TTLs and hit rate of each family; with `days` in the query, also the figures
    of that many days. Raises Unavailable.
    """
    days = request.query.get("days")
    if days is not None and not (days.isascii() and days.isdigit() and 1 <= int(days[:9]) <= MAX_DAYS):
        return Reply.error(400, "bad_field", f"days must be a number from 1 to {MAX_DAYS}", field="days")
    stats, recent = ctx.cache.statistics()
    survey = ctx.cache.survey(ctx.families, seconds=SURVEY_SECONDS)
    reads = ctx.cache.reads()
    families = []
    for family in ctx.families:
        sample, read = survey.families[family.name], reads.get(family.name)
        families.append(
            {
                "family": family.name,
                "pattern": family.pattern,
                "ttlSeconds": family.ttl_seconds,
                "keys": sample.keys,
                "memory": sample.memory,
                "ttl": None
                if sample.ttl is None
                else dict(zip(("shortest", "mean", "longest"), sample.ttl, strict=True)),
                "hits": read.hits if read else 0,
                "misses": read.misses if read else 0,
                "unreadable": read.garbage if read else 0,
                "failures": read.failed if read else 0,
                "hitRate": read.hit_rate if read else None,
            }
        )
    server = {
        "version": stats.version,
        "uptimeSeconds": stats.uptime_seconds,
        "ping": round(stats.ping_ms, 2),
        "memory": stats.memory,
        "memoryUsage": _memory_usage(stats.memory),
        "peakMemory": stats.peak_memory,
        "maxMemory": stats.max_memory,
        "fragmentation": stats.fragmentation,
        "clients": stats.clients,
        "opsPerSecond": stats.ops_per_second,
        "totalKeys": stats.keys,
        "hitRate": _rate(stats.hit_rate),
        "recentHitRate": recent,
        "evicted": stats.evicted,
        "expired": stats.expired,
    }
    scan = {"keys": survey.scanned, "of": survey.of, "complete": survey.done, "others": survey.others}
    document = {"connected": True, **server, "families": families, "scan": scan}
    if days is not None:
        document["days"] = [_day(each) for each in ctx.cache_days(int(days))]
    return Reply({"success": True, "stats": document})


def _day(figures: CacheDay) -> dict[str, Any]:
    """A family's figures on a day."""
    return {
        "day": figures.day.isoformat(),
        "family": figures.family,
        "hits": figures.hits,
        "misses": figures.misses,
        "failures": figures.failed,
        "hitRate": figures.hit_rate,
        "keys": figures.keys,
        "memory": figures.bytes,
    }


def _memory_usage(size: int | None) -> str | None:
    """Bytes in the form of the JSON field `memoryUsage`: `2.5MB`; None when the Redis user may not ask."""
    return None if size is None else f"{size / 1_000_000:.1f}MB"


def _text_fields(body: Any, names: tuple[str, ...]) -> dict[str, str] | Reply:
    """The given fields of a JSON object, or the error response when one is not a non-empty string."""
    if not isinstance(body, dict):
        return Reply.error(
            400, "bad_body", f"the body must be a JSON object with {' and '.join(names)}", field=names[0]
        )
    fields = {name: body[name] for name in names if body.get(name) is not None}
    for name, value in fields.items():
        if not isinstance(value, str) or not value:
            return Reply.error(400, "bad_field", f"{name} must be a non-empty string", field=name)
    return fields


def _rate(rate: float | None) -> float:
    return 0.0 if rate is None else round(rate, 4)


ROUTES = (
    Route("POST", "/api/practice/session", start_session),
    Route("GET", "/api/practice/session/{user}/{session}", show_session),
    Route("GET", "/api/health/redis", redis_health),
    Route("GET", "/api/cache/stats", cache_stats),
    Route("POST", "/api/cache/clear", ClearCache({"userId": "user", "subjectId": "subject"})),
    Route("POST", "/api/cache/invalidate", ClearCache({"userId": "user", "subjectId": "subject", "source": "source"})),
)
