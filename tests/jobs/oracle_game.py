"""The reference model of the game jobs: plain Python over plain rows, sharing no code with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

Row = dict[str, Any]
Event = tuple[str, str, dict[str, Any]]

XP = {"global": "xp", "weekly": "weekly_xp", "monthly": "monthly_xp"}


def give_lives(lives: Iterable[Row], as_of: datetime) -> None:
    for row in lives:
        if row["current_lives"] >= 5:
            continue
        if row["next_regen_at"] is not None and row["next_regen_at"] > as_of:
            continue
        row["current_lives"] += 1
        row["last_regen_at"] = as_of
        row["next_regen_at"] = None if row["current_lives"] == 5 else as_of + timedelta(minutes=30)


def check_streaks(players: Iterable[Row], as_of: datetime) -> list[Event]:
    today = as_of.date()
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    events: list[Event] = []
    for row in players:
        if row["current_streak"] <= 0:
            continue
        if row["last_quiz_at"] is not None and midnight - row["last_quiz_at"] <= timedelta(days=2):
            continue
        if row["streak_checked_on"] is not None and row["streak_checked_on"] >= today:
            continue
        has = max(0, min(2, row["protections_remaining"] or 0))
        if has == 0:
            events.append(
                (
                    "StreakBroken",
                    f"{row['user_id']}:{today}",
                    {"user_id": row["user_id"], "length": row["current_streak"]},
                )
            )
            row["current_streak"] = 0
        row["protections_remaining"] = max(0, has - 1)
        row["streak_checked_on"] = today
    return events


def close_sessions(sessions: Iterable[Row], as_of: datetime) -> list[Event]:
    events: list[Event] = []
    for row in sessions:
        if row["status"] == "active" and row["expires_at"] <= as_of:
            row["status"], row["completed_at"] = "expired", as_of
            events.append(("QuizAbandoned", row["id"], {"session_id": row["id"], "user_id": row["user_id"]}))
    return events


def board(players: Iterable[Row], name: str) -> list[tuple[str, int]]:
    """The expected users and scores of a board, first rank first."""
    column = XP[name]
    ranked = [row for row in players if row[column] is not None and row[column] >= 0]
    ranked.sort(key=lambda row: row["user_id"])
    ranked.sort(key=lambda row: row["xp_updated_at"] or datetime(1, 1, 1, tzinfo=UTC), reverse=True)
    ranked.sort(key=lambda row: row[column], reverse=True)
    return [(row["user_id"], row[column]) for row in ranked]


def week_before(as_of: datetime) -> str:
    day = as_of.date()
    while day.strftime("%A") != "Sunday" or day == as_of.date():
        day -= timedelta(days=1)
    return day.strftime("%G-W%V")


def month_before(as_of: datetime) -> str:
    first = date(as_of.year, as_of.month, 1)
    return (first - timedelta(days=1)).isoformat()[:7]


def reset(players: Iterable[Row], name: str, period: str) -> tuple[dict[str, tuple[int, int]], Event]:
    """Resets a board; the archived score and rank by user, and the event."""
    players = list(players)
    kept = {user: (score, place) for place, (user, score) in enumerate(board(players, name), 1)}
    for row in players:
        row[XP[name]] = 0
    return kept, ("LeaderboardReset", f"{name}:{period}", {"board": name, "period": period})
