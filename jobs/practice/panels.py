"""Panel: recent practice sessions, and the cache statistics of each family."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Text, cast, func, select

from jobs.practice.queries import parse_config
from jobs.practice.tables import practice_sessions, session_configs
from opsconsole import Unavailable
from opsconsole.cache import CacheDay, Family
from opsconsole.extensions import ExtensionContext, Panel, PanelContent, count, duration, megabytes

SURVEY_SECONDS = 0.3
"""The time to scan keys for a panel; when it is not enough, the figures are extrapolated."""
COLUMNS = ("family", "key pattern", "TTL", "keys", "memory", "hit rate", "in 7 days")
DAYS = 7


def practice_content(ctx: ExtensionContext) -> PanelContent:
    """Facts from the database, and a row per family; without Redis figures while Redis is unreachable."""
    facts = _facts(ctx)
    try:
        stats, recent = ctx.cache.statistics()
        survey = ctx.cache.survey(ctx.families, seconds=SURVEY_SECONDS)
    except Unavailable as error:
        rows_without_figures = tuple((*_declared(family), "-", "-", "-", "-") for family in ctx.families)
        return PanelContent(facts, COLUMNS, rows_without_figures, message=error.sentence)
    facts += (
        ("hit rate since Redis started", _share(stats.hit_rate)),
        ("hit rate of the last minutes", _share(recent)),
        ("keys outside declared families", f"{survey.others:,}"),
    )
    reads = ctx.cache.reads()
    history = ctx.cache_days(DAYS)
    rows = []
    for family in ctx.families:
        keys, reads_of_family = survey.families[family.name], reads.get(family.name)
        memory = "-" if keys.memory is None else megabytes(keys.memory)
        rows.append(
            (
                *_declared(family),
                f"{keys.keys:,}",
                memory,
                _share(reads_of_family.hit_rate if reads_of_family else None),
                _share_of_days([day for day in history if day.family == family.name]),
            )
        )
    message = "" if survey.done else f"extrapolated from the first {survey.scanned:,} of {survey.of:,} keys"
    return PanelContent(facts, COLUMNS, tuple(rows), message)


def _facts(ctx: ExtensionContext) -> tuple[tuple[str, str], ...]:
    since = ctx.now - timedelta(days=1)
    with ctx.reading() as db:
        sessions, users = db.execute(
            select(func.count(), func.count(practice_sessions.c.user_id.distinct())).where(
                practice_sessions.c.created_at >= since
            )
        ).one()
        configs = db.execute(select(cast(session_configs.c.config, Text))).scalars().all()
    invalid = sum(parse_config(stored) is None for stored in configs)
    suffix = f", {invalid:,} of them invalid" if invalid else ""
    return (
        ("sessions in the last 24 hours", f"{sessions:,} for {count(users, 'user')}"),
        ("session configs", f"{len(configs):,}{suffix}"),
    )


def _declared(family: Family) -> tuple[str, str, str]:
    ttl = family.ttl
    return family.name, family.pattern, "none" if ttl is None else duration(ttl)


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"


def _share_of_days(days: list[CacheDay]) -> str:
    hits, misses = sum(day.hits for day in days), sum(day.misses for day in days)
    return _share(hits / (hits + misses) if hits + misses else None)


practice_panel = Panel("Practice", practice_content)
