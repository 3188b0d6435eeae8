"""Closes a week or a month: keeps its ranks, and lets everybody begin at zero."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, case, func, insert, literal, or_, select, update

from jobs.game.leaderboards import BOARDS, places, publish, rank
from jobs.game.tables import player_progress, ranking_archive, rankings
from opsconsole import Context, Items, Job, Limits, Scope, minutes
from opsconsole.sql import UtcTime

BEFORE_RECALCULATION = 10
"""Their priority: an hour's ranks of XP that is about to be zeroed are for nobody."""


def last_week(as_of: datetime) -> str:
    """The ISO week that had ended by then, such as `2026-W03`."""
    day = as_of.astimezone(UTC).date()
    year, week, _ = (day - timedelta(days=day.weekday() + 1)).isocalendar()
    return f"{year}-W{week:02}"


def last_month(as_of: datetime) -> str:
    """The month that had ended by then, such as `2026-01`."""
    first = as_of.astimezone(UTC).date().replace(day=1)
    return (first - timedelta(days=1)).strftime("%Y-%m")


def the_weekly_board(scope: Scope) -> tuple[str, ...]:
    """One board."""
    return ("weekly",)


def the_monthly_board(scope: Scope) -> tuple[str, ...]:
    """One board."""
    return ("monthly",)


def reset_week(ctx: Context, boards: Items) -> None:
    """Closes the last week of the boards."""
    _reset(ctx, boards, last_week)


def reset_month(ctx: Context, boards: Items) -> None:
    """Closes the last month of the boards."""
    _reset(ctx, boards, last_month)


def _reset(ctx: Context, boards: Items, period_before: Callable[[datetime], str]) -> None:
    for board in boards:
        if _closed(ctx, board, period_before(ctx.as_of)):
            rank(ctx, board)
        publish(ctx, board)


def _closed(ctx: Context, board: str, period: str) -> bool:
    """Archives the ranks of now, zeroes XP and scores, and tells of it, all or nothing; False where that is done."""
    c, archive = player_progress.c, ranking_archive.c
    xp = BOARDS[board]
    of_period = and_(archive.board == board, archive.period == period)
    with ctx.writing() as db:
        if db.execute(select(archive.rank).where(of_period).limit(1)).first():
            return False
        now = places(board).subquery()
        db.execute(
            insert(ranking_archive).from_select(
                ["board", "period", "user_id", "score", "rank", "archived_at"],
                select(
                    literal(board), literal(period), now.c.user_id, now.c.score, now.c.rank, literal(ctx.now, UtcTime)
                ),
            )
        )
        # What was archived is taken away: what somebody earns meanwhile is the first XP of the new period.
        rest = case((xp > archive.score, xp - archive.score), else_=0)
        db.execute(
            update(player_progress)
            .where(of_period, archive.user_id == c.user_id, archive.score != 0)
            .values({xp.name: rest})
        )
        db.execute(update(player_progress).where(or_(xp.is_(None), xp < 0)).values({xp.name: 0}))
        db.execute(
            update(rankings).where(rankings.c.board == board, rankings.c.score != 0).values(score=0, updated_at=ctx.now)
        )
        archived = db.execute(select(func.count()).where(of_period)).scalar_one()
        ctx.emit("LeaderboardReset", f"{board}:{period}", {"board": board, "period": period})
    ctx.count("archived", archived)
    ctx.log(f"{board} {period} is closed")
    return True


leaderboard_reset_weekly = Job(
    "game.leaderboard_reset_weekly",
    the_weekly_board,
    reset_week,
    cron="0 0 * * 1",
    batch=1,
    batch_timeout=minutes(15),  # as long as a recalculation, and the archive
    exclusive="leaderboard",
    priority=BEFORE_RECALCULATION,
    limits=Limits(max_age=timedelta(days=8)),
    description="keeps the week's ranks and begins the next at zero",
)

leaderboard_reset_monthly = Job(
    "game.leaderboard_reset_monthly",
    the_monthly_board,
    reset_month,
    cron="0 0 1 * *",
    batch=1,
    batch_timeout=minutes(15),
    exclusive="leaderboard",
    priority=BEFORE_RECALCULATION,
    limits=Limits(max_age=timedelta(days=32)),
    description="keeps the month's ranks and begins the next at zero",
)
