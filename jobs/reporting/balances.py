"""How much money users had at an instant, worked out backwards from today's balances."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, and_, case, cast, func, or_, select

from jobs.common import users
from jobs.reporting.tables import pockets, transactions
from opsconsole import Context

INCOME, EXPENSE, TRANSFER_IN, TRANSFER_OUT = "income", "expense", "transfer_in", "transfer_out"
ADDING = (INCOME, TRANSFER_IN)
TYPES = (INCOME, EXPENSE, TRANSFER_IN, TRANSFER_OUT)

Sums = dict[str, list[int]]
"""By a type, category or pocket: what came in, what went out, and how many transactions that were."""

of_its_user = and_(pockets.c.id == transactions.c.pocket_id, pockets.c.user_id == transactions.c.user_id)
amount = transactions.c.amount_minor
signed = case((or_(*(transactions.c.type == adding for adding in ADDING)), amount), else_=-amount)
"""What a transaction changes a balance by."""


def minor(total: Any) -> Any:
    """A sum of minor units, 0 of nothing: PostgreSQL adds whole numbers up to a decimal one."""
    return cast(func.coalesce(total, 0), BigInteger)


def sum_where(condition: Any, what: Any = amount) -> Any:
    """The sum over the transactions of a group that the condition holds for."""
    return func.sum(case((condition, what)))


def makes_no_sense(db: Connection) -> Any:
    """The SQL condition that a transaction, joined with its user's pocket, cannot be right."""
    c = transactions.c
    wrong = or_(c.type.not_in(TYPES), amount.is_(None), amount <= 0, pockets.c.id.is_(None))
    # SQLite keeps 12.5 and 'abc' in a column of whole numbers.
    return or_(wrong, func.typeof(amount) != "integer") if db.dialect.name == "sqlite" else wrong


def add(sums: Sums, key: str | None, came_in: int, went_out: int, count: int = 1) -> None:
    """Adds to what is known of a key; what has no category is under an empty one."""
    known = sums.setdefault(key or "", [0, 0, 0])
    known[0] += came_in
    known[1] += went_out
    known[2] += count


def by_key(sums: Sums) -> dict[str, dict[str, int]]:
    """The sums as they are stored."""
    return {key: {"in": came, "out": went, "count": count} for key, (came, went, count) in sorted(sums.items())}


def day_figures(ctx: Context, db: Connection, keys: list[str]) -> list[Any]:
    """Each user's balances at both ends of the day, up to `as_of`, and the sums in between; ordered by user.

    A user with a transaction that cannot be right fails and is left out, also when it happened after the day: today's
    balance is then no way back to that day's.
    """
    day, p, t = ctx.window.until(ctx.as_of), pockets.c, transactions.c
    counts = p.created_at < ctx.window.end  # from the start of the day it was created
    inside = t.occurred_at < day.end
    held = (
        select(p.user_id, func.sum(p.balance_minor).label("balance"), func.count().label("pockets"))
        .where(ctx.among(p.user_id, keys), counts)
        .group_by(p.user_id)
        .cte("held")
    )
    moved = (
        select(
            t.user_id,
            sum_where(counts, signed).label("since_start"),
            sum_where(counts & ~inside, signed).label("since_end"),
            sum_where(inside & (t.type == INCOME)).label("income"),
            sum_where(inside & (t.type == EXPENSE)).label("expense"),
            func.count(case((inside, 1))).label("transactions"),
            func.max(case((inside, t.occurred_at))).label("latest"),
            func.count(case((makes_no_sense(db), 1))).label("wrong"),
        )
        .outerjoin_from(transactions, pockets, of_its_user)
        .where(ctx.among(t.user_id, keys), t.occurred_at >= day.start)
        .group_by(t.user_id)
        .cte("moved")
    )
    h, m = held.c, moved.c
    found = db.execute(
        select(
            users.c.id.label("user_id"),
            func.coalesce(h.pockets, 0).label("pockets"),
            minor(func.coalesce(h.balance, 0) - func.coalesce(m.since_start, 0)).label("opening"),
            minor(func.coalesce(h.balance, 0) - func.coalesce(m.since_end, 0)).label("total"),
            minor(m.income).label("income"),
            minor(m.expense).label("expense"),
            func.coalesce(m.transactions, 0).label("transactions"),
            m.latest,
            func.coalesce(m.wrong, 0).label("wrong"),
        )
        .outerjoin_from(users, held, h.user_id == users.c.id)
        .outerjoin(moved, m.user_id == users.c.id)
        .where(ctx.among(users.c.id, keys))
        .order_by(users.c.id)
    ).all()
    fail_the_wrong(ctx, db, [row.user_id for row in found if row.wrong], day.start)
    return [row for row in found if not row.wrong]


def fail_the_wrong(ctx: Context, db: Connection, keys: list[str], since: datetime) -> None:
    """These users fail, each with the first of their transactions since then that cannot be right."""
    if not keys:
        return
    t = transactions.c
    first = (
        select(func.min(t.id))
        .outerjoin_from(transactions, pockets, of_its_user)
        .where(ctx.among(t.user_id, keys), t.occurred_at >= since, makes_no_sense(db))
        .group_by(t.user_id)
    )
    named = select(t.user_id, t.id, t.type, t.pocket_id, amount, pockets.c.id.label("pocket"))
    for row in db.execute(named.outerjoin_from(transactions, pockets, of_its_user).where(t.id.in_(first))):
        ctx.fail(row.user_id, f"transaction {row.id} {_what_is_wrong(row)}")


def _what_is_wrong(row: Any) -> str:
    if row.type not in TYPES:
        return f"has the type {row.type}, not one of {', '.join(TYPES)}"
    if row.pocket is None:
        return f"is of pocket {row.pocket_id}, which this user does not have"
    return f"has the amount {row.amount_minor}; it must be a whole number of minor units above 0"
