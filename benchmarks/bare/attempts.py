"""The attempts jobs: questions encoded once, days assembled in Python, pipelines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
import redis

from benchmarks.bare.driver import Rows, Sql, by_first, opened
from benchmarks.workload import Workload
from jobs.attempts.cached_day import AttemptResult
from jobs.attempts.suggestion_rules import choose_suggestion

TTL_SECONDS = 7200

DAY = """
WITH page AS (SELECT id FROM users WHERE active AND id > ? ORDER BY id LIMIT ?)
SELECT page.id, a.id, a.question_id, a.type, a.answer, a.mistake, a.timing, a.reaction_time, a.status, a.hints_used,
       a.solved_at
FROM page LEFT JOIN attempts a ON a.user_id = page.id AND a.solved_at >= ? AND a.solved_at < ?
ORDER BY page.id, a.solved_at, a.id
"""
QUESTIONS = """
SELECT q.id, q.subject_id, s.name, q.topic_id, t.name, q.difficulty, q.categories
FROM questions q JOIN subjects s ON s.id = q.subject_id JOIN topics t ON t.id = q.topic_id
"""
SUBTOPICS = """
SELECT question_id, st.id, st.name FROM question_subtopics JOIN subtopics st ON st.id = subtopic_id ORDER BY st.id
"""

encode = msgspec.json.Encoder().encode


class Attempt(msgspec.Struct, rename="camel"):
    """The attempt's own fields; the question's fields are encoded once."""

    id: str
    question_id: str
    type: str | None
    answer: str | None
    mistake: str | None
    timing: float | None
    reaction_time: float | None
    status: str
    hints_used: bool | None
    solved_at: str


def cache_day(workload: Workload) -> int:
    """Caches the day of every active user; returns their number."""
    with opened(workload) as (sql, cache):
        encoded = _catalogue(sql)
        format_time: Callable[[Any], str] = _of_text if sql.is_sqlite else _of_time
        seen, after = 0, ""
        while rows := sql.rows(DAY, after, workload.page, *sql.between(workload)):
            pipeline = cache.pipeline(transaction=False)
            for user, day in groupby(rows, itemgetter(0)):
                seen, after = seen + 1, user
                key = f"date:user:{workload.window.label}:{user}"
                parts = [_part(row, encoded, format_time) for row in day if row[1] is not None]
                if parts:
                    pipeline.set(key, b"[" + b",".join(parts) + b"]", ex=TTL_SECONDS)
                else:
                    pipeline.unlink(key)
            pipeline.execute()
        return seen


def _part(row: tuple[Any, ...], encoded: dict[str, bytes], format_time: Callable[[Any], str]) -> bytes:
    _, id_, question, type_, answer, mistake, timing, reaction, status, hints, solved_at = row
    used = None if hints is None else bool(hints)
    head = encode(
        Attempt(id_, question, type_, answer, mistake, timing, reaction, status, used, format_time(solved_at))
    )
    return head[:-1] + encoded[question]


def _of_text(solved_at: str) -> str:
    return f"{solved_at[:10]}T{solved_at[11:23]}Z"


def _of_time(solved_at: datetime) -> str:
    return solved_at.isoformat(timespec="milliseconds")[:-6] + "Z"


def _catalogue(sql: Sql) -> dict[str, bytes]:
    below: dict[str, list[dict[str, str]]] = {}
    for question, id_, name in sql.rows(SUBTOPICS):
        below.setdefault(question, []).append({"id": id_, "name": name})
    encoded = {}
    for id_, subject, subject_name, topic, topic_name, difficulty, categories in sql.rows(QUESTIONS):
        half = {
            "subject": {"id": subject, "name": subject_name},
            "topic": {"id": topic, "name": topic_name},
            "subtopic": below.get(id_, []),
            "difficulty": difficulty,
            "category": msgspec.json.decode(categories or "[]"),
        }
        encoded[id_] = b"," + encode(half)[1:]
    return encoded


# --- suggestions ----------------------------------------------------------------------------------------------------

EXPECTED = """
SELECT q.difficulty, avg(a.timing) FROM users u
JOIN attempts a ON a.user_id = u.id AND a.solved_at >= ? AND a.solved_at < ? JOIN questions q ON q.id = a.question_id
GROUP BY q.difficulty
"""
COUNTS = """
WITH page AS (SELECT id FROM users WHERE active AND id > ? ORDER BY id LIMIT ?)
SELECT page.id, count(a.id)
FROM page LEFT JOIN attempts a ON a.user_id = page.id AND a.solved_at >= ? AND a.solved_at < ?
GROUP BY page.id ORDER BY page.id
"""
SUGGESTION = {"user_id": "text", "date": "date", "kind": "text", "message": "text", "details": "text"}
STAMPED = {**SUGGESTION, "created_at": "timestamptz"}


def suggest(workload: Workload) -> int:
    """Writes suggestions from the cached days; returns the number of users."""
    decode = msgspec.json.Decoder(list[AttemptResult]).decode
    with opened(workload) as (sql, cache):
        expected = {
            each: round(mean, 6) for each, mean in sql.rows(EXPECTED, *sql.between(workload)) if mean is not None
        }
        day, stamp = date.fromisoformat(workload.window.label), sql.time(datetime.now(UTC))
        seen, after = 0, ""
        while counts := sql.rows(COUNTS, after, workload.page, *sql.between(workload)):
            after = counts[-1][0]
            cached: list[Any] = cache.mget([f"date:user:{workload.window.label}:{user}" for user, _ in counts])
            rows: Rows = []
            for (user, many), value in zip(counts, cached, strict=True):
                did = decode(value) if value else []
                assert len(did) == many, "the cache is not whole"
                suggestion = choose_suggestion(did, expected)
                rows.append(
                    (user, day, suggestion.kind.value, suggestion.message, encode(suggestion.details).decode(), stamp)
                )
            sql.upsert("suggestions", STAMPED, 2, rows)
            sql.commit()
            seen += len(rows)
        return seen


# --- performance and mastery ----------------------------------------------------------------------------------------

WITH_ATTEMPTS = """
SELECT id FROM users u WHERE active AND id > ? AND EXISTS (
    SELECT 1 FROM attempts a WHERE a.user_id = u.id AND a.solved_at >= ? AND a.solved_at < ?) ORDER BY id LIMIT ?
