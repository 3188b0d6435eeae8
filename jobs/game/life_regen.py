"""Gives a life back to everyone whose half hour is over."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, case, literal, null, or_, select, update

from jobs.game.tables import MAX_LIVES, lives
from opsconsole import Context, Items, Job, Limits, Scope, all_of, minutes

A_LIFE_TAKES = minutes(30)


def due(as_of: datetime) -> Any:
    """The condition that a player gets a life at `as_of`; without a time for it, at once."""
    # The number stands in the statement itself: with a parameter no database would take the index of those who wait.
    waits = lives.c.current_lives < literal(MAX_LIVES, literal_execute=True)
    return and_(waits, or_(lives.c.next_regen_at.is_(None), lives.c.next_regen_at <= as_of))


def waiting_players(scope: Scope) -> Select[tuple[str]]:
    """Everyone who gets a life now."""
    return select(lives.c.user_id).where(due(scope.as_of))


def give_one_life(ctx: Context, players: Items) -> None:
    """One life for each player of the batch who is still due, and the time of the next; none at five."""
    full = lives.c.current_lives + 1 >= MAX_LIVES
    with ctx.writing() as db:
        given = db.execute(
            update(lives)
            .where(players.among(lives.c.user_id), due(ctx.as_of))
            .values(
                current_lives=lives.c.current_lives + 1,
                last_regen_at=ctx.as_of,
                next_regen_at=case((full, null()), else_=literal(ctx.as_of + A_LIFE_TAKES, lives.c.next_regen_at.type)),
            )
        )
    ctx.count("lives", given.rowcount)


life_regen = Job(
    "game.life_regen",
    waiting_players,
    give_one_life,
    cron="*/30 * * * *",
    batch=1000,
    workers=4,
    timeout=minutes(25),  # over before the next half hour
    catch_up=all_of(newest=10),  # five fill anybody
    limits=Limits(max_age=minutes(35)),
    aliases=("LifeRegen",),
    description="gives a life to everyone whose half hour is over",
)
