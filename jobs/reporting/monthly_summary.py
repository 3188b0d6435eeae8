"""Writes each user's income, expenses and balances of a month."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, case, exists, func, or_, select, union

from jobs.reporting.balances import (
    EXPENSE,
    INCOME,
    INFLOWS,
    Sums,
    add_transaction,
    fail_invalid_users,
    first_pocket,
    is_invalid,
    minor_units,
    pocket_of_user,
    signed,
    sum_where,
    sums_as_json,
)
from jobs.reporting.staleness import has_late_transactions, rows_to_write, transaction_count, upsert
from jobs.reporting.tables import (
    daily_financial_reports as reports,
    daily_financial_snapshots as snapshots,
    monthly_financial_summaries as summaries,
    pockets,
    transactions,
)
from opsconsole import MONTH_BEFORE, Context, Items, Job, Limits, Scope, Window, all_of, minutes


def users_with_pockets_or_reports(scope: Scope) -> Select[tuple[str]]:
    """Users with a pocket at the end of the month, or with a report in it, whether they are in `users` or not."""
    with_pocket = select(pockets.c.user_id).where(pockets.c.created_at < scope.window.end)
    with_report = select(reports.c.user_id).where(_in_month(reports, scope.window))
    owners = union(with_pocket, with_report).subquery()
    return select(owners.c.user_id)


def stale_users(scope: Scope) -> Select[tuple[str]]:
    """Those whose summary is missing, counts other transactions, precedes a late transaction, or is older than a
    report or snapshot of its month.
    """
    owners = users_with_pockets_or_reports(scope).subquery()
    is_fresh = exists().where(
        summaries.c.user_id == owners.c.user_id,
        summaries.c.month == scope.window.label,
        summaries.c.transactions == transaction_count(owners.c.user_id, scope.window.until(scope.as_of)),
        ~_is_outdated(scope.window),
    )
    return select(owners.c.user_id).where(~is_fresh)


def _in_month(table: Any, month: Window) -> Any:
    first, after = _dates(month)
    return (table.c.date >= first) & (table.c.date < after)


def _dates(month: Window) -> tuple[date, date]:
    first = date.fromisoformat(f"{month.label}-01")
    return first, (first + timedelta(days=31)).replace(day=1)


def _is_outdated(month: Window) -> Any:
    """The condition that a report, snapshot or late transaction of the month is newer than the summary."""
    newer = (
        exists().where(
            table.c.user_id == summaries.c.user_id,
            _in_month(table, month),
            table.c.generated_at > summaries.c.generated_at,
        )
        for table in (reports, snapshots)
    )
    return or_(has_late_transactions(summaries, month.end), *newer)


@dataclass
class MonthTotals:
    """The totals of a user's month, in minor units."""

    had_pocket: bool = False
    opening: int = 0
    closing: int = 0
    income: int = 0
    expense: int = 0
    transactions: int = 0
    by_category: Sums = field(default_factory=dict)
    by_pocket: Sums = field(default_factory=dict)


def write_summaries(ctx: Context, batch: Items) -> None:
    """Writes a summary for each user."""
    with ctx.reading() as db:
        months = _month_totals(ctx, db, batch)
        reported = _days_reported(db, ctx.window, batch)
        rows = [
            _summary(ctx, user, month, reported.get(user, 0))
            for user, month in sorted(months.items())
            if month.had_pocket or user in reported
        ]
        changed = rows_to_write(ctx, db, summaries, rows, _is_outdated(ctx.window))
    with ctx.writing() as db:
        upsert(db, summaries, changed)
    ctx.count("summaries_written", len(changed))


