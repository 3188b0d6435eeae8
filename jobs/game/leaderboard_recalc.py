"""Ranks all players and publishes the leaderboards to Redis."""

from __future__ import annotations

from jobs.game.leaderboards import (
    BOARDS,
    board_stamp,
    is_published,
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
    in Redis stays as it is while its ranks and names do, except for the first run of a day.
    """
    for board in boards:
        warn_about_excluded(ctx, board)
        update_rankings(ctx, board)
        stamp = board_stamp(ctx, board)
        if not is_published(ctx, board, stamp):
            publish(ctx, board, stamp)


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
