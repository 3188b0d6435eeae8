"""The game jobs: one statement per page, and boards written in chunks to temporary keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import redis

from benchmarks.bare.driver import Sql, opened
from benchmarks.workload import Workload
from jobs.game.leaderboards import member_score

# --- lives ----------------------------------------------------------------------------------------------------------

DUE = "current_lives < 5 AND (next_regen_at IS NULL OR next_regen_at <= ?)"
LIVES = f"""
UPDATE lives SET current_lives = current_lives + 1, last_regen_at = ?,
                 next_regen_at = CASE WHEN current_lives + 1 < 5 THEN ? END
WHERE user_id IN (SELECT user_id FROM lives WHERE user_id > ? AND {DUE} ORDER BY user_id LIMIT ?)
RETURNING user_id
"""  # noqa: S608


def life_regen(workload: Workload) -> int:
    """Gives a life to each due player; returns their number."""
    with opened(workload) as (sql, _):
        now, later = sql.time(workload.as_of), sql.time(workload.as_of + timedelta(minutes=30))
        cast = "" if sql.is_sqlite else "::timestamptz"
        statement = LIVES.replace("THEN ?", f"THEN ?{cast}")
        given, after = 0, ""
        while rows := sql.rows(statement, now, later, after, now, workload.page):
            sql.commit()
            given, after = given + len(rows), max(rows)[0]
        return given


# --- streaks --------------------------------------------------------------------------------------------------------

AT_RISK = """
current_streak > 0 AND (last_quiz_at IS NULL OR last_quiz_at < ?)
AND (streak_checked_on IS NULL OR streak_checked_on < ?)
"""
HELD = "min(coalesce(protections_remaining, 0), 2)"
PAGE_AT_RISK = f"""
SELECT user_id FROM player_progress WHERE user_id > ? AND {AT_RISK} ORDER BY user_id LIMIT ?
"""  # noqa: S608
BREAK = f"""
INSERT INTO events (name, key, payload, occurred_at)
SELECT 'StreakBroken', user_id || ?, json_object('user_id', user_id, 'length', current_streak), ? FROM player_progress
WHERE user_id > ? AND user_id <= ? AND {AT_RISK} AND {HELD} <= 0
ON CONFLICT (name, key) DO NOTHING
"""  # noqa: S608
CHECK = f"""
UPDATE player_progress SET current_streak = CASE WHEN {HELD} > 0 THEN current_streak ELSE 0 END,
    protections_remaining = max({HELD} - 1, 0), streak_checked_on = ?
WHERE user_id > ? AND user_id <= ? AND {AT_RISK}
"""  # noqa: S608
STREAKS = f"""
WITH page AS (
    SELECT user_id, current_streak, least(coalesce(protections_remaining, 0), 2) AS held FROM player_progress
    WHERE user_id > ? AND {AT_RISK} ORDER BY user_id LIMIT ? FOR UPDATE
), checked AS (
    UPDATE player_progress p SET current_streak = CASE WHEN held > 0 THEN p.current_streak ELSE 0 END,
        protections_remaining = greatest(held - 1, 0), streak_checked_on = ?
    FROM page WHERE p.user_id = page.user_id
), broken AS (
    INSERT INTO events (name, key, payload, occurred_at)
    SELECT 'StreakBroken', user_id || ?, json_build_object('user_id', user_id, 'length', current_streak)::text, ?
    FROM page WHERE held <= 0 ORDER BY user_id ON CONFLICT (name, key) DO NOTHING
)
SELECT count(*), max(user_id) FROM page
"""  # noqa: S608


def streak_update(workload: Workload) -> int:
    """Uses protections or ends streaks at risk; returns their number."""
    midnight = workload.as_of.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with opened(workload) as (sql, _):
        day: Any = midnight.date().isoformat() if sql.is_sqlite else midnight.date()
        at_risk, of_day = (sql.time(midnight - timedelta(hours=48)), day), f":{midnight.date().isoformat()}"
        seen, after, stamp = 0, "", sql.time(datetime.now(UTC))
        if not sql.is_sqlite:
            while (found := sql.rows(STREAKS, after, *at_risk, workload.page, day, of_day, stamp)[0])[0]:
                sql.commit()
                seen, after = seen + found[0], found[1]
            return seen
        while page := sql.rows(PAGE_AT_RISK, after, *at_risk, workload.page):
            last = page[-1][0]
            sql.do(BREAK, of_day, stamp, after, last, *at_risk)
            sql.do(CHECK, day, after, last, *at_risk)
            sql.commit()
            seen, after = seen + len(page), last
        return seen


# --- sessions -------------------------------------------------------------------------------------------------------

CLOSE = """
UPDATE quiz_sessions SET status = 'expired', completed_at = ? WHERE id IN (
    SELECT id FROM quiz_sessions WHERE status || '' = 'active' AND expires_at <= ? AND id > ? ORDER BY id LIMIT ?)
