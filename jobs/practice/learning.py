"""What the database knows of how users learn: a few queries, for one user and for a whole batch alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, Subquery, Text, and_, select, type_coerce

from jobs.attempts.tables import Status, attempts, questions, topic_mastery, topics, user_performance
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
    """Attempts, and how many of them were correct."""

    attempts: int = 0
    correct: int = 0

    @property
    def accuracy(self) -> float | None:
        """Correct ones of all; None without attempts."""
        return self.correct / self.attempts if self.attempts else None

    def and_also(self, other: Done) -> Done:
        """The sum of both."""
        return Done(self.attempts + other.attempts, self.correct + other.correct)


class Performance(msgspec.Struct, frozen=True, rename="camel"):
    """Who a user is and how the last 28 whole days went: on how many of them there were attempts, what came of them,
    and that by subject. `unreadable` are dates whose sums by subject could not be read.
    """

    stream: str | None
    grade: str | None
    days: int = 0
    done: Done = Done()
    by_subject: dict[str, Done] = {}
    unreadable: list[str] = []


def just(user: str) -> Who:
    """The condition for one user."""
    return lambda column: column == user


def performances(db: Connection, who: Who, now: datetime) -> dict[str, Performance]:
    """How each of the active users did on the 28 local days before today."""
    today = DAY.at(now, ZONE).start.astimezone(ZONE).date()
    c = user_performance.c
    lately = and_(c.user_id == users.c.id, c.date >= today - PERFORMANCE_OVER, c.date < today)
    rows = db.execute(
        select(
            users.c.id,
            users.c.stream,
            users.c.grade,
            c.date,
            c.attempts,
            c.correct,
            type_coerce(c.by_subject, Text).label("by_subject"),
        )
        .outerjoin(user_performance, lately)
        .where(who(users.c.id), users.c.active)
        .order_by(users.c.id, c.date)
    )
    of_user: dict[str, list[Any]] = {}
    for row in rows:
        of_user.setdefault(row.id, []).append(row)
    return {user: _performance(days) for user, days in of_user.items()}


def _performance(days: list[Any]) -> Performance:
    done, by_subject, unreadable, practised = Done(), dict[str, Done](), list[str](), 0
    for day in days:
        if day.date is None:
            continue  # the only row of a user without any
        practised += 1
        done = done.and_also(Done(day.attempts, day.correct))
        try:
            of_day = msgspec.json.decode(day.by_subject, type=dict[str, Done])
        except (msgspec.DecodeError, RecursionError):
            unreadable.append(day.date.isoformat())
            continue
        for subject, more in of_day.items():
            by_subject[subject] = by_subject.get(subject, Done()).and_also(more)
    return Performance(days[0].stream, days[0].grade, practised, done, by_subject, unreadable)


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
