"""Creates and reads practice sessions, from the cache or, on a miss, the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select

from jobs.practice import queries
from jobs.practice.families import (
    BY_DIFFICULTY,
    BY_SUBJECT,
    CONFIG,
    CURRENT,
    PERFORMANCE,
    REVISION,
    SESSION,
    WEAK,
    key_part,
)
from jobs.practice.generator import SessionConfig, Topics, generate
from jobs.practice.queries import Performance, only_user
from jobs.practice.tables import practice_sessions
from opsconsole.cache import CacheRequest
from opsconsole.extensions import ExtensionContext

DEFAULT = SessionConfig()


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """One practice session as returned over HTTP."""

    id: str
    user_id: str
    subject_id: str
    questions: list[str]
    created_at: datetime


class NotFound(Exception):
    """The value of a request field does not exist; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


def new_session(ctx: ExtensionContext, user: str, subject: str, session: str) -> Session:
    """Creates and stores a session. Its id `session` is also the seed of the generator.

    Raises NotFound for an unknown or inactive user and for a subject without questions; Unavailable.
    """
    performance, topics = read_learner(ctx, user, subject)
    if performance is None:
        raise NotFound("userId", "there is no active user with this id")
    config = session_config(ctx, performance)
    pool = questions(ctx, subject, config)
    if not pool:
        raise NotFound("subjectId", "this subject has no questions")
    now = ctx.now
    # Read from the database, not the cache: a question solved a moment ago must not come again.
    with ctx.writing() as db:
        solved = queries.recently_solved(db, user, now)
        created = Session(session, user, subject, generate(config, pool, topics, solved, session), now)
        db.execute(insert(practice_sessions), msgspec.structs.asdict(created))
    ctx.cache.reader.put(SESSION, created, user=user, session=session)
    return created


def find_session(ctx: ExtensionContext, user: str, session: str) -> Session | None:
    """An existing session of that user."""

    def stored(db: Connection) -> Session | None:
        c = practice_sessions.c
        row = db.execute(select(practice_sessions).where(c.id == session, c.user_id == user)).one_or_none()
        return None if row is None else Session(**row._mapping)

    compute = _from_database(ctx, stored)
    cached: Session | None = ctx.cache.reader.get(SESSION, Session | None, compute, user=user, session=session)
    return cached


def read_learner(ctx: ExtensionContext, user: str, subject: str) -> tuple[Performance | None, Topics]:
    """An active user's performance and topics in a subject, in one round trip where cached. None: no such user."""
    now, this_user, key = ctx.now, only_user(user), (user, subject)

    def topics_by(read: Callable[[Connection], queries.ByUserAndSubject]) -> Callable[[], list[str]]:
        return _from_database(ctx, lambda db: read(db).get(key, []))

    performance = _from_database(ctx, lambda db: queries.performances(db, this_user, now).get(user))
    current = topics_by(lambda db: queries.current_topics(db, this_user, now, subject))
    weak = topics_by(lambda db: queries.weak_concepts(db, this_user, subject))
    revision = topics_by(lambda db: queries.revision_topics(db, this_user, now, subject))
    cached, *lists = ctx.cache.reader.get_all(
        [
            CacheRequest(PERFORMANCE, {"user": user}, Performance | None, performance),
            *(
                CacheRequest(family, {"user": user, "subject": subject}, list[str], compute)
                for family, compute in ((CURRENT, current), (WEAK, weak), (REVISION, revision))
            ),
        ]
    )
    return cached, Topics(*lists)


def session_config(ctx: ExtensionContext, performance: Performance) -> SessionConfig:
    """The session config of the user's stream and grade, or the default."""
    stream, grade = performance.stream, performance.grade
    if stream is None or grade is None:
        return DEFAULT
    compute = _from_database(ctx, lambda db: queries.session_config(db, stream, grade))
    cached: SessionConfig | None = ctx.cache.reader.get(
        CONFIG, SessionConfig | None, compute, stream=key_part(stream), grade=key_part(grade)
    )
    return cached or DEFAULT


def questions(ctx: ExtensionContext, subject: str, config: SessionConfig) -> dict[str, list[str]]:
    """The questions that match a config, by topic."""
    # None for no questions, which is not kept as long: a new subject gets its questions soon.
    compute = _from_database(
        ctx, lambda db: queries.questions_of(db, subject, config.category, config.difficulty) or None
    )
    parts = {"subject": subject, "category": key_part(config.category)}
    family = BY_SUBJECT
    if config.difficulty is not None:
        family, parts = BY_DIFFICULTY, parts | {"difficulty": key_part(config.difficulty)}
    cached: dict[str, list[str]] | None = ctx.cache.reader.get(family, dict[str, list[str]] | None, compute, **parts)
    return cached or {}


def _from_database(ctx: ExtensionContext, read: Callable[[Connection], Any]) -> Callable[[], Any]:
    def compute() -> Any:
        with ctx.reading() as db:
            return read(db)

    return compute
