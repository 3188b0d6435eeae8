"""Closes a week or a month: archives its ranks and resets the board's XP to zero."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, case, func, insert, literal, or_, select, update

from jobs.game.leaderboards import BOARDS, publish, standings, update_rankings
from jobs.game.tables import player_progress, ranking_archive, rankings
from opsconsole import Context, Items, Job, Limits, Scope, minutes
from opsconsole.sql import UtcTime

RESET_PRIORITY = 10
"""Higher than the recalculation: ranking XP that is about to be reset is wasted work."""


def last_week(as_of: datetime) -> str:
    """The last ISO week that ended at or before `as_of`, such as `2026-W03`."""
    day = as_of.astimezone(UTC).date()
    year, week, _ = (day - timedelta(days=day.weekday() + 1)).isocalendar()
    return f"{year}-W{week:02}"


def last_month(as_of: datetime) -> str:
    """The last month that ended at or before `as_of`, such as `2026-01`."""
    first = as_of.astimezone(UTC).date().replace(day=1)
    return (first - timedelta(days=1)).strftime("%Y-%m")


def weekly_board(scope: Scope) -> tuple[str, ...]:
    """The board to reset."""
    return ("weekly",)


def monthly_board(scope: Scope) -> tuple[str, ...]:
    """The board to reset."""
    return ("monthly",)


def reset_week(ctx: Context, boards: Items) -> None:
    """Closes the last week of the boards."""
    _reset(ctx, boards, last_week)


def reset_month(ctx: Context, boards: Items) -> None:
    """Closes the last month of the boards."""
    _reset(ctx, boards, last_month)


def _reset(ctx: Context, boards: Items, period_before: Callable[[datetime], str]) -> None:
    for board in boards:
        if _close_period(ctx, board, period_before(ctx.as_of)):
            update_rankings(ctx, board)
        publish(ctx, board)


def _close_period(ctx: Context, board: str, period: str) -> bool:
    """Archives the ranks, resets XP and scores, and emits the event in one transaction. False if already done."""
    c, archive = player_progress.c, ranking_archive.c
    xp = BOARDS[board]
    of_period = and_(archive.board == board, archive.period == period)
    with ctx.writing() as db:
        if db.execute(select(archive.rank).where(of_period).limit(1)).first():
            return False
        current = standings(board).subquery()
        db.execute(
            insert(ranking_archive).from_select(
                ["board", "period", "user_id", "score", "rank", "archived_at"],
                select(
                    literal(board),
                    literal(period),
                    current.c.user_id,
                    current.c.score,
                    current.c.rank,
                    literal(ctx.now, UtcTime),
                ),
            )
        )
        # Subtracts the archived score: XP earned since then belongs to the new period.
        remaining = case((xp > archive.score, xp - archive.score), else_=0)
        db.execute(
            update(player_progress)
            .where(of_period, archive.user_id == c.user_id, archive.score != 0)
            .values({xp.name: remaining})
        )
        db.execute(update(player_progress).where(or_(xp.is_(None), xp < 0)).values({xp.name: 0}))
        db.execute(
            update(rankings).where(rankings.c.board == board, rankings.c.score != 0).values(score=0, updated_at=ctx.now)
        )
        archived = db.execute(select(func.count()).where(of_period)).scalar_one()
        ctx.emit("LeaderboardReset", f"{board}:{period}", {"board": board, "period": period})
    ctx.count("archived", archived)
    ctx.log(f"board {board}: closed {period}")
    return True


leaderboard_reset_weekly = Job(
    "game.leaderboard_reset_weekly",
    weekly_board,
    reset_week,
    cron="0 0 * * 1",
    batch=1,
    batch_timeout=minutes(15),  # a recalculation, and the archive
    exclusive="leaderboard",
    priority=RESET_PRIORITY,
    limits=Limits(max_age=timedelta(days=8)),
    description="Archives the week's ranks and resets weekly XP",
)

leaderboard_reset_monthly = Job(
    "game.leaderboard_reset_monthly",
    monthly_board,
    reset_month,
    cron="0 0 1 * *",
    batch=1,
    batch_timeout=minutes(15),
    exclusive="leaderboard",
    priority=RESET_PRIORITY,
    limits=Limits(max_age=timedelta(days=32)),
    description="Archives the month's ranks and resets monthly XP",
)