def _month_totals(ctx: Context, db: Connection, batch: Items) -> dict[str, MonthTotals]:
    """The totals of each user, without users who fail.

    They are computed from the transactions, so they need no report and agree with fresh ones.
    """
    months = {user: MonthTotals() for user in batch}
    created: dict[str, datetime] = {}
    p = pockets.c
    query = select(p.user_id, p.id, p.balance_minor, p.created_at)
    for user, pocket, balance, created_at in db.execute(
        query.where(batch.among(p.user_id), p.created_at < ctx.window.end)
    ):
        created[pocket] = created_at
        month = months[user]
        month.had_pocket = True
        month.closing += balance
        if created_at < ctx.window.start:
            month.opening += balance
    invalid: set[str] = set()
    # Unpacked, not accessed by name: with twenty rows per user this loop takes most of the job's time.
    for user, pocket, category, inflow, outflow, income, expense, count, later, is_bad in db.execute(
        _transaction_sums(ctx, db, batch)
    ):
        month = months[user]
        if is_bad:
            invalid.add(user)
        if pocket in created:
            month.closing -= later
            if created[pocket] < ctx.window.start:
                month.opening -= inflow - outflow + later
        if count:
            month.income += income
            month.expense += expense
            month.transactions += count
            add_transaction(month.by_category, category, inflow, outflow, count)
            add_transaction(month.by_pocket, pocket, inflow, outflow, count)
    fail_invalid_users(ctx, db, sorted(invalid), ctx.window.start)
    return {user: month for user, month in months.items() if user not in invalid}


def _transaction_sums(ctx: Context, db: Connection, batch: Items) -> Select[Any]:
    """The sums of the month, and the net change since its end, by pocket and category."""
    t, month = transactions.c, ctx.window.until(ctx.as_of)
    inside = t.occurred_at < month.end
    is_inflow = or_(*(t.type == type_ for type_ in INFLOWS))
    return (
        select(
            t.user_id,
            t.pocket_id,
            t.category,
            minor_units(sum_where(inside & is_inflow)).label("inflow"),
            minor_units(sum_where(inside & ~is_inflow)).label("outflow"),
            minor_units(sum_where(inside & (t.type == INCOME))).label("income"),
            minor_units(sum_where(inside & (t.type == EXPENSE))).label("expense"),
            func.count(case((inside, 1))).label("transactions"),
            minor_units(sum_where(~inside, signed)).label("later"),
            func.count(case((is_invalid(db), 1))).label("invalid"),
        )
        .outerjoin_from(transactions, pockets, pocket_of_user)
        .where(batch.among(t.user_id), t.occurred_at >= month.start)
        .group_by(t.user_id, t.pocket_id, t.category)
    )


def _days_reported(db: Connection, month: Window, batch: Items) -> dict[str, int]:
    """The number of days of the month with a report, by user."""
    c = reports.c
    query = select(c.user_id, func.count()).where(batch.among(c.user_id), _in_month(reports, month))
    return {row[0]: row[1] for row in db.execute(query.group_by(c.user_id))}


def _summary(ctx: Context, user: str, month: MonthTotals, days_reported: int) -> dict[str, Any]:
    return {
        "user_id": user,
        "month": ctx.window.label,
        "opening_minor": month.opening,
        "closing_minor": month.closing,
        "income_minor": month.income,
        "expense_minor": month.expense,
        "transactions": month.transactions,
        "by_category": sums_as_json(month.by_category),
        "by_pocket": sums_as_json(month.by_pocket),
        "days_reported": days_reported,
        "generated_at": ctx.now,
    }


monthly_summary = Job(
    "reporting.monthly_summary",
    users_with_pockets_or_reports,
    write_summaries,
    stale=stale_users,
    oldest=first_pocket,
    cron="1 0 1 * *",
    covers=MONTH_BEFORE,
    batch=500,  # as for the other reports; measured: no difference here
    workers=8,
    parallel=4,
    timeout=minutes(60),
    limits=Limits(longest=minutes(15), critical_below=0.99),
    catch_up=all_of(newest=31),
    after=("reporting.daily_snapshot",),
    description="Writes each user's summary of the month",
)
