"""Ranks all players and publishes the leaderboards to Redis."""

from __future__ import annotations

from jobs.game.leaderboards import (
    BOARDS,
    is_published,
    players_stamp,
    publish,
    update_rankings,
    warn_about_excluded,
)
from opsconsole import Context, Items, Job, Limits, Scope, minutes


def all_boards(scope: Scope) -> tuple[str, ...]:
    """The names of all boards."""
    return tuple(BOARDS)


def recalculate(ctx: Context, boards: Items) -> None:
    """Updates the rankings in SQL, then publishes them, so that Redis never shows ranks the table did not have. A board
    stays as it is while no player has changed.
    """
    for board in boards:
        warn_about_excluded(ctx, board)
        stamp = players_stamp(ctx, board)  # first: a player who changes meanwhile counts for the next run
        if not is_published(ctx, board, stamp):
            is_current = update_rankings(ctx, board)
            publish(ctx, board, stamp if is_current else None)


leaderboard_recalc = Job(
    "game.leaderboard_recalc",
    all_boards,
    recalculate,
    cron="0 * * * *",
    batch=1,
    workers=len(BOARDS),
    batch_timeout=minutes(15),  # a million players take a minute
    exclusive="leaderboard",
    after=("game.leaderboard_reset_weekly", "game.leaderboard_reset_monthly"),
    limits=Limits(max_age=minutes(65)),
    aliases=("LeaderboardRecalc",),
    description="Ranks all players and publishes the leaderboards",
)
