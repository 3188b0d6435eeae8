"""Made-up practice: how sessions are put together for each class, and the sessions that people had."""

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

PRACTISES = 0.25
"""So many of the active users have a session on a day."""
LENGTH = 20
SHARES = (
    {"questions": 20},
    {"questions": 15, "current": 0.6, "weak": 0.4, "revision": 0.0},
    {"questions": 25, "current": 0.4, "weak": 0.3, "revision": 0.3},
    {"questions": 10, "difficulty": "medium"},
    {"questions": 20, "category": "board exam"},
)


def add_practice(data: Database, users: int, since: datetime, until: datetime, *, seed: int = 1) -> None:
    """Writes the configs, and the sessions of `users` people in [since, until). Sessions ask for questions of the
    catalogue: without one there are none. A user's day depends on seed, user and date alone.
    """
    if users < 1 or since >= until:
        return
    add_users(data, users, seed=seed)
    add_missing(data, session_configs, _configs())
    with data.reading() as db:
        catalogue: dict[str, list[str]] = {}
        found = select(questions.c.subject_id, questions.c.id).order_by(questions.c.subject_id, questions.c.id)
        for subject, question in db.execute(found):
            catalogue.setdefault(subject, []).append(question)
    if catalogue:
        add_missing(data, practice_sessions, _sessions(users, Window(since, until, ""), catalogue, seed))


def _configs() -> Iterator[dict[str, Any]]:
    """One for most classes; the others have the usual sessions."""
    pairs = [(stream, grade) for stream in STREAMS if stream for grade in GRADES if grade]
    for n, (stream, grade) in enumerate(pairs):
        if n % 7 != 6:
            yield {"stream": stream, "grade": grade, "config": SHARES[n % len(SHARES)]}


def _sessions(users: int, stretch: Window, catalogue: dict[str, list[str]], seed: int) -> Iterator[dict[str, Any]]:
    subjects = list(catalogue)
    days = list(_days(stretch))
    for number in range(1, users + 1):
        if not is_active(number, seed=seed):
            continue
        user = user_id(number)
        for day in days:
            dice = Random(f"{seed}/{user}/{day.label}/practice")
            if dice.random() >= PRACTISES:
                continue
            at = day.start + timedelta(hours=6.5, seconds=dice.randrange(12 * 3600))
            subject = dice.choice(subjects)
            asked = dice.sample(catalogue[subject], min(LENGTH, len(catalogue[subject])))
            if stretch.start <= at < stretch.end:
                yield {
                    "id": f"p-{user}-{day.label[2:].replace('-', '')}",
                    "user_id": user,
                    "subject_id": subject,
                    "questions": asked,
                    "created_at": at,
                }


def _days(stretch: Window) -> Iterator[Window]:
    day = DAY.at(stretch.start, ZONE)
    while day.start < stretch.end:
        yield day
        day = DAY.at(day.end, ZONE)
