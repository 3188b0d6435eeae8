"""Fixtures for the tests of the practice pack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import Table, insert

from jobs.attempts.tables import attempts, questions, subjects, topic_mastery, topics
from jobs.common import metadata, users
from jobs.practice import pack
from jobs.practice.tables import session_configs
from opsconsole.authoring.context import Resources
from opsconsole.core.database import Database
from opsconsole.extensions import ExtensionContext

NOW = datetime(2026, 3, 9, 6, 30, tzinfo=UTC)
"""Noon in Kolkata."""
DAY = timedelta(days=1)
MATHS = ("alg", "cal", "geo", "tri")
QUESTIONS_PER_TOPIC = 30
"""Half of the questions are hard, a third are in the category "board exam"."""


class PracticeFixture:
    """A data database with mathematics (four topics), art (one topic with five questions) and users."""

    def __init__(self, data: Database) -> None:
        self.data = data
        self._numbers = count()
        self.add(subjects, {"id": "math", "name": "Mathematics"}, {"id": "art", "name": "Art"})
        self.add(
            topics,
            *({"id": topic, "subject_id": "math", "name": topic} for topic in MATHS),
            {"id": "ink", "subject_id": "art", "name": "Ink"},
        )
        self.add(
            questions,
            *(
                {
                    "id": f"{topic}-{n:02}",
                    "subject_id": subject,
                    "topic_id": topic,
                    "difficulty": (1, 3)[n % 2],
                    "categories": ["board exam", "other"] if n % 3 == 0 else None if n % 3 == 1 else [],
                }
                for subject, topic, many in (
                    *(("math", topic, QUESTIONS_PER_TOPIC) for topic in MATHS),
                    ("art", "ink", 5),
                )
                for n in range(many)
            ),
        )

    def enrol(self, *names: str, active: bool = True, stream: str | None = None, grade: str | None = None) -> None:
        """Adds users."""
        defaults = {"active": active, "stream": stream, "grade": grade, "created_at": NOW - 300 * DAY}
        self.add(users, *({"id": name, "name": name, **defaults} for name in names))

    def solve(
        self,
        user: str,
        question: str,
        ago: timedelta,
        status: str = "correct",
        timing: float | None = 10.0,
    ) -> None:
        """Adds an attempt made `ago` before NOW."""
        row = {"id": f"a{next(self._numbers):06}", "user_id": user, "question_id": question, "status": status}
        self.add(attempts, row | {"timing": timing, "solved_at": NOW - ago})

    def set_mastery(self, user: str, topic: str, mastery: float) -> None:
        """Adds a user's mastery of a topic."""
        row = {"user_id": user, "topic_id": topic, "mastery": mastery, "attempts": 9}
        self.add(topic_mastery, row | {"last_attempt_at": NOW - 30 * DAY, "updated_at": NOW})

    def configure(self, stream: str, grade: str, config: Any) -> None:
        """Adds the session config of a stream and grade."""
        self.add(session_configs, {"stream": stream, "grade": grade, "config": config})

    def add(self, table: Table, *rows: dict[str, Any]) -> None:
        """Adds rows."""
        with self.data.writing() as db:
            db.execute(insert(table), list(rows))


@contextmanager
def tools_at_noon(database_url: str, redis_url: str) -> Iterator[Resources]:
    """The resources of a process at NOW, on a database with the tables."""
    tools = Resources(database_url, redis_url, families=pack.families, now=lambda: NOW)
    try:
        metadata.create_all(tools.data.engine)
        yield tools
    finally:
        tools.close()


def extension_context(tools: Resources) -> ExtensionContext:
    """The context that routes and panels receive."""
    return ExtensionContext(tools, {}, pack.families)
