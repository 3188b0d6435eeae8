"""Writes each user's income, expenses and balances of a day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import CTE, Connection, Select, exists, func, select

from jobs.reporting import day_statements
from jobs.reporting.balances import INFLOWS, Sums, add_transaction, day_figures, sums_as_json
from jobs.reporting.staleness import Rows, has_late_transactions, rows_to_write, transaction_count, upsert
from jobs.reporting.tables import daily_financial_reports as reports, transactions
from opsconsole import DAY, Context, Items, Job, Limits, Scope, all_of, minutes


def users_with_transactions(scope: Scope) -> Select[tuple[str]]:
    """Users with a transaction on the window's day until `as_of`, even if they are missing from `users`."""
    t, day, owner = transactions.c, scope.window.until(scope.as_of), owners().c.user_id
    return select(owner).where(exists().where(t.user_id == owner, day.holds(t.occurred_at)))


def first_transaction() -> Select[tuple[datetime]]:
    """When the first transaction happened."""
    return select(func.min(transactions.c.occurred_at))


def owners() -> CTE:
    """The users with transactions, each once.

    It skips from one user to the next through the index on user and time: a DISTINCT would read all transactions.
    """
    t = transactions.alias("following").c
    first = select(func.min(transactions.c.user_id).label("user_id")).cte("owners", recursive=True)
    following = select(func.min(t.user_id)).where(t.user_id > first.c.user_id).scalar_subquery()
    return first.union_all(select(following).where(first.c.user_id.is_not(None)))


def stale_users(scope: Scope) -> Select[tuple[str]]:
    """Those whose report is missing, counts other transactions, or precedes a late transaction."""
    found = users_with_transactions(scope).subquery()
    is_fresh = exists().where(
        reports.c.user_id == found.c.user_id,
        reports.c.date == date.fromisoformat(scope.window.label),
        reports.c.transactions == transaction_count(found.c.user_id, scope.window.until(scope.as_of)),
        ~has_late_transactions(reports, scope.window.end),
    )
    return select(found.c.user_id).where(~is_fresh)


def write_reports(ctx: Context, batch: Items) -> None:
    """Writes a report for each user with transactions on the day."""
    write = _write_on_sqlite if ctx.is_sqlite else day_statements.write_reports
    ctx.count("reports_written", write(ctx, batch))


def _write_on_sqlite(ctx: Context, batch: Items) -> int:
    """Adds up the transactions in Python, which is faster than JSON in SQLite."""
    with ctx.reading() as db:
        rows = reports_of(ctx, db, day_figures(ctx, db, list(batch)))
    with ctx.writing() as db:
        upsert(db, reports, rows)
    return len(rows)


def reports_of(ctx: Context, db: Connection, figures: Iterable[Any]) -> Rows:
    """The reports to write for users with these figures of the day."""
    with_transactions = [row for row in figures if row.transactions]
    if not with_transactions:
        return []
    t, day = transactions.c, ctx.window.until(ctx.as_of)
    sums: dict[str, tuple[Sums, Sums, Sums]] = {row.user_id: ({}, {}, {}) for row in with_transactions}
    query = select(t.user_id, t.type, t.category, t.pocket_id, t.amount_minor).where(
        ctx.among(t.user_id, list(sums)), day.holds(t.occurred_at)
    )
    for user, type_, category, pocket, amount in db.execute(query):
        inflow, outflow = (amount, 0) if type_ in INFLOWS else (0, amount)
        by_type, by_category, by_pocket = sums[user]
        add_transaction(by_type, type_, inflow, outflow)
        add_transaction(by_category, category, inflow, outflow)
        add_transaction(by_pocket, pocket, inflow, outflow)
    rows = [_report(ctx, row, *sums[row.user_id]) for row in with_transactions]
    return rows_to_write(ctx, db, reports, rows, has_late_transactions(reports, ctx.window.end))


def _report(ctx: Context, row: Any, by_type: Sums, by_category: Sums, by_pocket: Sums) -> dict[str, Any]:
    return {
        "user_id": row.user_id,
        "date": date.fromisoformat(ctx.window.label),
        "opening_minor": row.opening,
        "closing_minor": row.opening + sum(inflow - outflow for inflow, outflow, _ in by_type.values()),
        "income_minor": row.income,
        "expense_minor": row.expense,
        "transactions": row.transactions,
        "by_type": sums_as_json(by_type),
        "by_category": sums_as_json(by_category),
        "by_pocket": sums_as_json(by_pocket),
        "through": min(ctx.window.end, ctx.as_of),
        "generated_at": ctx.now,
    }


daily_report = Job(
    "reporting.daily_report",
    users_with_transactions,
    write_reports,
    stale=stale_users,
    oldest=first_transaction,
    cron="59 23 * * *",
    covers=DAY,
    batch=1000,  # measured with 30,000 users on PostgreSQL: a fifth to a third less processor time than with 500
    workers=8,
    parallel=4,
    timeout=minutes(30),
    limits=Limits(longest=minutes(10), critical_below=0.99),
    catch_up=all_of(newest=31),
    description="Writes each user's report of the day",
)
