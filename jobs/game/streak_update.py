"""Ends the streaks of players who stayed away for two days, unless a protection keeps them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, and_, case, literal, or_, select, update

from jobs.game.tables import player_progress
from opsconsole import Context, Items, Job, Limits, Scope, all_of, hours

AWAY = hours(48)
MOST_PROTECTIONS = 2

c = player_progress.c
held = case(
    (c.protections_remaining > MOST_PROTECTIONS, MOST_PROTECTIONS),
    (c.protections_remaining > 0, c.protections_remaining),
    else_=0,
)
"""How many protections count."""


def midnight_before(as_of: datetime) -> datetime:
    """The last UTC midnight: a day is checked as it stood when it began, however late or by whom."""
    return as_of.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def in_danger(as_of: datetime) -> Any:
    """The condition that a player with a streak stayed away too long, and this was not looked at on that day yet."""
    midnight = midnight_before(as_of)
    # The number stands in the statement itself: with a parameter no database would take the index of the streaks.
    on_a_streak = c.current_streak > literal(0, literal_execute=True)
    away = or_(c.last_quiz_at.is_(None), c.last_quiz_at < midnight - AWAY)
    # A check of a later day stands for the earlier ones: else a day that is retried late would cost a protection again.
    unchecked = or_(c.streak_checked_on.is_(None), c.streak_checked_on < midnight.date())
    return and_(on_a_streak, away, unchecked)


def players_in_danger(scope: Scope) -> Select[tuple[str]]:
    """Everyone whose streak needs a protection, or ends."""
    return select(c.user_id).where(in_danger(scope.as_of))


def protect_or_end(ctx: Context, players: Items) -> None:
    """Uses a protection of each player of the batch who has one, and ends the streaks of the others."""
    day = midnight_before(ctx.as_of).date()
    with ctx.writing() as db:
        # Locked while it is decided: who plays meanwhile is not told of a streak that goes on.
        found = db.execute(
            select(c.user_id, c.current_streak, held.label("held"))
            .where(players.among(c.user_id), in_danger(ctx.as_of))
            .order_by(c.user_id)
            .with_for_update()
        ).all()
        if not found:
            return
        db.execute(
            update(player_progress)
            .where(ctx.among(c.user_id, [player.user_id for player in found]))
            .values(
                current_streak=case((held > 0, c.current_streak), else_=0),
                protections_remaining=case((held > 0, held - 1), else_=0),
                streak_checked_on=day,
            )
        )
        broken = [player for player in found if not player.held]
        for player in broken:
            payload = {"user_id": player.user_id, "length": player.current_streak}
            ctx.emit("StreakBroken", f"{player.user_id}:{day.isoformat()}", payload)
    ctx.count("broken", len(broken))
    ctx.count("protected", len(found) - len(broken))


streak_update = Job(
    "game.streak_update",
    players_in_danger,
    protect_or_end,
    cron="0 0 * * *",
    batch=1000,
    workers=4,
    catch_up=all_of(newest=7),
    limits=Limits(max_age=hours(25)),
    aliases=("StreakUpdate",),
    description="uses protections, and ends the streaks of those who stayed away",
)
