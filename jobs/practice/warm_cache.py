"""Fills the cache for recently active users, before the morning's use."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Select, select

from jobs.attempts.tables import attempts
from jobs.common import users
from jobs.practice import queries
from jobs.practice.families import CURRENT, PERFORMANCE, REVISION, WEAK
from jobs.practice.queries import CURRENT_PERIOD
from opsconsole import Context, Items, Job, Limits, Scope, minutes
from opsconsole.cache import Family

Entry = tuple[Family, Mapping[str, str], bytes]

_encode = msgspec.json.Encoder().encode


def recently_active_users(scope: Scope) -> Select[tuple[str]]:
    """Active users with attempts in the last 7 days."""
    c = attempts.c
    attempted = select(1).where(
        c.user_id == users.c.id, c.solved_at >= scope.as_of - CURRENT_PERIOD, c.solved_at < scope.as_of
    )
    return select(users.c.id).where(users.c.active, attempted.exists())


def warm(ctx: Context, batch: Items) -> None:
    """Caches each user's performance, and the topics of each subject attempted in the last 7 days."""
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
        user_entries: list[Entry] = [(PERFORMANCE, {"user": user}, _encode(performance))]
        for subject in subjects.get(user, ()):
            for family, topics in ((CURRENT, current), (WEAK, weak), (REVISION, revision)):
                value = _encode(topics.get((user, subject), []))
                user_entries.append((family, {"user": user, "subject": subject}, value))
        entries += user_entries
        owners += [user] * len(user_entries)
    errors = ctx.cache.fill(entries)
    for user, error in zip(owners, errors, strict=True):
        if error is not None:
            ctx.fail(user, error)
    ctx.count("keys", errors.count(None))


warm_cache = Job(
    "practice.warm_cache",
    recently_active_users,
    warm,
    cron="0 6 * * *",
    tz="Asia/Kolkata",
    batch=100,
    workers=8,
    limits=Limits(longest=minutes(10)),
    description="Fills the cache before the morning's practice",
)
