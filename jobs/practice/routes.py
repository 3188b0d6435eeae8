"""What practice answers other programs: sessions, and how its cache is."""

from __future__ import annotations

import secrets
from typing import Any

from jobs.practice.families import WEAK
from jobs.practice.sessions import Missing, find_session, new_session
from opsconsole import Unavailable
from opsconsole.cache import BadKey
from opsconsole.extensions import ExtensionContext, Reply, Request, Route

SURVEY_SECONDS = 1.0
"""So long the keys are walked through for an answer; with more keys than that the numbers are reckoned."""


def start_session(ctx: ExtensionContext, request: Request) -> Reply:
    """A new practice session for `userId` in `subjectId`: 201, 400 naming what is not said, 404 naming what is not
    there. Raises Unavailable.
    """
    said, problem = _named(request.body, ("userId", "subjectId"))
    if problem is not None:
        return problem
    for name in ("userId", "subjectId"):
        if name not in said:
            return Reply.error(400, "missing", f"say {name}", field=name)
    try:
        session = new_session(ctx, said["userId"], said["subjectId"], secrets.token_hex(12))
    except Missing as error:
        return Reply.error(404, "not_found", str(error), field=error.what)
    return Reply({"success": True, "session": session}, 201)


def show_session(ctx: ExtensionContext, request: Request) -> Reply:
    """A session that was started before; 404 where there is none. Raises Unavailable."""
    session = find_session(ctx, request.path["user"], request.path["session"])
    if session is None:
        return Reply.error(404, "not_found", "this user has no such session")
    return Reply({"success": True, "session": session})


def redis_health(ctx: ExtensionContext, request: Request) -> Reply:
    """Whether Redis answers, with its main figures; 503 when it does not."""
    try:
        stats, _ = ctx.cache.statistics()
    except Unavailable as error:
        away = {"connected": False, "ping": None, "stats": None, "reason": error.reason}
        return Reply({"status": "unhealthy", "redis": away}, 503)
    figures = {"totalKeys": stats.keys, "memoryUsage": megabytes(stats.memory), "hitRate": _rate(stats.hit_rate)}
    return Reply({"status": "healthy", "redis": {"connected": True, "ping": round(stats.ping_ms, 2), "stats": figures}})


def cache_stats(ctx: ExtensionContext, request: Request) -> Reply:
    """The server's figures, and keys, memory, lives and hit rate of each declared family. Raises Unavailable."""
    stats, recent = ctx.cache.statistics()
    told = ctx.cache.survey(ctx.families, seconds=SURVEY_SECONDS)
    reads = ctx.cache.reader.reads()
    families = []
    for family in ctx.families:
        held, read = told.families[family.name], reads.get(family.name)
        families.append(
            {
                "family": family.name,
                "pattern": family.pattern,
                "ttlSeconds": family.ttl_seconds,
                "keys": held.keys,
                "memory": held.memory,
                "ttl": None if held.ttl is None else dict(zip(("shortest", "mean", "longest"), held.ttl, strict=True)),
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
        "memoryUsage": megabytes(stats.memory),
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
    walk = {"keys": told.scanned, "of": told.of, "whole": told.done, "others": told.others}
    return Reply({"success": True, "stats": {"connected": True, **server, "families": families, "walk": walk}})


def clear_cache(ctx: ExtensionContext, request: Request) -> Reply:
    """Removes the keys of `userId`, of `subjectId`, or of both together, of all declared families: 400 when neither is
    said, or an id that no key can hold. Raises Unavailable.
    """
    said, problem = _named(request.body, ("userId", "subjectId"))
    if problem is not None:
        return problem
    if not said:
        return Reply.error(400, "missing", "say userId or subjectId: whose keys are to go", field="userId")
    for name, value in said.items():
        try:
            WEAK.glob(user=value)
        except BadKey as error:
            return Reply.error(400, "bad_field", error.sentence, field=name)
    parts = {"userId": "user", "subjectId": "subject"}
    swept = ctx.cache.clear(ctx.families, **{parts[name]: value for name, value in said.items()})
    return Reply({"success": True, "cleared": swept.total, "families": dict(swept.found)})


def megabytes(size: int) -> str:
    """Bytes as people read them: `2.5MB`."""
    return f"{size / 1_000_000:.1f}MB"


def _named(body: Any, names: tuple[str, ...]) -> tuple[dict[str, str], Reply | None]:
    """Those of the fields that are said; an answer instead when one is no text, or the body is no object."""
    if not isinstance(body, dict):
        return {}, Reply.error(400, "bad_body", f"send an object with {' and '.join(names)}", field=names[0])
    said = {name: body[name] for name in names if body.get(name) is not None}
    for name, value in said.items():
        if not isinstance(value, str) or not value:
            return {}, Reply.error(400, "bad_field", f"{name} is a text", field=name)
    return said, None


def _rate(rate: float | None) -> float:
    return 0.0 if rate is None else round(rate, 4)


ROUTES = (
    Route("POST", "/api/practice/session", start_session),
    Route("GET", "/api/practice/session/{user}/{session}", show_session),
    Route("GET", "/api/health/redis", redis_health),
    Route("GET", "/api/cache/stats", cache_stats),
    Route("POST", "/api/cache/clear", clear_cache),
)
