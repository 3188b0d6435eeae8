"""Panels: players waiting for each job, and the leaderboards."""

from __future__ import annotations

from sqlalchemy import Connection, Select, func, select

from jobs.game.leaderboards import BOARDS
from jobs.game.life_regen import is_due
from jobs.game.session_cleanup import is_abandoned
from jobs.game.streak_update import streak_at_risk
from jobs.game.tables import lives, player_progress, quiz_sessions, ranking_archive, rankings
from opsconsole.extensions import ExtensionContext, Panel, PanelContent


def players_now(ctx: ExtensionContext) -> PanelContent:
    """The number of items due for each job. All counts use indexes, so that the panel can refresh every second."""
    now = ctx.now
    queries = {
        "lives due": select(lives.c.user_id).where(is_due(now)),
        "streaks at risk": select(player_progress.c.user_id).where(streak_at_risk(now)),
        "expired sessions": select(quiz_sessions.c.id).where(is_abandoned(now)),
        "active sessions": select(quiz_sessions.c.id).where(
            quiz_sessions.c.status == "active", quiz_sessions.c.expires_at > now
        ),
    }
    with ctx.reading() as db:
        return PanelContent(facts=tuple((name, f"{_count(db, query):,}") for name, query in queries.items()))


def leaderboards_now(ctx: ExtensionContext) -> PanelContent:
    """Each board's size, its leader, and the last closed period."""
    with ctx.reading() as db:
        rows = tuple(_board(db, board) for board in BOARDS)
    return PanelContent(columns=("board", "players", "first", "XP", "since", "last closed"), rows=rows)


def _count(db: Connection, query: Select[tuple[str]]) -> int:
    return int(db.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def _board(db: Connection, board: str) -> tuple[str, ...]:
    of_board = rankings.c.board == board
    size = db.execute(select(func.max(rankings.c.rank)).where(of_board)).scalar()
    closed = db.execute(select(func.max(ranking_archive.c.period)).where(ranking_archive.c.board == board)).scalar()
    first = db.execute(
        select(rankings.c.user_id, rankings.c.score, rankings.c.updated_at, player_progress.c.username)
        .outerjoin(player_progress, player_progress.c.user_id == rankings.c.user_id)
        .where(of_board)
        .order_by(rankings.c.rank)
        .limit(1)
    ).first()
    if first is None:
        return (board, "0", "", "", "", closed or "")
    since = f"{first.updated_at:%Y-%m-%d %H:%M} UTC"
    return (board, f"{size:,}", first.username or first.user_id, f"{first.score:,}", since, closed or "")


panels = (Panel("Players", players_now), Panel("Leaderboards", leaderboards_now))
