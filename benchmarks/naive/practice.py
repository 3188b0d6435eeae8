"""The cache that is filled before the morning's practice, user by user: the same queries as one request would make."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
from sqlalchemy import select

from benchmarks.naive.mapping import active_users, opened
from benchmarks.workload import Asked
from jobs.attempts.tables import attempts
from jobs.common import users
from jobs.practice import queries

HALF_AN_HOUR, AN_HOUR = 1800, 3600


def warm_cache(asked: Asked) -> int:
    """Caches how the first users do who attempted something in the last 7 days; returns how many these are."""
    c = attempts.c
    lately = select(c.id).where(
        c.user_id == users.c.id, c.solved_at >= asked.as_of - timedelta(days=7), c.solved_at < asked.as_of
    )
    with opened(asked) as (session, cache):
        names = session.scalars(active_users(asked).where(lately.exists())).all()
        for user in names:
            db, who = session.connection(), queries.only_user(user)
            performance = queries.performances(db, who, asked.as_of)[user]
            cache.setex(f"user:performance:{user}", HALF_AN_HOUR, msgspec.json.encode(performance))
            current = queries.current_topics(db, who, asked.as_of)
            weak = queries.weak_concepts(db, who)
            revision = queries.revision_topics(db, who, asked.as_of)
            for owner, subject in current:
                for kind, topics, ttl in (
                    ("current:topics", current, HALF_AN_HOUR),
                    ("weak:concepts", weak, AN_HOUR),
                    ("revision:topics", revision, AN_HOUR),
                ):
                    value = json.dumps(topics.get((owner, subject), []), separators=(",", ":"))
                    cache.setex(f"{kind}:{owner}:{subject}", ttl, value)
            session.commit()
        return len(names)
