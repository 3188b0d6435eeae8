"""The reporting jobs, user by user."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.naive.mapping import mapped, opened
from benchmarks.workload import Workload
from jobs.common import users
from jobs.reporting import tables

ADDING = ("income", "transfer_in")


def daily_report(workload: Workload) -> int:
    """Writes the reports of the first users with transactions on the day; returns their number."""
    t = tables.transactions.c
    moved = select(t.id).where(
        t.user_id == users.c.id, t.occurred_at >= workload.window.start, t.occurred_at < workload.until
    )
    with opened(workload) as (session, _):
        found = select(users.c.id).where(moved.exists()).order_by(users.c.id)
        names = session.scalars(found.limit(workload.limit)).all()
        for user in names:
            held, since = _known(session, workload, user)
            _write_report(session, workload, user, held, since)
            session.commit()
        return len(names)


def daily_snapshot(workload: Workload) -> int:
    """Writes the snapshots of the first users with pockets; returns their number."""
    day = date.fromisoformat(workload.window.label)
    with opened(workload) as (session, _):
        names = _with_pockets(session, workload)
        for user in names:
            held, since = _known(session, workload, user)
            inside = [each for each in since if each.occurred_at < workload.until]
            report = session.get(mapped(tables.daily_financial_reports), (user, day))
            if inside and (
                report is None
                or report.through <= max(each.occurred_at for each in inside)
                or report.transactions != len(inside)
            ):
                _write_report(session, workload, user, held, since)
            later = [each for each in since if each.occurred_at >= workload.until]
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


def monthly_summary(workload: Workload) -> int:
    """Writes the summaries of the first users with pockets; returns their number."""
    report = tables.daily_financial_reports.c
    first = workload.window.start.date()
    after = (first + timedelta(days=31)).replace(day=1)
    with opened(workload) as (session, _):
        names = _with_pockets(session, workload)
        for user in names:
            held, since = _known(session, workload, user)
            inside = [each for each in since if each.occurred_at < workload.until]
            later = [each for each in since if each.occurred_at >= workload.until]
            days = select(report.date).where(report.user_id == user, report.date >= first, report.date < after)
            row = {
                "opening_minor": _balance(
                    [pocket for pocket in held if pocket.created_at < workload.window.start], since
                ),
                "closing_minor": _balance(held, later),
                "income_minor": sum(each.amount_minor for each in inside if each.type == "income"),
                "expense_minor": sum(each.amount_minor for each in inside if each.type == "expense"),
                "transactions": len(inside),
                "by_category": _sums(inside, "category"),
                "by_pocket": _sums(inside, "pocket_id"),
                "days_reported": len(session.scalars(days).all()),
                "generated_at": datetime.now(UTC),
            }
            session.merge(mapped(tables.monthly_financial_summaries)(user_id=user, month=workload.window.label, **row))
            session.commit()
        return len(names)


def _with_pockets(session: Session, workload: Workload) -> Sequence[str]:
    p = tables.pockets.c
    had = select(p.id).where(p.user_id == users.c.id, p.created_at < workload.window.end)
    return session.scalars(select(users.c.id).where(had.exists()).order_by(users.c.id).limit(workload.limit)).all()


def _known(session: Session, workload: Workload, user: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """The user's pockets at the end of the window, and the transactions since its start."""
    p, t = tables.pockets.c, tables.transactions.c
    pockets = select(mapped(tables.pockets)).where(p.user_id == user, p.created_at < workload.window.end)
    moved = select(mapped(tables.transactions)).where(t.user_id == user, t.occurred_at >= workload.window.start)
    return session.scalars(pockets).all(), session.scalars(moved).all()


def _write_report(session: Session, workload: Workload, user: str, held: Sequence[Any], since: Sequence[Any]) -> None:
    inside = [each for each in since if each.occurred_at < workload.until]
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
        "through": workload.until,
        "generated_at": datetime.now(UTC),
    }
    day = date.fromisoformat(workload.window.label)
    session.merge(mapped(tables.daily_financial_reports)(user_id=user, date=day, **row))


def _balance(held: Sequence[Any], less: Sequence[Any]) -> int:
    """The balance of the pockets without these transactions."""
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