"""
BY_SUBJECT = f"""
WITH page AS ({WITH_ATTEMPTS})
SELECT page.id, q.subject_id, count(*), count(CASE WHEN a.status = 'correct' THEN 1 END),
       sum(a.timing), count(a.timing), sum(a.reaction_time), count(a.reaction_time)
FROM page JOIN attempts a ON a.user_id = page.id AND a.solved_at >= ? AND a.solved_at < ?
JOIN questions q ON q.id = a.question_id
GROUP BY page.id, q.subject_id ORDER BY page.id, q.subject_id
"""  # noqa: S608
PERFORMANCE = {
    "user_id": "text",
    "date": "date",
    "attempts": "int",
    "correct": "int",
    "accuracy": "float8",
    "avg_timing": "float8",
    "avg_reaction_time": "float8",
    "by_subject": "text",
}


def update_performance(workload: Workload) -> int:
    """Summarizes the day of active users with attempts; returns their number."""
    with opened(workload) as (sql, cache):
        day = date.fromisoformat(workload.window.label)
        seen, after, stretch = 0, "", sql.between(workload)
        while found := by_first(sql.rows(BY_SUBJECT, after, *stretch, workload.page, *stretch)):
            rows = [(user, day, *_performance(subjects)) for user, subjects in found.items()]
            sql.upsert("user_performance", PERFORMANCE, 2, rows)
            sql.commit()
            pipeline = cache.pipeline(transaction=False)
            for user in found:
                pipeline.unlink(f"user:performance:{user}")
            pipeline.execute()
            seen, after = seen + len(rows), rows[-1][0]
        return seen


def _performance(subjects: Rows) -> tuple[Any, ...]:
    _, _, attempted, correct, timing, timings, reaction, reactions = zip(*subjects, strict=True)
    by_subject = {
        subject: {
            "attempts": tried,
            "correct": right,
            "accuracy": right / tried,
            "avg_timing": _mean([seconds], [measured]),
        }
        for _, subject, tried, right, seconds, measured, _, _ in subjects
    }
    many, right = sum(attempted), sum(correct)
    return many, right, right / many, _mean(timing, timings), _mean(reaction, reactions), encode(by_subject).decode()


def _mean(sums: Any, counts: Any) -> float | None:
    many = sum(counts)
    return round(sum(total or 0.0 for total in sums) / many, 6) if many else None


BY_TOPIC = f"""
WITH page AS ({WITH_ATTEMPTS})
SELECT page.id, q.topic_id, min(q.subject_id), count(*), count(CASE WHEN a.status = 'correct' THEN 1 END),
       max(a.solved_at)
FROM page JOIN attempts a ON a.user_id = page.id AND a.solved_at >= ? AND a.solved_at < ?
JOIN questions q ON q.id = a.question_id
GROUP BY page.id, q.topic_id ORDER BY page.id
"""  # noqa: S608
MASTERY = {
    "user_id": "text",
    "topic_id": "text",
    "mastery": "float8",
    "attempts": "int",
    "last_attempt_at": "timestamptz",
    "updated_at": "timestamptz",
}


def update_mastery(workload: Workload) -> int:
    """Estimates the mastery of active users with attempts; returns their number."""
    with opened(workload) as (sql, cache):
        seen, after, stretch, stamp = 0, "", sql.between(workload), sql.time(datetime.now(UTC))
        while found := sql.rows(BY_TOPIC, after, *stretch, workload.page, *stretch):
            rows: Rows = [
                (user, topic, (right + 1) / (tried + 2), tried, last, stamp)
                for user, topic, _, tried, right, last in found
            ]
            sql.upsert("topic_mastery", MASTERY, 2, rows)
            sql.commit()
            _forget(cache, {(user, subject) for user, _, subject, *_ in found})
            seen, after = seen + len({row[0] for row in found}), found[-1][0]
        return seen


def _forget(cache: redis.Redis, concerned: set[tuple[str, str]]) -> None:
    pipeline = cache.pipeline(transaction=False)
    for user, subject in concerned:
        pipeline.unlink(
            *(f"{kind}:{user}:{subject}" for kind in ("current:topics", "weak:concepts", "revision:topics"))
        )
    pipeline.execute()
