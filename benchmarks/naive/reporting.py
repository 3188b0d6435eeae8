"""The jobs of reporting, user by user."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.naive.mapping import mapped, opened
from benchmarks.workload import Asked
from jobs.common import users
from jobs.reporting import tables

ADDING = ("income", "transfer_in")


def daily_report(asked: Asked) -> int:
    """Writes the day's report of the first users with transactions on it; returns how many these are."""
    t = tables.transactions.c
    moved = select(t.id).where(
        t.user_id == users.c.id, t.occurred_at >= asked.window.start, t.occurred_at < asked.until
    )
    with opened(asked) as (session, _):
        found = select(users.c.id).where(moved.exists()).order_by(users.c.id)
        names = session.scalars(found.limit(asked.limit)).all()
        for user in names:
            held, since = _known(session, asked, user)
            _write_report(session, asked, user, held, since)
            session.commit()
        return len(names)


def daily_snapshot(asked: Asked) -> int:
    """Writes what the first users with pockets had when the day ended; returns how many these are."""
    day = date.fromisoformat(asked.window.label)
    with opened(asked) as (session, _):
        names = _with_pockets(session, asked)
        for user in names:
            held, since = _known(session, asked, user)
            inside = [each for each in since if each.occurred_at < asked.until]
            report = session.get(mapped(tables.daily_financial_reports), (user, day))
            if inside and (
                report is None
                or report.through <= max(each.occurred_at for each in inside)
                or report.transactions != len(inside)
            ):
                _write_report(session, asked, user, held, since)
            later = [each for each in since if each.occurred_at >= asked.until]
            row = {
                "total_minor": _balance(held, later),
                "pockets": len(held),
                "income_minor": sum(each.amount_minor for each in inside if each.type == "income"),
                "expense_minor": sum(each.amount_minor for each in inside if each.type == "expense"),
                "generated_at": datetime.now(UTC),
            }
            session.merge(mapped(tables.daily_financial_snapshots)(user_id=user, date=day, **row))
            session.commit()
        return len(names)


def monthly_summary(asked: Asked) -> int:
    """Writes the month of the first users with pockets; returns how many these are."""
    report = tables.daily_financial_reports.c
    first = asked.window.start.date()
    after = (first + timedelta(days=31)).replace(day=1)
    with opened(asked) as (session, _):
        names = _with_pockets(session, asked)
        for user in names:
            held, since = _known(session, asked, user)
            inside = [each for each in since if each.occurred_at < asked.until]
            later = [each for each in since if each.occurred_at >= asked.until]
            days = select(report.date).where(report.user_id == user, report.date >= first, report.date < after)
            row = {
                "opening_minor": _balance([pocket for pocket in held if pocket.created_at < asked.window.start], since),
                "closing_minor": _balance(held, later),
                "income_minor": sum(each.amount_minor for each in inside if each.type == "income"),
                "expense_minor": sum(each.amount_minor for each in inside if each.type == "expense"),
                "transactions": len(inside),
                "by_category": _sums(inside, "category"),
                "by_pocket": _sums(inside, "pocket_id"),
                "days_reported": len(session.scalars(days).all()),
                "generated_at": datetime.now(UTC),
            }
            session.merge(mapped(tables.monthly_financial_summaries)(user_id=user, month=asked.window.label, **row))
            session.commit()
        return len(names)


def _with_pockets(session: Session, asked: Asked) -> Sequence[str]:
    p = tables.pockets.c
    had = select(p.id).where(p.user_id == users.c.id, p.created_at < asked.window.end)
    return session.scalars(select(users.c.id).where(had.exists()).order_by(users.c.id).limit(asked.limit)).all()


def _known(session: Session, asked: Asked, user: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """The user's pockets when the window ended, and the transactions since it began."""
    p, t = tables.pockets.c, tables.transactions.c
    pockets = select(mapped(tables.pockets)).where(p.user_id == user, p.created_at < asked.window.end)
    moved = select(mapped(tables.transactions)).where(t.user_id == user, t.occurred_at >= asked.window.start)
    return session.scalars(pockets).all(), session.scalars(moved).all()


def _write_report(session: Session, asked: Asked, user: str, held: Sequence[Any], since: Sequence[Any]) -> None:
    inside = [each for each in since if each.occurred_at < asked.until]
    opening = _balance(held, since)
    row = {
        "opening_minor": opening,
        "closing_minor": opening + sum(map(_signed, inside)),
        "income_minor": sum(each.amount_minor for each in inside if each.type == "income"),
        "expense_minor": sum(each.amount_minor for each in inside if each.type == "expense"),
        "transactions": len(inside),
        "by_type": _sums(inside, "type"),
        "by_category": _sums(inside, "category"),
        "by_pocket": _sums(inside, "pocket_id"),
        "through": asked.until,
        "generated_at": datetime.now(UTC),
    }
    day = date.fromisoformat(asked.window.label)
    session.merge(mapped(tables.daily_financial_reports)(user_id=user, date=day, **row))


def _balance(held: Sequence[Any], less: Sequence[Any]) -> int:
    """What is in the pockets without these transactions."""
    counting = {pocket.id for pocket in held}
    balance: int = sum(pocket.balance_minor for pocket in held)
    return balance - sum(_signed(each) for each in less if each.pocket_id in counting)


def _signed(transaction: Any) -> int:
    amount: int = transaction.amount_minor
    return amount if transaction.type in ADDING else -amount


def _sums(inside: Sequence[Any], by: str) -> dict[str, dict[str, int]]:
    sums: dict[str, dict[str, int]] = {}
    for each in inside:
        known = sums.setdefault(getattr(each, by) or "", {"in": 0, "out": 0, "count": 0})
        known["in" if each.type in ADDING else "out"] += each.amount_minor
        known["count"] += 1
    return dict(sorted(sums.items()))
