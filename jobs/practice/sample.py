"""Sample session configs and practice sessions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from jobs.attempts.tables import questions
from jobs.practice.queries import ZONE
from jobs.practice.tables import practice_sessions, session_configs
from jobs.sample_users import GRADES, STREAMS, add_missing, add_users, is_active, user_id
from opsconsole import DAY, Window

if TYPE_CHECKING:
    from opsconsole.sql import Database

DAILY_SHARE = 0.25
"""The share of active users with a session on a day."""
SESSION_SIZE = 20
CONFIGS = (
    {"questions": 20},
    {"questions": 15, "current": 0.6, "weak": 0.4, "revision": 0.0},
    {"questions": 25, "current": 0.4, "weak": 0.3, "revision": 0.3},
    {"questions": 10, "difficulty": 2},
    {"questions": 20, "category": "board exam"},
)


def add_practice(data: Database, users: int, since: datetime, until: datetime, *, seed: int = 1) -> None:
    """Writes the configs, and the sessions of `users` users in [since, until).

    Sessions need the question catalogue; without one there are none. A user's day depends on seed, user and date only.
    """
    if users < 1 or since >= until:
        return
    add_users(data, users, seed=seed)
    add_missing(data, session_configs, _configs())
    with data.reading() as db:
        catalogue: dict[str, list[str]] = {}
        query = select(questions.c.subject_id, questions.c.id).order_by(questions.c.subject_id, questions.c.id)
        for subject, question in db.execute(query):
            catalogue.setdefault(subject, []).append(question)
    if catalogue:
        add_missing(data, practice_sessions, _sessions(users, Window(since, until, ""), catalogue, seed))


def _configs() -> Iterator[dict[str, Any]]:
    """Configs for most streams and grades; the others use the default."""
    pairs = [(stream, grade) for stream in STREAMS if stream for grade in GRADES if grade]
    for n, (stream, grade) in enumerate(pairs):
        if n % 7 != 6:
            yield {"stream": stream, "grade": grade, "config": CONFIGS[n % len(CONFIGS)]}


def _sessions(users: int, period: Window, catalogue: dict[str, list[str]], seed: int) -> Iterator[dict[str, Any]]:
    subjects = list(catalogue)
    days = list(_days(period))
    for number in range(1, users + 1):
        if not is_active(number, seed=seed):
            continue
        user = user_id(number)
        for day in days:
            rng = Random(f"{seed}/{user}/{day.label}/practice")
            if rng.random() >= DAILY_SHARE:
                continue
            at = day.start + timedelta(hours=6.5, seconds=rng.randrange(12 * 3600))
            subject = rng.choice(subjects)
            questions_of_session = rng.sample(catalogue[subject], min(SESSION_SIZE, len(catalogue[subject])))
            if period.start <= at < period.end:
                yield {
                    "id": f"p-{user}-{day.label[2:].replace('-', '')}",
                    "user_id": user,
                    "subject_id": subject,
                    "questions": questions_of_session,
                    "created_at": at,
                }


def _days(period: Window) -> Iterator[Window]:
    day = DAY.at(period.start, ZONE)
    while day.start < period.end:
        yield day
        day = DAY.at(day.end, ZONE)
