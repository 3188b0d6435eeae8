"""The day's attempts as the best script without the engine: drivers, pages, the catalogue packed once, pipelines.

It keeps no record, retries nothing, isolates nothing: what it leaves out is what the engine costs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
import psycopg
import redis
from sqlalchemy.engine import make_url

from opsconsole import Window

TTL_SECONDS = 7200
PAGE = 500

ATTEMPTS = """
WITH page AS (SELECT id FROM users WHERE active AND id > {p} ORDER BY id LIMIT {p})
SELECT page.id, a.id, a.question_id, a.type, a.answer, a.mistake, a.timing, a.reaction_time, a.status, a.hints_used,
       a.solved_at
FROM page LEFT JOIN attempts a ON a.user_id = page.id AND a.solved_at >= {p} AND a.solved_at < {p}
ORDER BY page.id, a.solved_at, a.id
"""
QUESTIONS = """
SELECT q.id, q.subject_id, s.name, q.topic_id, t.name, q.difficulty, q.categories
FROM questions q JOIN subjects s ON s.id = q.subject_id JOIN topics t ON t.id = q.topic_id
"""
SUBTOPICS = """
SELECT question_id, st.id, st.name FROM question_subtopics JOIN subtopics st ON st.id = subtopic_id ORDER BY st.id
"""

Query = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]


class Attempt(msgspec.Struct, rename="camel"):
    """What the user did; the question's part is packed already."""

    id: str
    question_id: str
    type: str | None
    answer: str | None
    mistake: str | None
    timing: float | None
    reaction_time: float | None
    status: str
    hints_used: int | None
    solved_at: str


def run(data_url: str, redis_url: str, window: Window) -> int:
    """Caches the day of every active user; returns how many there are."""
    cache = redis.Redis.from_url(redis_url)
    encode = msgspec.json.Encoder().encode
    url = make_url(data_url)
    seen, after = 0, ""
    if url.get_backend_name() == "sqlite":
        assert url.database
        db = sqlite3.connect(url.database)
        query: Query = lambda text, values: db.execute(text, values).fetchall()  # noqa: E731
        statement = ATTEMPTS.format(p="?")
        between: tuple[Any, Any] = (_sqlite_time(window.start), _sqlite_time(window.end))
        told: Callable[[Any], str] = lambda solved_at: f"{solved_at[:10]}T{solved_at[11:23]}Z"  # noqa: E731
        close = db.close
    else:
        server = psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
        server.execute("SET timezone TO 'UTC'")
        query = lambda text, values: server.execute(text, values).fetchall()  # noqa: E731
        statement = ATTEMPTS.format(p="%s")
        between = (window.start, window.end)
        told = lambda solved_at: solved_at.isoformat(timespec="milliseconds")[:-6] + "Z"  # noqa: E731
        close = server.close
    halves = _catalogue(query)
    while rows := query(statement, (after, PAGE, *between)):
        pipeline = cache.pipeline(transaction=False)
        for user, day in groupby(rows, itemgetter(0)):
            seen += 1
            after = user
            key = f"date:user:{window.label}:{user}"
            value = _value(day, halves, encode, told)
            if value is None:
                pipeline.unlink(key)
            elif value:
                pipeline.set(key, value, ex=TTL_SECONDS)
        pipeline.execute()
    close()
    cache.close()
    return seen


def _value(
    day: Iterator[tuple[Any, ...]],
    halves: dict[str, bytes],
    encode: Callable[[Any], bytes],
    told: Callable[[Any], str],
) -> bytes | None:
    """The user's JSON; None without attempts, empty when a question is missing."""
    parts = []
    for _, id_, question, type_, answer, mistake, timing, reaction, status, hints, solved_at in day:
        if id_ is None:
            return None
        half = halves.get(question)
        if half is None:
            return b""
        head = encode(Attempt(id_, question, type_, answer, mistake, timing, reaction, status, hints, told(solved_at)))
        parts.append(head[:-1] + half)
    return b"[" + b",".join(parts) + b"]"


def _catalogue(query: Query) -> dict[str, bytes]:
    below: dict[str, list[dict[str, str]]] = {}
    for question, id_, name in query(SUBTOPICS, ()):
        below.setdefault(question, []).append({"id": id_, "name": name})
    halves = {}
    for id_, subject, subject_name, topic, topic_name, difficulty, categories in query(QUESTIONS, ()):
        half = {
            "subject": {"id": subject, "name": subject_name},
            "topic": {"id": topic, "name": topic_name},
            "subtopic": below.get(id_, []),
            "difficulty": difficulty,
            "category": msgspec.json.decode(categories or "[]"),
        }
        halves[id_] = b"," + msgspec.json.encode(half)[1:]
    return halves


def _sqlite_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
