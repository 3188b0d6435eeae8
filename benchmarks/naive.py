"""The day's attempts as such jobs usually are: the ORM, and for each user a set of queries, a commit and a SETEX."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship

from jobs.attempts import tables
from jobs.common import users
from opsconsole import Json, UtcTime, Window

TTL_SECONDS = 7200


class Base(DeclarativeBase):
    """Mapped onto the tables that are there."""


class User(Base):
    """A user."""

    __tablename__ = users.name
    id: Mapped[str] = mapped_column(primary_key=True)
    active: Mapped[bool]


class Subject(Base):
    """A subject."""

    __tablename__ = tables.subjects.name
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Topic(Base):
    """A topic."""

    __tablename__ = tables.topics.name
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class QuestionSubtopic(Base):
    """Which subtopics a question has."""

    __tablename__ = tables.question_subtopics.name
    question_id: Mapped[str] = mapped_column(ForeignKey("questions.id"), primary_key=True)
    subtopic_id: Mapped[str] = mapped_column(ForeignKey("subtopics.id"), primary_key=True)


class Subtopic(Base):
    """A subtopic."""

    __tablename__ = tables.subtopics.name
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Question(Base):
    """A question with what it is about."""

    __tablename__ = tables.questions.name
    id: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[str] = mapped_column(ForeignKey("subjects.id"))
    topic_id: Mapped[str] = mapped_column(ForeignKey("topics.id"))
    difficulty: Mapped[str | None]
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
    hints_used: Mapped[int | None]
    solved_at: Mapped[datetime] = mapped_column(UtcTime)
    question: Mapped[Question | None] = relationship()


def run(data_url: str, redis_url: str, window: Window, *, limit: int) -> int:
    """Caches the day of the first `limit` active users; returns how many users it went through."""
    engine = create_engine(data_url)
    cache = redis.Redis.from_url(redis_url)
    seen = 0
    with Session(engine) as session:
        for user_id in session.scalars(select(User.id).where(User.active).order_by(User.id).limit(limit)).all():
            seen += 1
            day = session.scalars(
                select(Attempt)
                .where(Attempt.user_id == user_id, Attempt.solved_at >= window.start, Attempt.solved_at < window.end)
                .order_by(Attempt.solved_at, Attempt.id)
                .options(
                    joinedload(Attempt.question).joinedload(Question.subject),
                    joinedload(Attempt.question).joinedload(Question.topic),
                    joinedload(Attempt.question).selectinload(Question.subtopics),
                )
            ).all()
            key = f"date:user:{window.label}:{user_id}"
            if not day:
                cache.delete(key)
            elif all(attempt.question for attempt in day):
                value = json.dumps([_shown(attempt) for attempt in day], ensure_ascii=False, separators=(",", ":"))
                cache.setex(key, TTL_SECONDS, value)
            session.commit()
    engine.dispose()
    cache.close()
    return seen


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
