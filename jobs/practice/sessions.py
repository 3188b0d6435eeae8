"""Practice sessions for other programs: put together from the cache, or from the database where there is none."""

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
    word,
)
from jobs.practice.generator import SessionConfig, Topics, generate
from jobs.practice.queries import Performance, just
from jobs.practice.tables import practice_sessions
from opsconsole.cache import CacheRequest
from opsconsole.extensions import ExtensionContext

DEFAULT = SessionConfig()


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """One practice session as other programs see it."""

    id: str
    user_id: str
    subject_id: str
    questions: list[str]
    created_at: datetime


class Missing(Exception):
    """There is no such thing to practise with; `what` names the field of the question."""

    def __init__(self, what: str, says: str) -> None:
        self.what = what
        super().__init__(says)


def new_session(ctx: ExtensionContext, user: str, subject: str, session: str) -> Session:
    """Puts a session together and stores it under the id `session`, which is its seed too.

    Raises Missing for a user who is not there or not active, and for a subject without questions; Unavailable.
    """
    performance, topics = look_up(ctx, user, subject)
    if performance is None:
        raise Missing("userId", "there is no active user of that id")
    config = config_of(ctx, performance)
    pool = questions(ctx, subject, config)
    if not pool:
        raise Missing("subjectId", "there are no questions to practise in that subject")
    now = ctx.now
    # One short transaction; what was solved a moment ago is not in the cache, and must not come again.
    with ctx.writing() as db:
        solved = queries.solved_lately(db, user, now)
        made = Session(session, user, subject, generate(config, pool, topics, solved, session), now)
        db.execute(insert(practice_sessions), msgspec.structs.asdict(made))
    ctx.cache.reader.put(SESSION, made, user=user, session=session)
    return made


def find_session(ctx: ExtensionContext, user: str, session: str) -> Session | None:
    """A session of that user that was put together before."""

    def stored(db: Connection) -> Session | None:
        c = practice_sessions.c
        row = db.execute(select(practice_sessions).where(c.id == session, c.user_id == user)).one_or_none()
        return None if row is None else Session(**row._mapping)

    compute = _from_database(ctx, stored)
    found: Session | None = ctx.cache.reader.get(SESSION, Session | None, compute, user=user, session=session)
    return found


def look_up(ctx: ExtensionContext, user: str, subject: str) -> tuple[Performance | None, Topics]:
    """Who an active user is, and the user's topics in a subject; in one round trip where they are cached."""
    now, who, place = ctx.now, just(user), (user, subject)

    def topics_by(read: Callable[[Connection], queries.ByUserAndSubject]) -> Callable[[], list[str]]:
        return _from_database(ctx, lambda db: read(db).get(place, []))

    performance = _from_database(ctx, lambda db: queries.performances(db, who, now).get(user))
    current = topics_by(lambda db: queries.current_topics(db, who, now, subject))
    weak = topics_by(lambda db: queries.weak_concepts(db, who, subject))
    revision = topics_by(lambda db: queries.revision_topics(db, who, now, subject))
    found, *lists = ctx.cache.reader.get_all(
        [
            CacheRequest(PERFORMANCE, {"user": user}, Performance | None, performance),
            *(
                CacheRequest(family, {"user": user, "subject": subject}, list[str], compute)
                for family, compute in ((CURRENT, current), (WEAK, weak), (REVISION, revision))
            ),
        ]
    )
    return found, Topics(*lists)


def config_of(ctx: ExtensionContext, performance: Performance) -> SessionConfig:
    """How the user's sessions are put together; the default where nothing is said for the stream and grade."""
    stream, grade = performance.stream, performance.grade
    if stream is None or grade is None:
        return DEFAULT
    compute = _from_database(ctx, lambda db: queries.session_config(db, stream, grade))
    shape = SessionConfig | None
    found: SessionConfig | None = ctx.cache.reader.get(CONFIG, shape, compute, stream=word(stream), grade=word(grade))
    return found or DEFAULT


def questions(ctx: ExtensionContext, subject: str, config: SessionConfig) -> dict[str, list[str]]:
    """The questions that a session may have, by topic."""
    compute = _from_database(ctx, lambda db: queries.questions_of(db, subject, config.category, config.difficulty))
    parts = {"subject": subject, "category": word(config.category)}
    family = BY_SUBJECT
    if config.difficulty is not None:
        family, parts = BY_DIFFICULTY, parts | {"difficulty": word(config.difficulty)}
    found: dict[str, list[str]] = ctx.cache.reader.get(family, dict[str, list[str]], compute, **parts)
    return found


def _from_database(ctx: ExtensionContext, read: Callable[[Connection], Any]) -> Callable[[], Any]:
    def compute() -> Any:
        with ctx.reading() as db:
            return read(db)

    return compute
