"""Suggests to every user what to do next, from what they did the day before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, select

from jobs.attempts.cache_day import active_users
from jobs.attempts.cached_day import CachedDay, Done, Named, cached_days, counted, made_since, measured
from jobs.attempts.suggestion_rules import advise
from jobs.attempts.tables import attempts, questions, subjects, suggestions, topics
from jobs.attempts.upserts import differing, upsert
from jobs.common import users
from opsconsole import DAY_BEFORE, Context, Items, Job, Unavailable, Window


def expected_timings(ctx: Context) -> Mapping[str, Any]:
    """Everybody's mean timing of the day at each difficulty, in seconds: `{"expected": [[difficulty, mean], ...]}`."""
    c = attempts.c
    timing = measured(c.timing)
    # By user, although everybody counts: that finds the day by the index that begins with the user, in any length of
    # history. Outer joins, so that SQLite does not begin with all the attempts.
    means = (
        select(questions.c.difficulty, func.avg(case((questions.c.id.is_not(None), timing))))
        .select_from(users)
        .outerjoin(attempts, (c.user_id == users.c.id) & ctx.window.until(ctx.as_of).holds(c.solved_at))
        .outerjoin(questions, questions.c.id == c.question_id)
        .group_by(questions.c.difficulty)
    )
    with ctx.reading() as db:
        # Rounded: a database may add up in any order, and the last digits of the sum depend on it.
        found = [[difficulty, round(mean, 6)] for difficulty, mean in db.execute(means) if mean is not None]
    return {"expected": found}


def write_suggestions(ctx: Context, batch: Items) -> None:
    """Writes one suggestion for each user of the batch, from the cache where it has all of the day."""
    names = list(batch)
    day = date.fromisoformat(ctx.window.label)
    expected = dict(ctx.facts["expected"])
    cached = _in_the_cache(ctx, names)
    with ctx.reading() as db:
        done, hits, misses = _days(ctx, db, names, cached)
        there = (
            db.execute(select(suggestions).where(suggestions.c.date == day, batch.among(suggestions.c.user_id)))
            .mappings()
            .all()
        )
    rows = []
    for user, did in done.items():
        try:
            advice = advise(did, expected)
        except ValueError as error:
            ctx.fail(user, str(error))
            continue
        told = {"kind": advice.kind.value, "message": advice.message, "details": advice.details}
        rows.append({"user_id": user, "date": day, **told, "created_at": ctx.now})
    changed = differing(suggestions, rows, there, stamp="created_at")
    if changed:
        with ctx.writing() as db:
            upsert(db, suggestions, changed, stamp="created_at")
    ctx.count("cache_hits", hits)
    ctx.count("cache_misses", misses)
    ctx.count("suggestions", len(rows))


def _in_the_cache(ctx: Context, names: list[str]) -> dict[str, CachedDay]:
    try:
        return cached_days(ctx, names)
    except Unavailable:
        ctx.log("the cache cannot be reached: the database answers for all")
        return {}


def _days(
    ctx: Context, db: Connection, names: list[str], cached: Mapping[str, CachedDay]
) -> tuple[dict[str, list[Done]], int, int]:
    """What each user did, but for those who failed; and for how many with attempts the cache had it, and had not."""
    counts = counted(ctx, db, names)
    since = made_since(ctx, db, {user: cached[user] for user in cached if user in counts}, counts, _attempts_of)
    unread = [user for user in counts if user not in since]
    whole = _attempts_of(ctx, db, unread, ctx.window.until(ctx.as_of)) if unread else ()
    days: dict[str, list[Done]] = {user: [*cached[user].attempts] if user in since else [] for user in names}
    for row in chain(chain.from_iterable(since.values()), whole):
        if row.topic is None or row.subject is None:
            ctx.fail(row.user_id, f"question {row.question_id} is missing")
            days.pop(row.user_id, None)
        elif row.user_id in days:
            days[row.user_id].append(Done(row.status, row.timing, Named(row.topic_id, row.topic), row.difficulty))
    return days, len(since), len(unread)


def _attempts_of(ctx: Context, db: Connection, names: list[str], window: Window) -> Iterable[Row[Any]]:
    c = attempts.c
    made: Select[Any] = (
        select(
            c.user_id,
            c.id,
            c.question_id,
            c.status,
            measured(c.timing).label("timing"),
            questions.c.difficulty,
            topics.c.id.label("topic_id"),
            topics.c.name.label("topic"),
            subjects.c.id.label("subject"),
        )
        .outerjoin(questions, questions.c.id == c.question_id)
        .outerjoin(topics, topics.c.id == questions.c.topic_id)
        .outerjoin(subjects, subjects.c.id == questions.c.subject_id)
        .where(ctx.among(c.user_id, names), window.holds(c.solved_at))
    )
    return db.execute(made)


suggest = Job(
    "attempts.suggest",
    active_users,
    write_suggestions,
    prepare=expected_timings,
    cron="0 0 * * *",
    tz="Asia/Kolkata",
    covers=DAY_BEFORE,
    batch=250,  # measured on a busy machine, median of six runs over 10,000 users: 2.0 s, with 50 3.1 s
    workers=8,
    after=("attempts.cache_day",),
    aliases=("createSuggestion",),
    description="suggests what to do next",
)
