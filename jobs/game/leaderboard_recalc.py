"""Ranks all players anew, and puts the leaderboards where the game reads them."""

from __future__ import annotations

from jobs.game.leaderboards import BOARDS, left_out, publish, rank
from opsconsole import Context, Items, Job, Limits, Scope, minutes


def all_boards(scope: Scope) -> tuple[str, ...]:
    """The boards."""
    return tuple(BOARDS)


def recalculate(ctx: Context, boards: Items) -> None:
    """Brings the boards up to date, in SQL first: what Redis shows is always what the table had."""
    for board in boards:
        left_out(ctx, board)
        rank(ctx, board)
        publish(ctx, board)


leaderboard_recalc = Job(
    "game.leaderboard_recalc",
    all_boards,
    recalculate,
    cron="0 * * * *",
    batch=1,
    batch_timeout=minutes(15),  # a million players take a minute
    exclusive="leaderboard",
    after=("game.leaderboard_reset_weekly", "game.leaderboard_reset_monthly"),
    limits=Limits(max_age=minutes(65)),
    aliases=("LeaderboardRecalc",),
    description="ranks all players and publishes the leaderboards",
)
