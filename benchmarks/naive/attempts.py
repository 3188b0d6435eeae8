"""The attempts jobs, user by user."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime
from statistics import fmean
from typing import Any

import msgspec
from sqlalchemy import ForeignKey, Select, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship

from benchmarks.naive.mapping import active_users, mapped, opened
from benchmarks.workload import Workload
from jobs.attempts import tables
from jobs.attempts.cached_day import AttemptResult
from jobs.attempts.suggestion_rules import choose_suggestion
from jobs.common import users
from opsconsole.sql import Json, UtcTime

TTL_SECONDS = 7200


class Base(DeclarativeBase):
    """Base class of mappings to existing tables."""


class User(Base):
    __tablename__ = users.name
    id: Mapped[str] = mapped_column(primary_key=True)
    active: Mapped[bool]


class Subject(Base):
    __tablename__ = tables.subjects.name
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Topic(Base):
    __tablename__ = tables.topics.name
    id: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[str]
    name: Mapped[str]


class QuestionSubtopic(Base):
    __tablename__ = tables.question_subtopics.name
    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id"), primary_key=True)
    subtopic_id: Mapped[str] = mapped_column(ForeignKey("subtopics.id"), primary_key=True)


class Subtopic(Base):
    __tablename__ = tables.subtopics.name
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Question(Base):
    """A question with its subject, topic and subtopics."""

    __tablename__ = tables.questions.name
    id: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[str] = mapped_column(ForeignKey("subjects.id"))
    topic_id: Mapped[str] = mapped_column(ForeignKey("topics.id"))
    difficulty: Mapped[int | None]
    categories: Mapped[Any] = mapped_column(Json)
    subject: Mapped[Subject] = relationship()
    topic: Mapped[Topic] = relationship()
    subtopics: Mapped[list[Subtopic]] = relationship(secondary="question_subtopics", order_by=Subtopic.id)


class Attempt(Base):
    """An attempt with its question."""

    __tablename__ = tables.attempts.name
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id"))
    type: Mapped[str | None]
    answer: Mapped[str | None]
    mistake: Mapped[str | None]
    timing: Mapped[float | None]
    reaction_time: Mapped[float | None]
    status: Mapped[str]
    hints_used: Mapped[bool | None]
    solved_at: Mapped[datetime] = mapped_column(UtcTime)
    question: Mapped[Question | None] = relationship()


def _of_the_day(workload: Workload, user: str) -> Select[Attempt]:
    return (
        select(Attempt)
        .where(Attempt.user_id == user, Attempt.solved_at >= workload.window.start, Attempt.solved_at < workload.until)
        .order_by(Attempt.solved_at, Attempt.id)
        .options(joinedload(Attempt.question).joinedload(Question.topic))
    )


def cache_day(workload: Workload) -> int:
    """Caches the day of the first active users; returns their number."""
    more = (
        joinedload(Attempt.question).joinedload(Question.subject),
        joinedload(Attempt.question).selectinload(Question.subtopics),
    )
    with opened(workload) as (session, cache):
        names = session.scalars(active_users(workload)).all()
        for user in names:
            day = session.scalars(_of_the_day(workload, user).options(*more)).all()
            key = f"date:user:{workload.window.label}:{user}"
            if day:
                value = json.dumps([_shown(attempt) for attempt in day], ensure_ascii=False, separators=(",", ":"))
                cache.setex(key, TTL_SECONDS, value)
            else:
                cache.delete(key)
            session.commit()
        return len(names)


def suggest(workload: Workload) -> int:
    """Writes suggestions for the first active users from their cached days; returns their number."""
    mine = mapped(tables.suggestions)
    day = date.fromisoformat(workload.window.label)
    with opened(workload) as (session, cache):
        means = (
            select(Question.difficulty, func.avg(Attempt.timing))
            .join(Attempt.question)
            .where(Attempt.solved_at >= workload.window.start, Attempt.solved_at < workload.until)
            .group_by(Question.difficulty)
        )
        expected = {level: round(mean, 6) for level, mean in session.execute(means) if mean is not None}
        names = session.scalars(active_users(workload)).all()
        for user in names:
            value: Any = cache.get(f"date:user:{workload.window.label}:{user}")
            suggestion = choose_suggestion(
                msgspec.json.decode(value, type=list[AttemptResult]) if value else [], expected
            )
            row = {"kind": suggestion.kind.value, "message": suggestion.message, "details": suggestion.details}
            session.merge(mine(user_id=user, date=day, **row, created_at=datetime.now(UTC)))
            session.commit()
        return len(names)


def _with_attempts(session: Session, workload: Workload) -> list[str]:
    """Active users with attempts in the window."""
    made = select(Attempt.id).where(
        Attempt.user_id == users.c.id, Attempt.solved_at >= workload.window.start, Attempt.solved_at < workload.until
    )
    return list(session.scalars(active_users(workload).where(made.exists())))


def update_performance(workload: Workload) -> int:
    """Summarizes the day of the first active users with attempts; returns their number."""
    mine = mapped(tables.user_performance)
    day = date.fromisoformat(workload.window.label)
    with opened(workload) as (session, cache):
        names = _with_attempts(session, workload)
        for user in names:
            done = session.scalars(_of_the_day(workload, user)).all()
            by_subject: dict[str, list[Attempt]] = {}
            for attempt in done:
                assert attempt.question is not None
                by_subject.setdefault(attempt.question.subject_id, []).append(attempt)
            suggestion = {subject: _rates(some) for subject, some in sorted(by_subject.items())}
            reaction = [attempt.reaction_time for attempt in done if attempt.reaction_time is not None]
            row = {**_rates(done), "avg_reaction_time": round(fmean(reaction), 6) if reaction else None}
            session.merge(mine(user_id=user, date=day, **row, by_subject=suggestion))
            session.commit()
            cache.delete(f"user:performance:{user}")
        return len(names)


def _rates(done: Any) -> dict[str, Any]:
    correct = sum(attempt.status == "correct" for attempt in done)
    timing = [attempt.timing for attempt in done if attempt.timing is not None]
    mean = round(fmean(timing), 6) if timing else None
    return {"attempts": len(done), "correct": correct, "accuracy": correct / len(done), "avg_timing": mean}


def update_mastery(workload: Workload) -> int:
    """Estimates the mastery of the first active users with attempts; returns their number."""
    mine = mapped(tables.topic_mastery)
    with opened(workload) as (session, cache):
        names = _with_attempts(session, workload)
        for user in names:
            tried: Counter[Topic] = Counter()
            right: Counter[Topic] = Counter()
            last: dict[Topic, datetime] = {}
            for attempt in session.scalars(_of_the_day(workload, user)):
                assert attempt.question is not None
                topic = attempt.question.topic
                tried[topic] += 1
                right[topic] += attempt.status == "correct"
                last[topic] = attempt.solved_at
            for topic, many in tried.items():
                known = {"mastery": (right[topic] + 1) / (many + 2), "attempts": many, "last_attempt_at": last[topic]}
                session.merge(mine(user_id=user, topic_id=topic.id, **known, updated_at=datetime.now(UTC)))
            session.commit()
            cache.delete(*(f"{kind}:{user}:{topic.subject_id}" for kind in DERIVED_FROM_MASTERY for topic in tried))
        return len(names)


DERIVED_FROM_MASTERY = ("current:topics", "weak:concepts", "revision:topics")


def _shown(attempt: Attempt) -> dict[str, Any]:
    question = attempt.question
    assert question is not None
    solved_at = attempt.solved_at.astimezone(UTC)
    return {
        "id": attempt.id,
        "questionId": attempt.question_id,
        "type": attempt.type,
        "answer": attempt.answer,
        "mistake": attempt.mistake,
        "timing": attempt.timing,
        "reactionTime": attempt.reaction_time,
        "status": attempt.status,
        "hintsUsed": attempt.hints_used,
        "solvedAt": solved_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "subject": {"id": question.subject.id, "name": question.subject.name},
        "topic": {"id": question.topic.id, "name": question.topic.name},
        "subtopic": [{"id": subtopic.id, "name": subtopic.name} for subtopic in question.subtopics],
        "difficulty": question.difficulty,
        "category": question.categories or [],
    }
