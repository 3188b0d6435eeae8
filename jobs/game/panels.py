"""What the console shows of the game."""

from __future__ import annotations

from sqlalchemy import Connection, Select, func, select

from jobs.game.leaderboards import BOARDS
from jobs.game.life_regen import due
from jobs.game.session_cleanup import over
from jobs.game.streak_update import in_danger
from jobs.game.tables import lives, player_progress, quiz_sessions, ranking_archive, rankings
from opsconsole.extensions import ExtensionContext, Panel, PanelContent


def players_now(ctx: ExtensionContext) -> PanelContent:
    """How many wait for each of the jobs; all from indexes, so that it may be asked every second."""
    now = ctx.now
    waiting = {
        "lives due": select(lives.c.user_id).where(due(now)),
        "streaks in danger": select(player_progress.c.user_id).where(in_danger(now)),
        "sessions left open": select(quiz_sessions.c.id).where(over(now)),
        "sessions going on": select(quiz_sessions.c.id).where(
            quiz_sessions.c.status == "active", quiz_sessions.c.expires_at > now
        ),
    }
    with ctx.reading() as db:
        return PanelContent(facts=tuple((name, f"{_count(db, query):,}") for name, query in waiting.items()))


def leaderboards_now(ctx: ExtensionContext) -> PanelContent:
    """Each board's size, who leads it, and the last period that was closed."""
    with ctx.reading() as db:
        rows = tuple(_board(db, board) for board in BOARDS)
    return PanelContent(columns=("board", "players", "first", "XP", "since", "last closed"), rows=rows)


def _count(db: Connection, query: Select[tuple[str]]) -> int:
    return int(db.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def _board(db: Connection, board: str) -> tuple[str, ...]:
    mine = rankings.c.board == board
    size = db.execute(select(func.max(rankings.c.rank)).where(mine)).scalar()
    closed = db.execute(select(func.max(ranking_archive.c.period)).where(ranking_archive.c.board == board)).scalar()
    first = db.execute(
        select(rankings.c.user_id, rankings.c.score, rankings.c.updated_at, player_progress.c.username)
        .outerjoin(player_progress, player_progress.c.user_id == rankings.c.user_id)
        .where(mine)
        .order_by(rankings.c.rank)
        .limit(1)
    ).first()
    if first is None:
        return (board, "0", "", "", "", closed or "")
    since = f"{first.updated_at:%Y-%m-%d %H:%M} UTC"
    return (board, f"{size:,}", first.username or first.user_id, f"{first.score:,}", since, closed or "")


panels = (Panel("Players", players_now), Panel("Leaderboards", leaderboards_now))
