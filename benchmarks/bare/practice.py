"""practice.warm_cache: four statements and one pipeline per page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import redis

from benchmarks.bare.driver import Rows, opened
from benchmarks.workload import Workload
from opsconsole import DAY

ZONE = ZoneInfo("Asia/Kolkata")
HALF_AN_HOUR, AN_HOUR = 1800, 3600

PEOPLE = """
SELECT id, stream, grade FROM users u WHERE active AND id > ? AND EXISTS (
    SELECT 1 FROM attempts a WHERE a.user_id = u.id AND a.solved_at >= ? AND a.solved_at < ?) ORDER BY id LIMIT ?
"""
DONE = """
SELECT u.id, q.topic_id, count(*), count(CASE WHEN a.status = 'correct' THEN 1 END), avg(a.timing)
FROM users u JOIN attempts a ON a.user_id = u.id AND a.solved_at >= ? AND a.solved_at < ?
JOIN questions q ON q.id = a.question_id
WHERE u.active AND u.id > ? AND u.id <= ? GROUP BY u.id, q.topic_id ORDER BY u.id, q.topic_id
"""
TRIED = """
SELECT DISTINCT u.id, q.subject_id, q.topic_id
FROM users u JOIN attempts a ON a.user_id = u.id AND a.solved_at >= ? AND a.solved_at < ?
JOIN questions q ON q.id = a.question_id
WHERE u.active AND u.id > ? AND u.id <= ? ORDER BY u.id, q.subject_id, q.topic_id
"""
KNOWN = """
SELECT m.user_id, t.subject_id, m.topic_id, m.mastery FROM topic_mastery m JOIN topics t ON t.id = m.topic_id
WHERE m.user_id > ? AND m.user_id <= ? AND (m.mastery < 0.5 OR m.mastery >= 0.7) ORDER BY 1, 2, 3
"""

encode = msgspec.json.Encoder().encode
Topics = dict[tuple[str, str], list[str]]


def warm_cache(workload: Workload) -> int:
    """Caches the data of users active in the last 7 days; returns their number."""
    today = DAY.at(workload.as_of, ZONE).start
    since = DAY.at(today - timedelta(days=28), ZONE).start
    with opened(workload) as (sql, cache):
        now, long_ago, a_day = sql.time(workload.as_of), sql.time(since), sql.time(today)
        week, fortnight = (sql.time(workload.as_of - timedelta(days=days)) for days in (7, 14))
        seen, after = 0, ""
        while people := sql.rows(PEOPLE, after, week, now, workload.page):
            last = people[-1][0]
            done = _by_user(sql.rows(DONE, long_ago, a_day, after, last))
            current, tried = (_by_subject(sql.rows(TRIED, since, now, after, last)) for since in (week, fortnight))
            weak, revision = _known(sql.rows(KNOWN, after, last), tried)
            pipeline = cache.pipeline(transaction=False)
            for user, stream, grade in people:
                value = {"stream": stream, "grade": grade, "byTopic": done.get(user, {})}
                pipeline.set(f"user:performance:{user}", encode(value), ex=HALF_AN_HOUR)
            mine = {user for user, _, _ in people}
            _set_topics(pipeline, [key for key in current if key[0] in mine], current, weak, revision)
            pipeline.execute()
            seen, after = seen + len(people), last
        return seen


def _set_topics(
    pipeline: redis.client.Pipeline, pairs: list[tuple[str, str]], current: Topics, weak: Topics, revision: Topics
) -> None:
    for user, subject in pairs:
        key = f"{user}:{subject}"
        pipeline.set(f"current:topics:{key}", encode(current[user, subject]), ex=HALF_AN_HOUR)
        pipeline.set(f"weak:concepts:{key}", encode(weak.get((user, subject), [])), ex=AN_HOUR)
        pipeline.set(f"revision:topics:{key}", encode(revision.get((user, subject), [])), ex=AN_HOUR)


def _by_user(rows: Rows) -> Mapping[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for user, topic, attempts, correct, timing in rows:
        mean = None if timing is None else round(timing, 3)
        found.setdefault(user, {})[topic] = {"attempts": attempts, "correct": correct, "meanTiming": mean}
    return found


def _by_subject(rows: Rows) -> Topics:
    found: Topics = {}
    for user, subject, topic in rows:
        found.setdefault((user, subject), []).append(topic)
    return found


def _known(rows: Rows, tried: Topics) -> tuple[Topics, Topics]:
    """Each user's weak and revision topics."""
    weak: Topics = {}
    revision: Topics = {}
    for user, subject, topic, mastery in rows:
        if mastery < 0.5:
            weak.setdefault((user, subject), []).append(topic)
        elif topic not in tried.get((user, subject), ()):
            revision.setdefault((user, subject), []).append(topic)
    return weak, revision
