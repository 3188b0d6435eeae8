"""Balances of users at a past time, computed backwards from the current balances."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, and_, case, cast, func, or_, select, union

from jobs.reporting.tables import pockets, transactions
from opsconsole import Context

INCOME, EXPENSE, TRANSFER_IN, TRANSFER_OUT = "income", "expense", "transfer_in", "transfer_out"
INFLOWS = (INCOME, TRANSFER_IN)
TYPES = (INCOME, EXPENSE, TRANSFER_IN, TRANSFER_OUT)

Sums = dict[str, list[int]]
"""By type, category or pocket: inflow, outflow and number of transactions."""

pocket_of_user = and_(pockets.c.id == transactions.c.pocket_id, pockets.c.user_id == transactions.c.user_id)
amount = transactions.c.amount_minor
signed = case((or_(*(transactions.c.type == inflow for inflow in INFLOWS)), amount), else_=-amount)
"""The change of the balance by a transaction."""


def first_pocket() -> Select[tuple[datetime]]:
    """When the first pocket was created: nobody had a balance before."""
    return select(func.min(pockets.c.created_at))


def minor_units(total: Any) -> Any:
    """A sum as an integer, 0 for no rows: PostgreSQL returns sums as decimals."""
    return cast(func.coalesce(total, 0), BigInteger)


def sum_where(condition: Any, value: Any = amount) -> Any:
    """The sum over the transactions of a group that meet the condition."""
    return func.sum(case((condition, value)))


def is_invalid(db: Connection) -> Any:
    """The condition that a transaction, joined with its user's pocket, is invalid."""
    c = transactions.c
    invalid = or_(c.type.is_(None), c.type.not_in(TYPES), amount.is_(None), amount <= 0, pockets.c.id.is_(None))
    # SQLite can store 12.5 and 'abc' in an integer column.
    return or_(invalid, func.typeof(amount) != "integer") if db.dialect.name == "sqlite" else invalid


def add_transaction(sums: Sums, key: str | None, inflow: int, outflow: int, count: int = 1) -> None:
    """Adds to the sums of a key; a missing category counts as an empty one."""
    totals = sums.setdefault(key or "", [0, 0, 0])
    totals[0] += inflow
    totals[1] += outflow
    totals[2] += count


def sums_as_json(sums: Sums) -> dict[str, dict[str, int]]:
    """The sums in their stored form, keys sorted."""
    return {
        key: {"in": inflow, "out": outflow, "count": count} for key, (inflow, outflow, count) in sorted(sums.items())
    }


def day_figures(ctx: Context, db: Connection, keys: list[str]) -> list[Any]:
    """Each user's balances at the start and the end of the day, up to `as_of`, and the sums in between, by user.

    Users with an invalid transaction fail and are omitted, also when it is after the day, because the current balance
    then has no information about that day.
    """
    day, p, t = ctx.window.until(ctx.as_of), pockets.c, transactions.c
    counted = p.created_at < ctx.window.end  # from the start of the day it was created
    inside = t.occurred_at < day.end
    held = (
        select(p.user_id, func.sum(p.balance_minor).label("balance"), func.count().label("pockets"))
        .where(ctx.among(p.user_id, keys), counted)
        .group_by(p.user_id)
        .cte("held")
    )
    moved = (
        select(
            t.user_id,
            sum_where(counted, signed).label("since_start"),
            sum_where(counted & ~inside, signed).label("since_end"),
            sum_where(inside & (t.type == INCOME)).label("income"),
            sum_where(inside & (t.type == EXPENSE)).label("expense"),
            func.count(case((inside, 1))).label("transactions"),
            func.max(case((inside, t.occurred_at))).label("latest"),
            func.count(case((is_invalid(db), 1))).label("invalid"),
        )
        .outerjoin_from(transactions, pockets, pocket_of_user)
        .where(ctx.among(t.user_id, keys), t.occurred_at >= day.start)
        .group_by(t.user_id)
        .cte("moved")
    )
    h, m = held.c, moved.c
    owners = union(select(h.user_id), select(m.user_id)).subquery()
    user = owners.c.user_id
    rows = db.execute(
        select(
            user,
            func.coalesce(h.pockets, 0).label("pockets"),
            minor_units(func.coalesce(h.balance, 0) - func.coalesce(m.since_start, 0)).label("opening"),
            minor_units(func.coalesce(h.balance, 0) - func.coalesce(m.since_end, 0)).label("total"),
            minor_units(m.income).label("income"),
            minor_units(m.expense).label("expense"),
            func.coalesce(m.transactions, 0).label("transactions"),
            m.latest,
            func.coalesce(m.invalid, 0).label("invalid"),
        )
        .outerjoin_from(owners, held, h.user_id == user)
        .outerjoin(moved, m.user_id == user)
        .order_by(user)
    ).all()
    fail_invalid_users(ctx, db, [row.user_id for row in rows if row.invalid], day.start)
    return [row for row in rows if not row.invalid]


def fail_invalid_users(ctx: Context, db: Connection, keys: list[str], since: datetime) -> None:
    """Fails these users, each with the first invalid transaction since then.

    Another program may have corrected it after it was found. Such a user fails too, as nothing was written.
    """
    if not keys:
        return
    t, unexplained = transactions.c, set(keys)
    first = (
        select(func.min(t.id))
        .outerjoin_from(transactions, pockets, pocket_of_user)
        .where(ctx.among(t.user_id, keys), t.occurred_at >= since, is_invalid(db))
        .group_by(t.user_id)
    )
    query = select(t.user_id, t.id, t.type, t.pocket_id, amount, pockets.c.id.label("pocket"))
    for row in db.execute(query.outerjoin_from(transactions, pockets, pocket_of_user).where(t.id.in_(first))):
        kind, problem = _problem(row)
        ctx.fail(row.user_id, f"transaction {row.id} {problem}", kind=kind)
        unexplained.discard(row.user_id)
    for user in sorted(unexplained):
        ctx.fail(user, "an invalid transaction changed while it was read; retry the run", kind="transaction_changed")


def _problem(row: Any) -> tuple[str, str]:
    """The kind of failure and its description."""
    if row.type is None:
        return "unknown_type", f"has no type; the types are {', '.join(TYPES)}"
    if row.type not in TYPES:
        return "unknown_type", f"has the unknown type {row.type}; the types are {', '.join(TYPES)}"
    if row.pocket is None:
        return "unknown_pocket", f"is in pocket {row.pocket_id}, which does not belong to this user"
    return "invalid_amount", f"has the amount {row.amount_minor}; it must be a whole number of minor units above 0"
