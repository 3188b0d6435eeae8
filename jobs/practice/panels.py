"""What the console shows of practice: sessions of the last day, and what the cache holds of each family."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Text, func, select, type_coerce

from jobs.practice.queries import readable_config
from jobs.practice.tables import practice_sessions, session_configs
from opsconsole import Unavailable
from opsconsole.cache import Family
from opsconsole.extensions import ExtensionContext, Panel, PanelContent

SURVEY_SECONDS = 0.3
"""A panel is looked at by somebody who waits; with more keys than that the numbers are reckoned."""
COLUMNS = ("family", "keys are called", "live", "keys", "memory", "hit rate here")


def cached(ctx: ExtensionContext) -> PanelContent:
    """Facts of the tables, and a row for each declared family; without figures of Redis while it is away."""
    facts = _facts(ctx)
    try:
        stats, recent = ctx.cache.statistics()
        told = ctx.cache.survey(ctx.families, seconds=SURVEY_SECONDS)
    except Unavailable as error:
        nothing = tuple((*_declared(family), "-", "-", "-") for family in ctx.families)
        return PanelContent(facts, COLUMNS, nothing, message=error.sentence)
    facts += (
        ("hit rate since Redis began", _share(stats.hit_rate)),
        ("over the last minutes", _share(recent)),
        ("keys of other programs", f"{told.others:,}"),
    )
    reads = ctx.cache.reader.reads()
    rows = []
    for family in ctx.families:
        held, read = told.families[family.name], reads.get(family.name)
        memory = "-" if held.memory is None else f"{held.memory / 1e6:,.1f} MB"
        rows.append((*_declared(family), f"{held.keys:,}", memory, _share(read.hit_rate if read else None)))
    says = "" if told.done else f"reckoned from the first {told.scanned:,} of {told.of:,} keys"
    return PanelContent(facts, COLUMNS, tuple(rows), says)


def _facts(ctx: ExtensionContext) -> tuple[tuple[str, str], ...]:
    since = ctx.now - timedelta(days=1)
    with ctx.reading() as db:
        sessions, people = db.execute(
            select(func.count(), func.count(practice_sessions.c.user_id.distinct())).where(
                practice_sessions.c.created_at >= since
            )
        ).one()
        configs = db.execute(select(type_coerce(session_configs.c.config, Text))).scalars().all()
    bad = sum(readable_config(said) is None for said in configs)
    unreadable = f", {bad:,} of them unreadable" if bad else ""
    return (
        ("sessions in the last 24 hours", f"{sessions:,} for {people:,} users"),
        ("session configs", f"{len(configs):,}{unreadable}"),
    )


def _declared(family: Family) -> tuple[str, str, str]:
    ttl = family.ttl
    lives = "for good" if ttl is None else f"{ttl / timedelta(minutes=1):,.0f} min"
    return family.name, family.pattern, lives


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"


practice_cache = Panel("Practice", cached)
