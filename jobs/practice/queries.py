"""Queries about users' learning, for one user or a whole batch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, Subquery, Text, and_, case, cast, func, select

from jobs.attempts.tables import Status, attempts, questions, topic_mastery, topics
from jobs.common import users
from jobs.practice.generator import SessionConfig
from jobs.practice.tables import session_configs
from opsconsole import DAY

ZONE = ZoneInfo("Asia/Kolkata")
CURRENT_PERIOD = timedelta(days=7)
SOLVED_PERIOD = timedelta(days=7)
REVISE_AFTER = timedelta(days=14)
PERFORMANCE_PERIOD = timedelta(days=28)
WEAK_BELOW = 0.5
MASTERED_FROM = 0.7

UserFilter = Callable[[Any], Any]
"""Returns the SQL condition that a column has one of the selected users."""
ByUserAndSubject = dict[tuple[str, str], list[str]]


class TopicStats(msgspec.Struct, frozen=True, rename="camel"):
    """A user's attempts at a topic; the mean timing is in seconds, None without timings."""

    attempts: int
    correct: int
    mean_timing: float | None


class Performance(msgspec.Struct, frozen=True, rename="camel"):
    """A user's stream, grade and results of the last 28 whole days by topic, without topics that have no attempts."""

    stream: str | None
    grade: str | None
    by_topic: dict[str, TopicStats] = {}


def only_user(user: str) -> UserFilter:
    """A filter for one user."""
    return lambda column: column == user


def performances(db: Connection, user_filter: UserFilter, now: datetime) -> dict[str, Performance]:
    """The performance of each selected active user on the 28 local days before today.

    It is computed from the attempts, so it does not depend on which jobs have run.
    """
    today = DAY.at(now, ZONE).start
    since = DAY.at(today - PERFORMANCE_PERIOD, ZONE).start
    c = attempts.c
    by_topic = (
        select(
            c.user_id,
            questions.c.topic_id,
            func.count(),
            func.count(case((c.status == Status.CORRECT, 1))),
            func.avg(c.timing),
        )
        .join(questions, questions.c.id == c.question_id)
        .where(user_filter(c.user_id), c.solved_at >= since, c.solved_at < today)
        .group_by(c.user_id, questions.c.topic_id)
    )
    topic_stats: dict[str, dict[str, TopicStats]] = {}
    for user, topic, attempted, correct, timing in db.execute(by_topic):
        # Rounded: the order of summation is not fixed, and the last digits depend on it.
        mean = None if timing is None else round(timing, 3)
        topic_stats.setdefault(user, {})[topic] = TopicStats(attempted, correct, mean)
    active_users = db.execute(
        select(users.c.id, users.c.stream, users.c.grade).where(user_filter(users.c.id), users.c.active)
    )
    return {
        user: Performance(stream, grade, dict(sorted(topic_stats.get(user, {}).items())))
        for user, stream, grade in active_users
    }


def current_topics(
    db: Connection, user_filter: UserFilter, now: datetime, subject: str | None = None
) -> ByUserAndSubject:
    """The topics that each user attempted in the 7 days before `now`."""
    attempted = _attempted_topics(user_filter, now - CURRENT_PERIOD, now)
    return _by_user_and_subject(db, select(attempted), subject, attempted.c.subject_id)


def weak_concepts(db: Connection, user_filter: UserFilter, subject: str | None = None) -> ByUserAndSubject:
    """Each user's topics with mastery under 0.5."""
    c = topic_mastery.c
    query = (
        select(c.user_id, topics.c.subject_id, c.topic_id)
        .join(topics, topics.c.id == c.topic_id)
        .where(user_filter(c.user_id), c.mastery < WEAK_BELOW)
    )
    return _by_user_and_subject(db, query, subject, topics.c.subject_id)


def revision_topics(
    db: Connection, user_filter: UserFilter, now: datetime, subject: str | None = None
) -> ByUserAndSubject:
    """Each user's topics with mastery of 0.7 or more and no attempt in the 14 days before `now`."""
    c = topic_mastery.c
    attempted = _attempted_topics(user_filter, now - REVISE_AFTER, now)
    query = (
        select(c.user_id, topics.c.subject_id, c.topic_id)
        .join(topics, topics.c.id == c.topic_id)
        .outerjoin(attempted, and_(attempted.c.user_id == c.user_id, attempted.c.topic_id == c.topic_id))
        .where(user_filter(c.user_id), c.mastery >= MASTERED_FROM, attempted.c.user_id.is_(None))
    )
    return _by_user_and_subject(db, query, subject, topics.c.subject_id)


def recently_solved(db: Connection, user: str, now: datetime) -> set[str]:
    """The questions that a user solved correctly in the 7 days before `now`."""
    c = attempts.c
    query = select(c.question_id).where(
        c.user_id == user, c.solved_at >= now - SOLVED_PERIOD, c.status == Status.CORRECT
    )
    return set(db.execute(query).scalars())


def questions_of(
    db: Connection, subject: str, category: str | None = None, difficulty: float | None = None
) -> dict[str, list[str]]:
    """A subject's questions by topic, optionally of one category and difficulty."""
    query = select(questions.c.id, questions.c.topic_id, cast(questions.c.categories, Text).label("categories"))
    query = query.where(questions.c.subject_id == subject).order_by(questions.c.id)
    if difficulty is not None:
        query = query.where(questions.c.difficulty == difficulty)
    pool: dict[str, list[str]] = {}
    for question, topic, categories in db.execute(query):
        if category is None or category in _categories(categories):
            pool.setdefault(topic, []).append(question)
    return pool


def session_config(db: Connection, stream: str, grade: str) -> SessionConfig | None:
    """The session config of a stream and grade; None when it is missing or invalid."""
    c = session_configs.c
    stored = db.execute(select(cast(c.config, Text)).where(c.stream == stream, c.grade == grade)).scalar_one_or_none()
    return None if stored is None else parse_config(stored)


def parse_config(stored: str) -> SessionConfig | None:
    """Decodes a stored config; None when it is invalid."""
    try:
        return msgspec.json.decode(stored, type=SessionConfig)
    except (msgspec.DecodeError, RecursionError):
        return None


def _attempted_topics(user_filter: UserFilter, since: datetime, until: datetime) -> Subquery:
    """The distinct user, subject and topic of all attempts in [since, until)."""
    c = attempts.c
    return (
        select(c.user_id, questions.c.subject_id, questions.c.topic_id)
        .join(questions, questions.c.id == c.question_id)
        .where(user_filter(c.user_id), c.solved_at >= since, c.solved_at < until)
        .distinct()
        .subquery()
    )


def _by_user_and_subject(db: Connection, query: Any, subject: str | None, column: Any) -> ByUserAndSubject:
    if subject is not None:
        query = query.where(column == subject)
    topics_by_key: ByUserAndSubject = {}
    for user, topic_subject, topic in db.execute(query):
        topics_by_key.setdefault((user, topic_subject), []).append(topic)
    for names in topics_by_key.values():
        names.sort()
    return topics_by_key


def _categories(stored: str | None) -> list[str]:
    try:
        return msgspec.json.decode(stored or "[]", type=list[str])
    except (msgspec.DecodeError, RecursionError):
        return []
