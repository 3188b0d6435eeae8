"""Fills the cache for those who practise these days, just before the morning's use."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Select, select

from jobs.attempts.tables import attempts
from jobs.common import users
from jobs.practice import queries
from jobs.practice.families import CURRENT, PERFORMANCE, REVISION, WEAK
from jobs.practice.queries import CURRENT_FOR
from opsconsole import Context, Items, Job, Limits, Scope, minutes
from opsconsole.cache import Family

Entry = tuple[Family, Mapping[str, str], bytes]

_encode = msgspec.json.Encoder().encode


def active_lately(scope: Scope) -> Select[tuple[str]]:
    """Active users who attempted something in the last 7 days."""
    c = attempts.c
    tried = select(1).where(
        c.user_id == users.c.id, c.solved_at >= scope.as_of - CURRENT_FOR, c.solved_at < scope.as_of
    )
    return select(users.c.id).where(users.c.active, tried.exists())


def warm(ctx: Context, batch: Items) -> None:
    """Caches how each user of the batch does, and the user's topics in each subject that was practised lately."""
    with ctx.reading() as db:
        performances = queries.performances(db, batch.among, ctx.as_of)
        current = queries.current_topics(db, batch.among, ctx.as_of)
        weak = queries.weak_concepts(db, batch.among)
        revision = queries.revision_topics(db, batch.among, ctx.as_of)
    subjects: dict[str, list[str]] = {}
    for user, subject in current:
        subjects.setdefault(user, []).append(subject)
    owners, entries = [], []
    for user, performance in performances.items():
        mine: list[Entry] = [(PERFORMANCE, {"user": user}, _encode(performance))]
        for subject in subjects.get(user, ()):
            for family, topics in ((CURRENT, current), (WEAK, weak), (REVISION, revision)):
                value = _encode(topics.get((user, subject), []))
                mine.append((family, {"user": user, "subject": subject}, value))
        entries += mine
        owners += [user] * len(mine)
    refused = ctx.cache.fill(entries)
    for user, why in zip(owners, refused, strict=True):
        if why is not None:
            ctx.fail(user, why)
    ctx.count("keys", refused.count(None))


warm_cache = Job(
    "practice.warm_cache",
    active_lately,
    warm,
    cron="0 6 * * *",
    tz="Asia/Kolkata",
    batch=100,
    workers=8,
    limits=Limits(longest=minutes(10)),
    description="fills the cache before the morning's practice",
)
