"""What the database knows of how users learn: a few queries, for one user and for a whole batch alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, Subquery, Text, and_, case, func, select, type_coerce

from jobs.attempts.tables import Status, attempts, questions, topic_mastery, topics
from jobs.common import users
from jobs.practice.generator import SessionConfig
from jobs.practice.tables import session_configs
from opsconsole import DAY

ZONE = ZoneInfo("Asia/Kolkata")
CURRENT_FOR = timedelta(days=7)
SOLVED_FOR = timedelta(days=7)
REVISE_AFTER = timedelta(days=14)
PERFORMANCE_OVER = timedelta(days=28)
WEAK_BELOW = 0.5
KNOWN_FROM = 0.7

Who = Callable[[Any], Any]
"""The SQL condition that a column is one of the users concerned."""
ByUserAndSubject = dict[tuple[str, str], list[str]]


class Done(msgspec.Struct, frozen=True, rename="camel"):
    """Attempts, how many of them were correct, and their mean time in seconds; None where none was measured."""

    attempts: int
    correct: int
    mean_timing: float | None


class Performance(msgspec.Struct, frozen=True, rename="camel"):
    """Who a user is and how the last 28 whole days went, by topic; topics without attempts are left out."""

    stream: str | None
    grade: str | None
    by_topic: dict[str, Done] = {}


def just(user: str) -> Who:
    """The condition for one user."""
    return lambda column: column == user


def performances(db: Connection, who: Who, now: datetime) -> dict[str, Performance]:
    """How each of the active users did on the 28 local days before today: from the attempts themselves, so that it is
    right whichever jobs have run.
    """
    today = DAY.at(now, ZONE).start
    since = DAY.at(today - PERFORMANCE_OVER, ZONE).start
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
        .where(who(c.user_id), c.solved_at >= since, c.solved_at < today)
        .group_by(c.user_id, questions.c.topic_id)
    )
    done: dict[str, dict[str, Done]] = {}
    for user, topic, attempted, correct, timing in db.execute(by_topic):
        # Rounded: a database may add up in any order, and the last digits of the sum depend on it.
        mean = None if timing is None else round(timing, 3)
        done.setdefault(user, {})[topic] = Done(attempted, correct, mean)
    people = db.execute(select(users.c.id, users.c.stream, users.c.grade).where(who(users.c.id), users.c.active))
    return {
        user: Performance(stream, grade, dict(sorted(done.get(user, {}).items()))) for user, stream, grade in people
    }


def current_topics(db: Connection, who: Who, now: datetime, subject: str | None = None) -> ByUserAndSubject:
    """The topics that each user attempted in the 7 days before `now`."""
    tried = _tried(who, now - CURRENT_FOR, now)
    return _by_user_and_subject(db, select(tried), subject, tried.c.subject_id)


def weak_concepts(db: Connection, who: Who, subject: str | None = None) -> ByUserAndSubject:
    """The topics that each user knows badly: mastery under 0.5."""
    c = topic_mastery.c
    asked = (
        select(c.user_id, topics.c.subject_id, c.topic_id)
        .join(topics, topics.c.id == c.topic_id)
        .where(who(c.user_id), c.mastery < WEAK_BELOW)
    )
    return _by_user_and_subject(db, asked, subject, topics.c.subject_id)


def revision_topics(db: Connection, who: Who, now: datetime, subject: str | None = None) -> ByUserAndSubject:
    """The topics that each user knew well, mastery 0.7 or more, and did not attempt in the 14 days before `now`."""
    c = topic_mastery.c
    tried = _tried(who, now - REVISE_AFTER, now)
    asked = (
        select(c.user_id, topics.c.subject_id, c.topic_id)
        .join(topics, topics.c.id == c.topic_id)
        .outerjoin(tried, and_(tried.c.user_id == c.user_id, tried.c.topic_id == c.topic_id))
        .where(who(c.user_id), c.mastery >= KNOWN_FROM, tried.c.user_id.is_(None))
    )
    return _by_user_and_subject(db, asked, subject, topics.c.subject_id)


def solved_lately(db: Connection, user: str, now: datetime) -> set[str]:
    """The questions that a user solved correctly since 7 days before `now`."""
    c = attempts.c
    found = select(c.question_id).where(c.user_id == user, c.solved_at >= now - SOLVED_FOR, c.status == Status.CORRECT)
    return set(db.execute(found).scalars())


def questions_of(
    db: Connection, subject: str, category: str | None = None, difficulty: str | None = None
) -> dict[str, list[str]]:
    """A subject's questions by topic, those of the category and difficulty when these are named."""
    asked = select(questions.c.id, questions.c.topic_id, type_coerce(questions.c.categories, Text).label("categories"))
    asked = asked.where(questions.c.subject_id == subject).order_by(questions.c.id)
    if difficulty is not None:
        asked = asked.where(questions.c.difficulty == difficulty)
    pool: dict[str, list[str]] = {}
    for question, topic, categories in db.execute(asked):
        if category is None or category in _categories(categories):
            pool.setdefault(topic, []).append(question)
    return pool


def session_config(db: Connection, stream: str, grade: str) -> SessionConfig | None:
    """How sessions of a stream and grade are put together; None where nothing is said, or nothing that can be read."""
    c = session_configs.c
    said = db.execute(
        select(type_coerce(c.config, Text)).where(c.stream == stream, c.grade == grade)
    ).scalar_one_or_none()
    return None if said is None else readable_config(said)


def readable_config(said: str) -> SessionConfig | None:
    """A config as it is stored; None when it is none."""
    try:
        return msgspec.json.decode(said, type=SessionConfig)
    except (msgspec.DecodeError, RecursionError):
        return None


def _tried(who: Who, since: datetime, until: datetime) -> Subquery:
    """User, subject and topic of all attempts in [since, until), each once."""
    c = attempts.c
    return (
        select(c.user_id, questions.c.subject_id, questions.c.topic_id)
        .join(questions, questions.c.id == c.question_id)
        .where(who(c.user_id), c.solved_at >= since, c.solved_at < until)
        .distinct()
        .subquery()
    )


def _by_user_and_subject(db: Connection, asked: Any, subject: str | None, column: Any) -> ByUserAndSubject:
    if subject is not None:
        asked = asked.where(column == subject)
    found: ByUserAndSubject = {}
    for user, of, topic in db.execute(asked):
        found.setdefault((user, of), []).append(topic)
    for names in found.values():
        names.sort()
    return found


def _categories(said: str | None) -> list[str]:
    try:
        return msgspec.json.decode(said or "[]", type=list[str])
    except (msgspec.DecodeError, RecursionError):
        return []
