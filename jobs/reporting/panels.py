"""Panel: reports and snapshots of the last two weeks, and how many users have outdated ones."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, func, select, union

from jobs.common import users
from jobs.reporting.daily_report import stale_users as with_stale_reports
from jobs.reporting.daily_snapshot import stale_users as with_stale_snapshots
from jobs.reporting.tables import daily_financial_reports as reports, daily_financial_snapshots as snapshots
from opsconsole import DAY, Scope, Window
from opsconsole.extensions import ExtensionContext, Panel, PanelContent

UTC = ZoneInfo("UTC")
DAYS = 14
MAX_USER_DAYS = 70_000
"""The limit of users times days checked for staleness: this takes a second on two cores."""


def last_days(ctx: ExtensionContext) -> PanelContent:
    """The last days that ended, newest first, with their rows and the number of stale users."""
    today = DAY.at(ctx.now, UTC)
    days = [DAY.named(date.fromisoformat(today.label) - timedelta(days=n), UTC) for n in range(1, DAYS + 1)]
    with ctx.reading() as db:
        reported, snapshotted = (_rows_by_day(db, table, days[-1]) for table in (reports, snapshots))
        user_count = db.execute(select(func.count()).select_from(users)).scalar_one()
        checked = days[: MAX_USER_DAYS // max(1, user_count)]
        # A day without any rows is missing, not stale.
        stale = {day.label: _stale(db, day, ctx) for day in checked if day.label in reported | snapshotted}
    facts = (
        ("newest report", max(reported, default="none")),
        ("users", f"{user_count:,}"),
        ("stale days", f"{sum(map(bool, stale.values()))} of {len(checked)} checked"),
    )
    rows = tuple((day.label, *(_cell(day, counts) for counts in (reported, snapshotted, stale))) for day in days)
    return PanelContent(facts, ("day", "reports", "snapshots", "stale users"), rows)


def _rows_by_day(db: Connection, table: Table, first: Window) -> dict[str, int]:
    # Rows of these days were generated on these days or later.
    recent = (table.c.generated_at >= first.start) & (table.c.date >= date.fromisoformat(first.label))
    query = select(table.c.date, func.count()).where(recent).group_by(table.c.date)
    return {day.isoformat(): rows for day, rows in db.execute(query)}


def _stale(db: Connection, day: Window, ctx: ExtensionContext) -> int:
    scope = Scope(day, ctx.now, {}, ctx.options)
    either = union(with_stale_reports(scope), with_stale_snapshots(scope)).subquery()
    return int(db.execute(select(func.count()).select_from(either)).scalar_one())


def _cell(day: Window, counts: dict[str, int]) -> str:
    return f"{counts[day.label]:,}" if day.label in counts else "-"


reports_panel = Panel("Reports", last_days)
