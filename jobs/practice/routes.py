"""HTTP routes: practice sessions, cache health, statistics and clearing."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from jobs.practice.sessions import NotFound, Session, find_session, new_session
from opsconsole import Unavailable
from opsconsole.cache import CacheDay
from opsconsole.extensions import Answer, ClearCache, ExtensionContext, Reply, Request, Route

MAX_DAYS = 90
SURVEY_SECONDS = 1.0
"""The time to scan keys for a response; when it is not enough, the figures are extrapolated."""


class SessionRequest(Struct, frozen=True, rename="camel"):
    """Whose session, and in which subject."""

    user_id: Annotated[str, Meta(min_length=1)]
    subject_id: Annotated[str, Meta(min_length=1)]


class SessionAnswer(Answer, frozen=True, kw_only=True):
    """A practice session."""

    session: Session


class StoredSessionRequest(Struct, frozen=True):
    """Which session of which user."""

    user: str
    session: str


class RedisFigures(Struct, frozen=True, rename="camel"):
    """The main statistics of Redis; null where its user may not read them."""

    total_keys: int | None
    memory_usage: str | None
    hit_rate: float


class RedisState(Struct, frozen=True):
    """Whether Redis answers."""

    connected: bool
    ping: str | None
    stats: RedisFigures | None
    reason: str | UnsetType = UNSET


class RedisHealth(Struct, frozen=True):
    """The state of Redis."""

    status: Literal["healthy", "unhealthy"]
    redis: RedisState


class Lifetimes(Struct, frozen=True):
    """Seconds until keys expire."""

    shortest: float
    mean: float
    longest: float


class FamilyFigures(Struct, frozen=True, rename="camel"):
    """The keys of a family and how they are read. `memory` is in bytes."""

    family: str
    pattern: str
    ttl_seconds: int | None
    keys: int
    memory: int | None
    ttl: Lifetimes | None
    hits: int
    misses: int
    unreadable: int
    failures: int
    hit_rate: float | None


class ScanFigures(Struct, frozen=True):
    """How many keys were looked at, and how many of them belong to no family."""

    keys: int
    of: int | None
    complete: bool
    others: int


class DayFigures(Struct, frozen=True, rename="camel"):
    """A family's figures on a day."""

    day: str
    family: str
    hits: int
    misses: int
    failures: int
    hit_rate: float | None
    keys: int | None
    memory: int | None


class CacheFigures(Struct, frozen=True, kw_only=True, rename="camel"):
    """The figures of the server, null where its user may not read them, and of each family."""

    connected: bool = True
    version: str | None
    uptime_seconds: int | None
    ping: float
    memory: int | None
    memory_usage: str | None
    peak_memory: int | None
    max_memory: int | None
    fragmentation: float | None
    clients: int | None
    ops_per_second: int | None
    total_keys: int | None
    hit_rate: float
    recent_hit_rate: float | None
    evicted: int | None
    expired: int | None
    families: list[FamilyFigures]
    scan: ScanFigures
    days: list[DayFigures] | UnsetType = UNSET


class CacheStatsRequest(Struct, frozen=True):
    """With how many days of figures."""

    days: Annotated[int, Meta(ge=1, le=MAX_DAYS)] | None = None


class CacheStatsAnswer(Answer, frozen=True, kw_only=True):
    """The figures of Redis and of each family of keys."""

    stats: CacheFigures


def start_session(ctx: ExtensionContext, request: SessionRequest) -> Reply:
    """Creates a practice session for `userId` in `subjectId`: 201.

    400 names a missing or invalid field, 404 the field whose value does not exist. Raises Unavailable.
    """
    try:
        session = new_session(ctx, request.user_id, request.subject_id, secrets.token_hex(12))
    except NotFound as error:
        return Reply.error(404, "not_found", str(error), field=error.field)
    return Reply(SessionAnswer(session=session), 201)


def show_session(ctx: ExtensionContext, request: StoredSessionRequest) -> Reply:
    """Returns an existing session; 404 without one. Raises Unavailable."""
    session = find_session(ctx, request.user, request.session)
    if session is None:
        return Reply.error(404, "not_found", "this user has no such session")
    return Reply(SessionAnswer(session=session))


