"""The reference model of practice.warm_cache: plain Python over plain rows, sharing no code with the pack."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import text

from opsconsole.core.database import Database

INDIA = timedelta(hours=5, minutes=30)
DAY = timedelta(days=1)
TABLES = ("users", "topics", "questions", "attempts", "topic_mastery")


def expected(data: Database, now: datetime) -> dict[str, Any]:
    """The expected keys and values for active users with attempts in the 7 days before `now`."""
    with data.reading() as db:
        read = {
            table: [dict(row) for row in db.execute(text(f"SELECT * FROM {table}")).mappings()]  # noqa: S608
            for table in TABLES
        }
    question = {row["id"]: row for row in read["questions"]}
    subject_of = {row["id"]: row["subject_id"] for row in read["topics"]}
    tried: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in read["attempts"]:
        at = row["solved_at"]
        at = datetime.fromisoformat(at).replace(tzinfo=UTC) if isinstance(at, str) else at.astimezone(UTC)
        tried[row["user_id"]].append(row | {"at": at, "question": question.get(row["question_id"])})
    known: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read["topic_mastery"]:
        known[row["user_id"]][row["topic_id"]] = row["mastery"]
    cache: dict[str, Any] = {}
    for user in read["users"]:
        mine = tried[user["id"]]
        if user["active"] and any(now - 7 * DAY <= row["at"] < now for row in mine):
            cache |= of_user(user, [row for row in mine if row["question"]], known[user["id"]], subject_of, now)
    return cache


def of_user(
    user: dict[str, Any],
    tried: list[dict[str, Any]],
    known: dict[str, float],
    subject_of: dict[str, str],
    now: datetime,
) -> dict[str, Any]:
    """One user's keys."""
    today = (now + INDIA).date()
    by_topic: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in tried:
        if today - 28 * DAY <= (row["at"] + INDIA).date() < today:
            by_topic[row["question"]["topic_id"]].append(row)
    cache: dict[str, Any] = {
        f"user:performance:{user['id']}": {
            "stream": user["stream"],
            "grade": user["grade"],
            "byTopic": {topic: done(rows) for topic, rows in sorted(by_topic.items())},
        }
    }
    current = {row["question"]["topic_id"] for row in tried if now - 7 * DAY <= row["at"] < now}
    lately = {row["question"]["topic_id"] for row in tried if now - 14 * DAY <= row["at"] < now}
    weak = {topic for topic, mastery in known.items() if mastery < 0.5}
    revision = {topic for topic, mastery in known.items() if mastery >= 0.7} - lately
    for subject in {subject_of[topic] for topic in current}:
        for name, topics in (("current:topics", current), ("weak:concepts", weak), ("revision:topics", revision)):
            cache[f"{name}:{user['id']}:{subject}"] = sorted(topic for topic in topics if subject_of[topic] == subject)
    return cache


def done(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A topic's sums."""
    timings = [Fraction(row["timing"]) for row in rows if row["timing"] is not None]
    return {
        "attempts": len(rows),
        "correct": sum(row["status"] == "correct" for row in rows),
        "meanTiming": float(sum(timings) / len(timings)) if timings else None,
    }


def as_kept(value: bytes | str) -> Any:
    """A cached value after decoding."""
    return json.loads(value)
