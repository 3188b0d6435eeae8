"""Ends the streaks of players absent for two days, unless they have a protection."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, literal, or_, select, update

from jobs.common import sorted_by
from jobs.game.tables import player_progress
from opsconsole import Context, Items, Job, Limits, Scope, all_of, hours

ABSENCE_LIMIT = hours(48)
MAX_PROTECTIONS = 2

c = player_progress.c
protections_held = case(
    (c.protections_remaining > MAX_PROTECTIONS, MAX_PROTECTIONS),
    (c.protections_remaining > 0, c.protections_remaining),
    else_=0,
)
"""The number of protections, between 0 and the maximum."""


def midnight_before(as_of: datetime) -> datetime:
    """The last UTC midnight. A day is checked as of its start, also in late and manual runs."""
    return as_of.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def streak_at_risk(as_of: datetime) -> Any:
    """The condition that a player with a streak was absent too long and was not checked for this day yet."""
    midnight = midnight_before(as_of)
    # A literal: with a parameter no database would use the partial index.
    on_a_streak = c.current_streak > literal(0, literal_execute=True)
    absent = or_(c.last_quiz_at.is_(None), c.last_quiz_at < midnight - ABSENCE_LIMIT)
    # A later check covers earlier days; otherwise a late retry would use another protection.
    unchecked = or_(c.streak_checked_on.is_(None), c.streak_checked_on < midnight.date())
    return and_(on_a_streak, absent, unchecked)


def players_at_risk(scope: Scope) -> Select[tuple[str]]:
    """All players whose streak needs a protection or ends, by id: the rows of a batch are close together."""
    return select(c.user_id).where(streak_at_risk(scope.as_of)).order_by(sorted_by(c.user_id))


def protect_or_end(ctx: Context, players: Items) -> None:
    """Uses a protection of each player who has one, and ends the streaks of the others."""
    check = _check_on_sqlite if ctx.is_sqlite else _check
    with ctx.writing() as db:
        checked, broken = check(ctx, db, players)
    if checked:
        ctx.count("broken", broken)
        ctx.count("protected", checked - broken)


def _check(ctx: Context, db: Connection, players: Items) -> tuple[int, int]:
    """Checks the players in one statement; returns how many, and how many streaks ended."""
    # Locked first: the event has the length that the streak had, also if another program changes it meanwhile.
    before = _at_risk(ctx, players).with_for_update().cte("before").c
    is_protected = before.protections > 0
    checking = (
        update(player_progress)
        # Among the players once more: otherwise PostgreSQL could read the rows of all.
        .where(c.user_id == before.user_id, players.among(c.user_id))
        .values(_after(is_protected, before.current_streak, before.protections, _day(ctx)))
        .returning(
            case((~is_protected, c.user_id.concat(f":{_day(ctx)}"))).label("key"),
            c.user_id,
            before.current_streak.label("length"),
        )
    )
    return ctx.emit_for_rows(db, "StreakBroken", checking)


def _check_on_sqlite(ctx: Context, db: Connection, players: Items) -> tuple[int, int]:
    """The same where RETURNING has no values of before."""
    at_risk = db.execute(_at_risk(ctx, players)).all()
    if not at_risk:
        return 0, 0
    db.execute(
        update(player_progress)
        .where(ctx.among(c.user_id, [player.user_id for player in at_risk]))
        .values(_after(protections_held > 0, c.current_streak, protections_held, _day(ctx)))
    )
    broken = [player for player in at_risk if not player.protections]
    for player in broken:
        payload = {"user_id": player.user_id, "length": player.current_streak}
        ctx.emit("StreakBroken", f"{player.user_id}:{_day(ctx)}", payload)
    return len(at_risk), len(broken)


def _day(ctx: Context) -> date:
    return midnight_before(ctx.as_of).date()


def _at_risk(ctx: Context, players: Items) -> Select[tuple[str, int, int]]:
    columns = (c.user_id, c.current_streak, protections_held.label("protections"))
    return select(*columns).where(players.among(c.user_id), streak_at_risk(ctx.as_of)).order_by(c.user_id)


def _after(is_protected: Any, streak: Any, protections: Any, day: date) -> dict[str, Any]:
    """The values after the check, from those before."""
    return {
        "current_streak": case((is_protected, streak), else_=0),
        "protections_remaining": case((is_protected, protections - 1), else_=0),
        "streak_checked_on": day,
    }


streak_update = Job(
    "game.streak_update",
    players_at_risk,
    protect_or_end,
    cron="0 0 * * *",
    batch=2500,  # measured with 100,000 players on SQLite: a third less processor time than with 1,000
    workers=4,
    catch_up=all_of(newest=7),
    limits=Limits(max_age=hours(25)),
    aliases=("StreakUpdate",),
    description="Ends the streaks of absent players without a protection",
)
