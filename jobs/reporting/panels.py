"""What the console shows of reports: the last two weeks, and for how many users they are out of date."""

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
USER_DAYS = 70_000
"""For so many users times days it is found out who is out of date: measured, a second on two cores."""


def last_days(ctx: ExtensionContext) -> PanelContent:
    """The days that have ended, newest first, each with its rows and the users for whom they are out of date."""
    today = DAY.at(ctx.now, UTC)
    days = [DAY.named(date.fromisoformat(today.label) - timedelta(days=n), UTC) for n in range(1, DAYS + 1)]
    with ctx.reading() as db:
        reported, held = (_rows_by_day(db, table, days[-1]) for table in (reports, snapshots))
        everybody = db.execute(select(func.count()).select_from(users)).scalar_one()
        looked_at = days[: USER_DAYS // max(1, everybody)]
        # A day without any rows is not out of date but missing.
        stale = {day.label: _stale(db, day, ctx) for day in looked_at if day.label in reported | held}
    facts = (
        ("newest report", max(reported, default="none")),
        ("users", f"{everybody:,}"),
        ("stale days", f"{sum(map(bool, stale.values()))} of {len(looked_at)} looked at"),
    )
    rows = tuple((day.label, *(_told(day, counts) for counts in (reported, held, stale))) for day in days)
    return PanelContent(facts, ("day", "reports", "snapshots", "stale users"), rows)


def _rows_by_day(db: Connection, table: Table, first: Window) -> dict[str, int]:
    # What is of these days was made in them, or later.
    newest = (table.c.generated_at >= first.start) & (table.c.date >= date.fromisoformat(first.label))
    counted = select(table.c.date, func.count()).where(newest).group_by(table.c.date)
    return {day.isoformat(): rows for day, rows in db.execute(counted)}


def _stale(db: Connection, day: Window, ctx: ExtensionContext) -> int:
    scope = Scope(day, ctx.now, {}, ctx.options)
    either = union(with_stale_reports(scope), with_stale_snapshots(scope)).subquery()
    return int(db.execute(select(func.count()).select_from(either)).scalar_one())


def _told(day: Window, counts: dict[str, int]) -> str:
    return f"{counts[day.label]:,}" if day.label in counts else "-"


reports_panel = Panel("Reports", last_days)
