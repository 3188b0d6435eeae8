"""The game jobs, player by player."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, or_, select

from benchmarks.naive.mapping import mapped, opened
from benchmarks.workload import Workload
from jobs.game import tables
from jobs.game.leaderboards import member_score
from opsconsole.authoring.outbox import events


def life_regen(workload: Workload) -> int:
    """Gives a life to the first due players; returns their number."""
    c = tables.lives.c
    due = or_(c.next_regen_at.is_(None), c.next_regen_at <= workload.as_of)
    with opened(workload) as (session, _):
        waiting = select(c.user_id).where(c.current_lives < tables.MAX_LIVES, due).order_by(c.user_id)
        names = session.scalars(waiting.limit(workload.limit)).all()
        for user in names:
            player = session.get_one(mapped(tables.lives), user)
            player.current_lives += 1
            player.last_regen_at = workload.as_of
            is_full = player.current_lives >= tables.MAX_LIVES
            player.next_regen_at = None if is_full else workload.as_of + timedelta(minutes=30)
            session.commit()
        return len(names)


def streak_update(workload: Workload) -> int:
    """Uses protections or ends streaks of the first players at risk; returns their number."""
    c = tables.player_progress.c
    midnight = workload.as_of.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    today = midnight.date()
    danger = (
        c.current_streak > 0,
        or_(c.last_quiz_at.is_(None), c.last_quiz_at < midnight - timedelta(hours=48)),
        or_(c.streak_checked_on.is_(None), c.streak_checked_on < today),
    )
    with opened(workload) as (session, _):
        names = session.scalars(select(c.user_id).where(*danger).order_by(c.user_id).limit(workload.limit)).all()
        for user in names:
            player = session.get_one(mapped(tables.player_progress), user)
            held = min(player.protections_remaining or 0, 2)
            if held <= 0:
                payload = {"user_id": user, "length": player.current_streak}
                event = {"key": f"{user}:{today}", "payload": payload, "occurred_at": datetime.now(UTC)}
                session.add(mapped(events)(name="StreakBroken", **event))
                player.current_streak = 0
            player.protections_remaining = max(held - 1, 0)
            player.streak_checked_on = today
            session.commit()
        return len(names)


def session_cleanup(workload: Workload) -> int:
    """Closes the first expired sessions; returns their number."""
    c = tables.quiz_sessions.c
    with opened(workload) as (session, _):
        over = select(c.id).where(c.status == "active", c.expires_at <= workload.as_of).order_by(c.id)
        names = session.scalars(over.limit(workload.limit)).all()
        for name in names:
            quiz = session.get_one(mapped(tables.quiz_sessions), name)
            quiz.status, quiz.completed_at = "expired", workload.as_of
            payload = {"session_id": name, "user_id": quiz.user_id}
            event = {"key": name, "payload": payload, "occurred_at": datetime.now(UTC)}
            session.add(mapped(events)(name="QuizAbandoned", **event))
            session.commit()
        return len(names)


def leaderboard_recalc(workload: Workload) -> int:
    """Ranks the first players of each board; returns their number."""
    c = tables.player_progress.c
    ranking = mapped(tables.rankings)
    with opened(workload) as (session, cache):
        for board, xp in (("global", c.xp), ("weekly", c.weekly_xp), ("monthly", c.monthly_xp)):
            order = (xp.desc(), c.xp_updated_at.desc().nulls_last(), c.user_id)
            standing = select(c.user_id, xp, c.username).where(xp >= 0).order_by(*order).limit(workload.limit)
            players = session.execute(standing).all()
            level, behind = -1, 0
            for rank, (user, score, name) in reversed(list(enumerate(players, 1))):
                level, behind = score, behind + 1 if score == level else 0
                row = {"score": score, "rank": rank, "updated_at": datetime.now(UTC)}
                session.merge(ranking(board=board, user_id=user, **row))
                session.commit()
                cache.zadd(f"leaderboard:{board}", {user: member_score(score, behind)})
                if name is not None:
                    cache.hset(f"leaderboard:{board}:names", user, name)
        many = session.scalars(select(func.count()).select_from(tables.player_progress)).one()
        return many if workload.limit is None else min(many, workload.limit)
