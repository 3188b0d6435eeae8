"""Writes a suggestion for each user, based on the attempts of the day before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from jobs.attempts.cache_day import active_users
from jobs.attempts.cached_day import (
    AttemptResult,
    CachedDay,
    Named,
    attempt_counts,
    attempts_since_cached,
    read_cached_days,
    valid_timing,
)
from jobs.attempts.oldest import first_attempt
from jobs.attempts.suggestion_rules import choose_suggestion
from jobs.attempts.tables import attempts, questions, subjects, suggestions, topics
from jobs.attempts.upserts import changed_rows, upsert
from jobs.common import users
from opsconsole import DAY_BEFORE, Context, Items, Job, Unavailable, Window


def expected_timings(ctx: Context) -> Mapping[str, Any]:
    """The mean timing of all users by difficulty, in seconds: `{"expected": [[difficulty, mean], ...]}`."""
    c = attempts.c
    timing = valid_timing(c.timing)
    # Joined by user, although all users count: this reads only the day, through the index on user and time, however
    # long the history is. With an outer join, as otherwise SQLite starts with the attempts; and summed by question
    # first, so that each question is looked up once.
    by_question = (
        select(c.question_id, func.sum(timing).label("total"), func.count(timing).label("timings"))
        .select_from(users)
        .outerjoin(attempts, (c.user_id == users.c.id) & ctx.window.until(ctx.as_of).holds(c.solved_at))
        .group_by(c.question_id)
        .subquery()
    )
    means = (
        select(questions.c.difficulty, func.sum(by_question.c.total) / func.nullif(func.sum(by_question.c.timings), 0))
        .join_from(by_question, questions, questions.c.id == by_question.c.question_id)
        .group_by(questions.c.difficulty)
    )
    with ctx.reading() as db:
        # Rounded: the order of summation is not fixed, and the last digits depend on it.
        expected = [[difficulty, round(mean, 6)] for difficulty, mean in db.execute(means) if mean is not None]
    return {"expected": expected}


def write_suggestions(ctx: Context, batch: Items) -> None:
    """Writes one suggestion per user, from the cache where it has the whole day."""
    names = list(batch)
    day = date.fromisoformat(ctx.window.label)
    expected = dict(ctx.facts["expected"])
    cached = _read_cache(ctx, names)
    with ctx.reading() as db:
        by_user, hits, misses = _days(ctx, db, names, cached)
        existing = (
            db.execute(select(suggestions).where(suggestions.c.date == day, batch.among(suggestions.c.user_id)))
            .mappings()
            .all()
        )
    rows = []
    for user, day_attempts in by_user.items():
        try:
            suggestion = choose_suggestion(day_attempts, expected)
        except ValueError as error:
            ctx.fail(user, str(error), kind="unknown_status")
            continue
        rows.append(
            {
                "user_id": user,
                "date": day,
                "kind": suggestion.kind.value,
                "message": suggestion.message,
                "details": suggestion.details,
                "created_at": ctx.now,
            }
        )
    changed = changed_rows(suggestions, rows, existing, stamp="created_at")
    if changed:
        with ctx.writing() as db:
            upsert(db, suggestions, changed, stamp="created_at")
    ctx.count("cache_hits", hits)
    ctx.count("cache_misses", misses)
    ctx.count("suggestions", len(rows))


def _read_cache(ctx: Context, names: list[str]) -> dict[str, CachedDay]:
    try:
        return read_cached_days(ctx, names)
    except Unavailable:
        ctx.log("the cache is unreachable; all attempts are read from the database")
        return {}


def _days(
    ctx: Context, db: Connection, names: list[str], cached: Mapping[str, CachedDay]
) -> tuple[dict[str, list[AttemptResult]], int, int]:
    """Each user's attempts, without users who failed, and the numbers of cache hits and misses."""
    counts = attempt_counts(ctx, db, names)
    since = attempts_since_cached(
        ctx, db, {user: cached[user] for user in cached if user in counts}, counts, _attempts_of
    )
    uncached = [user for user in counts if user not in since]
    from_database = _attempts_of(ctx, db, uncached, ctx.window.until(ctx.as_of)) if uncached else ()
    days: dict[str, list[AttemptResult]] = {user: [*cached[user].attempts] if user in since else [] for user in names}
    for row in chain(chain.from_iterable(since.values()), from_database):
        if row.topic is None or row.subject is None:
            ctx.fail(row.user_id, f"question {row.question_id} is missing", kind="question_missing")
            days.pop(row.user_id, None)
        elif row.user_id in days:
            days[row.user_id].append(
                AttemptResult(row.status, row.timing, Named(row.topic_id, row.topic), row.difficulty)
            )
    return days, len(since), len(uncached)


def _attempts_of(ctx: Context, db: Connection, names: list[str], window: Window) -> Iterable[Row[Any]]:
    c = attempts.c
    query: Select[Any] = (
        select(
            c.user_id,
            c.id,
            c.question_id,
            c.status,
            valid_timing(c.timing).label("timing"),
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
    return db.execute(query)


suggest = Job(
    "attempts.suggest",
    active_users,
    write_suggestions,
    prepare=expected_timings,
    cron="0 0 * * *",
    tz="Asia/Kolkata",
    covers=DAY_BEFORE,
    oldest=first_attempt,
    batch=1000,  # measured with 20,000 users on SQLite: a quarter less processor time than with 250
    workers=8,
    after=("attempts.cache_day",),
    aliases=("createSuggestion",),
    description="Writes each user's suggestion of what to do next",
)