def redis_health(ctx: ExtensionContext, _request: Request) -> Reply:
    """Whether Redis answers, with its main statistics; 503 when it is unreachable."""
    try:
        stats, _ = ctx.cache.statistics()
    except Unavailable as error:
        state = RedisState(connected=False, ping=None, stats=None, reason=error.reason)
        return Reply(RedisHealth("unhealthy", state), 503)
    figures = RedisFigures(stats.keys, _memory_usage(stats.memory), _rate(stats.hit_rate))
    return Reply(RedisHealth("healthy", RedisState(connected=True, ping="PONG", stats=figures)))


def cache_stats(ctx: ExtensionContext, request: CacheStatsRequest) -> Reply:
    """Server statistics, and keys, memory, TTLs and hit rate of each family; with `days` in the query, also the figures
    of that many days. Raises Unavailable.
    """
    stats, recent = ctx.cache.statistics()
    survey = ctx.cache.survey(ctx.families, seconds=SURVEY_SECONDS)
    reads = ctx.cache.reads()
    families = []
    for family in ctx.families:
        sample, read = survey.families[family.name], reads.get(family.name)
        families.append(
            FamilyFigures(
                family=family.name,
                pattern=family.pattern,
                ttl_seconds=family.ttl_seconds,
                keys=sample.keys,
                memory=sample.memory,
                ttl=None if sample.ttl is None else Lifetimes(*sample.ttl),
                hits=read.hits if read else 0,
                misses=read.misses if read else 0,
                unreadable=read.garbage if read else 0,
                failures=read.failed if read else 0,
                hit_rate=read.hit_rate if read else None,
            )
        )
    figures = CacheFigures(
        version=stats.version,
        uptime_seconds=stats.uptime_seconds,
        ping=round(stats.ping_ms, 2),
        memory=stats.memory,
        memory_usage=_memory_usage(stats.memory),
        peak_memory=stats.peak_memory,
        max_memory=stats.max_memory,
        fragmentation=stats.fragmentation,
        clients=stats.clients,
        ops_per_second=stats.ops_per_second,
        total_keys=stats.keys,
        hit_rate=_rate(stats.hit_rate),
        recent_hit_rate=recent,
        evicted=stats.evicted,
        expired=stats.expired,
        families=families,
        scan=ScanFigures(survey.scanned, survey.of, survey.done, survey.others),
        days=UNSET if request.days is None else [_day(each) for each in ctx.cache_days(request.days)],
    )
    return Reply(CacheStatsAnswer(stats=figures))


def _day(figures: CacheDay) -> DayFigures:
    return DayFigures(
        day=figures.day.isoformat(),
        family=figures.family,
        hits=figures.hits,
        misses=figures.misses,
        failures=figures.failed,
        hit_rate=figures.hit_rate,
        keys=figures.keys,
        memory=figures.bytes,
    )


def _memory_usage(size: int | None) -> str | None:
    """Bytes in the form of the JSON field `memoryUsage`: `2.5MB`; None when the Redis user may not ask."""
    return None if size is None else f"{size / 1_000_000:.1f}MB"


def _rate(rate: float | None) -> float:
    return 0.0 if rate is None else round(rate, 4)


ROUTES = (
    Route("POST", "/api/practice/session", start_session, fields=SessionRequest, answers={201: SessionAnswer}),
    Route(
        "GET",
        "/api/practice/session/{user}/{session}",
        show_session,
        fields=StoredSessionRequest,
        answers={200: SessionAnswer},
    ),
    Route("GET", "/api/health/redis", redis_health, answers={200: RedisHealth, 503: RedisHealth}),
    Route("GET", "/api/cache/stats", cache_stats, fields=CacheStatsRequest, answers={200: CacheStatsAnswer}),
    Route("POST", "/api/cache/clear", ClearCache({"userId": "user", "subjectId": "subject"})),
    Route("POST", "/api/cache/invalidate", ClearCache({"userId": "user", "subjectId": "subject", "source": "source"})),
)
