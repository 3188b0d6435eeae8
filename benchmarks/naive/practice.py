"""practice.warm_cache, user by user, with the queries of a single request."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
from sqlalchemy import select

from benchmarks.naive.mapping import active_users, opened
from benchmarks.workload import Workload
from jobs.attempts.tables import attempts
from jobs.common import users
from jobs.practice import queries

HALF_AN_HOUR, AN_HOUR = 1800, 3600


def warm_cache(workload: Workload) -> int:
    """Caches the data of the first users active in the last 7 days; returns their number."""
    c = attempts.c
    lately = select(c.id).where(
        c.user_id == users.c.id, c.solved_at >= workload.as_of - timedelta(days=7), c.solved_at < workload.as_of
    )
    with opened(workload) as (session, cache):
        names = session.scalars(active_users(workload).where(lately.exists())).all()
        for user in names:
            db, who = session.connection(), queries.only_user(user)
            performance = queries.performances(db, who, workload.as_of)[user]
            cache.setex(f"user:performance:{user}", HALF_AN_HOUR, msgspec.json.encode(performance))
            current = queries.current_topics(db, who, workload.as_of)
            weak = queries.weak_concepts(db, who)
            revision = queries.revision_topics(db, who, workload.as_of)
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