RETURNING id, user_id
"""
# `|| ''`: the index on the status would be read to its end for each page.
INSERT_EVENTS = """
INSERT INTO events (name, key, payload, occurred_at)
SELECT 'QuizAbandoned', ?, json_object('session_id', ?, 'user_id', ?), ? WHERE true ON CONFLICT (name, key) DO NOTHING
"""
CLOSE_WITH_EVENTS = f"""
WITH closed AS ({CLOSE}), inserted AS (
    INSERT INTO events (name, key, payload, occurred_at)
    SELECT 'QuizAbandoned', id, json_build_object('session_id', id, 'user_id', user_id)::text, ? FROM closed
    ON CONFLICT (name, key) DO NOTHING
)
SELECT count(*), max(id) FROM closed
"""  # noqa: S608


def session_cleanup(workload: Workload) -> int:
    """Closes expired sessions; returns their number."""
    with opened(workload) as (sql, _):
        now, stamp = sql.time(workload.as_of), sql.time(datetime.now(UTC))
        seen, after = 0, ""
        if not sql.is_sqlite:
            while (found := sql.rows(CLOSE_WITH_EVENTS, now, now, after, workload.page, stamp)[0])[0]:
                sql.commit()
                seen, after = seen + found[0], found[1]
            return seen
        while closed := sql.rows(CLOSE, now, now, after, workload.page):
            sql.many(INSERT_EVENTS, [(session, session, user, stamp) for session, user in closed])
            sql.commit()
            seen, after = seen + len(closed), max(closed)[0]
        return seen


# --- leaderboards ---------------------------------------------------------------------------------------------------

BOARDS = {"global": "xp", "weekly": "weekly_xp", "monthly": "monthly_xp"}
CHUNK = 5000
RANK = """
INSERT INTO rankings (board, user_id, score, rank, updated_at)
SELECT ?, user_id, XP, row_number() OVER (ORDER BY XP DESC, xp_updated_at DESC NULLS LAST, user_id), ?
FROM player_progress WHERE XP >= 0
ON CONFLICT (board, user_id) DO UPDATE
SET score = excluded.score, rank = excluded.rank, updated_at = excluded.updated_at
WHERE rankings.score <> excluded.score OR rankings.rank <> excluded.rank
"""
STANDING = """
SELECT r.user_id, r.score, p.username FROM rankings r LEFT JOIN player_progress p ON p.user_id = r.user_id
WHERE r.board = ? ORDER BY r.rank DESC
"""


def leaderboard_recalc(workload: Workload) -> int:
    """Ranks all players and publishes the boards; returns the number of players."""
    with opened(workload) as (sql, cache):
        for board, xp in BOARDS.items():
            sql.do(RANK.replace("XP", xp), board, sql.time(datetime.now(UTC)))
            sql.commit()
            _publish(sql, cache, board)
        players: int = sql.rows("SELECT count(*) FROM player_progress")[0][0]
        return players


def _publish(sql: Sql, cache: redis.Redis, board: str) -> None:
    members, names = f"leaderboard:{board}:beside", f"leaderboard:{board}:names:beside"
    rows = iter(sql.rows(STANDING, board))
    level, behind = -1, 0
    while chunk := list(islice(rows, CHUNK)):
        scores: dict[Any, Any] = {}
        for user, xp, _ in chunk:
            level, behind = xp, behind + 1 if xp == level else 0
            scores[user] = member_score(xp, behind)
        pipeline = cache.pipeline(transaction=False)
        pipeline.zadd(members, scores)
        named: dict[Any, Any] = {user: name for user, _, name in chunk if name is not None}
        if named:
            pipeline.hset(names, mapping=named)
        pipeline.execute()
    swap = cache.pipeline()
    swap.rename(members, f"leaderboard:{board}")
    swap.rename(names, f"leaderboard:{board}:names")
    swap.execute()
