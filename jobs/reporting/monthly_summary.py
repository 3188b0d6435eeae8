"""Writes what each user earned and spent in a month, and what there was before and after."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, case, exists, func, or_, select

from jobs.common import users
from jobs.reporting.balances import (
    ADDING,
    EXPENSE,
    INCOME,
    Sums,
    add,
    by_key,
    fail_the_wrong,
    makes_no_sense,
    minor,
    of_its_user,
    signed,
    sum_where,
)
from jobs.reporting.staleness import came_late, how_many, to_write, write
from jobs.reporting.tables import (
    daily_financial_reports as reports,
    daily_financial_snapshots as snapshots,
    monthly_financial_summaries as summaries,
    pockets,
    transactions,
)
from opsconsole import MONTH_BEFORE, Context, Items, Job, Limits, Scope, Window, all_of, minutes


def users_with_pockets_or_reports(scope: Scope) -> Select[tuple[str]]:
    """Everybody who had a pocket when the month ended, or has a report in it."""
    had = exists().where(pockets.c.user_id == users.c.id, pockets.c.created_at < scope.window.end)
    has = exists().where(reports.c.user_id == users.c.id, _in_month(reports, scope.window))
    return select(users.c.id).where(or_(had, has))


def stale_users(scope: Scope) -> Select[tuple[str]]:
    """Those of them whose summary is missing, counts other transactions, knows nothing of one that came late, or is
    older than a report or snapshot of its month.
    """
    is_right = exists().where(
        summaries.c.user_id == users.c.id,
        summaries.c.month == scope.window.label,
        summaries.c.transactions == how_many(users.c.id, scope.window.until(scope.as_of)),
        ~_outdated(scope.window),
    )
    return users_with_pockets_or_reports(scope).where(~is_right)


def _in_month(table: Any, month: Window) -> Any:
    first, after = _dates(month)
    return (table.c.date >= first) & (table.c.date < after)


def _dates(month: Window) -> tuple[date, date]:
    first = date.fromisoformat(f"{month.label}-01")
    return first, (first + timedelta(days=31)).replace(day=1)


def _outdated(month: Window) -> Any:
    """The SQL condition that something of the month is newer than the summary."""
    newer = (
        exists().where(
            table.c.user_id == summaries.c.user_id,
            _in_month(table, month),
            table.c.generated_at > summaries.c.generated_at,
        )
        for table in (reports, snapshots)
    )
    return or_(came_late(summaries, month.end), *newer)


@dataclass
class Month:
    """What is known of a user's month."""

    had_pocket: bool = False
    opening: int = 0
    closing: int = 0
    income: int = 0
    expense: int = 0
    transactions: int = 0
    by_category: Sums = field(default_factory=dict)
    by_pocket: Sums = field(default_factory=dict)


def summarize_the_month(ctx: Context, batch: Items) -> None:
    """Writes a summary for each user of the batch."""
    with ctx.reading() as db:
        months = _months(ctx, db, batch)
        reported = _days_reported(db, ctx.window, batch)
        rows = [
            _summary(ctx, user, month, reported.get(user, 0))
            for user, month in sorted(months.items())
            if month.had_pocket or user in reported
        ]
        found = to_write(ctx, db, summaries, rows, _outdated(ctx.window))
    with ctx.writing() as db:
        write(db, summaries, found)
    ctx.count("summaries written", len(found))


def _months(ctx: Context, db: Connection, batch: Items) -> dict[str, Month]:
    """The month of each user but of those who fail.

    It is worked out from the transactions: that needs no report to be there, and cannot differ from a fresh one.
    """
    months = {user: Month() for user in batch}
    began: dict[str, datetime] = {}
    p = pockets.c
    held = select(p.user_id, p.id, p.balance_minor, p.created_at)
    for user, pocket, balance, created_at in db.execute(
        held.where(batch.among(p.user_id), p.created_at < ctx.window.end)
    ):
        began[pocket] = created_at
        month = months[user]
        month.had_pocket = True
        month.closing += balance
        if created_at < ctx.window.start:
            month.opening += balance
    wrong: set[str] = set()
    # Unpacked, not by name: twenty rows a user make this the longest part of the job.
    for user, pocket, category, came_in, went_out, income, expense, count, later, bad in db.execute(
        _moved(ctx, db, batch)
    ):
        month = months[user]
        if bad:
            wrong.add(user)
        if pocket in began:
            month.closing -= later
            if began[pocket] < ctx.window.start:
                month.opening -= came_in - went_out + later
        if count:
            month.income += income
            month.expense += expense
            month.transactions += count
            add(month.by_category, category, came_in, went_out, count)
            add(month.by_pocket, pocket, came_in, went_out, count)
    fail_the_wrong(ctx, db, sorted(wrong), ctx.window.start)
    return {user: month for user, month in months.items() if user not in wrong}


def _moved(ctx: Context, db: Connection, batch: Items) -> Select[Any]:
    """What was moved in the month, and the net of what was moved since, by pocket and category."""
    t, month = transactions.c, ctx.window.until(ctx.as_of)
    inside = t.occurred_at < month.end
    adding = or_(*(t.type == type_ for type_ in ADDING))
    return (
        select(
            t.user_id,
            t.pocket_id,
            t.category,
            minor(sum_where(inside & adding)).label("came_in"),
            minor(sum_where(inside & ~adding)).label("went_out"),
            minor(sum_where(inside & (t.type == INCOME))).label("income"),
            minor(sum_where(inside & (t.type == EXPENSE))).label("expense"),
            func.count(case((inside, 1))).label("transactions"),
            minor(sum_where(~inside, signed)).label("later"),
            func.count(case((makes_no_sense(db), 1))).label("wrong"),
        )
        .outerjoin_from(transactions, pockets, of_its_user)
        .where(batch.among(t.user_id), t.occurred_at >= month.start)
        .group_by(t.user_id, t.pocket_id, t.category)
    )


def _days_reported(db: Connection, month: Window, batch: Items) -> dict[str, int]:
    """On how many days of the month each user has a report."""
    c = reports.c
    counted = select(c.user_id, func.count()).where(batch.among(c.user_id), _in_month(reports, month))
    return {row[0]: row[1] for row in db.execute(counted.group_by(c.user_id))}


def _summary(ctx: Context, user: str, month: Month, days_reported: int) -> dict[str, Any]:
    return {
        "user_id": user,
        "month": ctx.window.label,
        "opening_minor": month.opening,
        "closing_minor": month.closing,
        "income_minor": month.income,
        "expense_minor": month.expense,
        "transactions": month.transactions,
        "by_category": by_key(month.by_category),
        "by_pocket": by_key(month.by_pocket),
        "days_reported": days_reported,
        "generated_at": ctx.now,
    }


monthly_summary = Job(
    "reporting.monthly_summary",
    users_with_pockets_or_reports,
    summarize_the_month,
    stale=stale_users,
    cron="1 0 1 * *",
    covers=MONTH_BEFORE,
    batch=500,  # as the other reports; measured, it makes no difference here
    workers=8,
    parallel=4,
    timeout=minutes(60),
    limits=Limits(longest=minutes(15), critical_below=0.99),
    catch_up=all_of(newest=31),
    after=("reporting.daily_snapshot",),
    description="writes each user's summary of the month",
)
