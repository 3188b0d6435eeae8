"""A pack for the tests of backfills: daily pages, sums that depend on them, and days that fail."""

from __future__ import annotations

import time
from collections.abc import Iterable

from sqlalchemy import Column, Integer, MetaData, Select, String, Table, func, select

from opsconsole import DAY, DAY_BEFORE, FOUR_WEEKS_BEFORE, Context, Items, Job, Pack, Scope
from opsconsole.core.database import Database
from opsconsole.sql import inserting, key_type

metadata = MetaData()
writers = Table("writers", metadata, Column("id", key_type(), primary_key=True))
spoilt = Table(
    "spoilt",
    metadata,
    Column("day", String, primary_key=True),
    Column("how", String, nullable=False),  # `fails`, or the seconds that each batch takes
)
pages = Table(
    "pages",
    metadata,
    Column("writer", key_type(), primary_key=True),
    Column("day", String, primary_key=True),
    Column("times", Integer, nullable=False),
    Column("order", Integer, nullable=False),
)
sums = Table(
    "sums",
    metadata,
    Column("writer", key_type(), primary_key=True),
    Column("day", String, primary_key=True),
    Column("pages", Integer, nullable=False),
)


def put(data: Database, names: Iterable[str]) -> None:
    """Adds writers."""
    with data.writing() as db:
        db.execute(writers.insert(), [{"id": name} for name in names])


def spoil(data: Database, day: str, how: str = "fails") -> None:
    """Makes a day fail or take longer."""
    with data.writing() as db:
        db.execute(spoilt.insert().values(day=day, how=how))


def all_writers(scope: Scope) -> Select[tuple[str]]:
    """All writers."""
    return select(writers.c.id)


def without_a_page(scope: Scope) -> Select[tuple[str]]:
    """Writers without a page of the day."""
    has_one = select(1).where(pages.c.writer == writers.c.id, pages.c.day == scope.window.label).exists()
    return select(writers.c.id).where(~has_one)


def write_pages(ctx: Context, items: Items) -> None:
    """Writes a page per writer, with the number of earlier pages."""
    with ctx.reading() as db:
        how = db.execute(select(spoilt.c.how).where(spoilt.c.day == ctx.window.label)).scalar()
    if how == "fails":
        for writer in items:
            ctx.fail(writer, "no ink on this day")
        return
    if how:
        time.sleep(float(how))
    with ctx.writing() as db:
        order = db.execute(select(func.count()).select_from(pages)).scalar_one()
        rows = [{"writer": w, "day": ctx.window.label, "times": 1, "order": order} for w in items]
        statement = inserting(db, pages)
        db.execute(
            statement.on_conflict_do_update(index_elements=["writer", "day"], set_={"times": pages.c.times + 1}), rows
        )


def add_up(ctx: Context, items: Items) -> None:
    """Writes each writer's number of pages up to the day."""
    with ctx.writing() as db:
        counted = (
            select(pages.c.writer, func.count().label("n"))
            .where(items.among(pages.c.writer), pages.c.day <= ctx.window.label)
            .group_by(pages.c.writer)
        )
        found: dict[str, int] = dict(db.execute(counted).all())
        statement = inserting(db, sums)
        rows = [{"writer": w, "day": ctx.window.label, "pages": found.get(w, 0)} for w in items]
        db.execute(
            statement.on_conflict_do_update(index_elements=["writer", "day"], set_={"pages": statement.excluded.pages}),
            rows,
        )


def do_nothing(ctx: Context, items: Items) -> None:
    """Does nothing."""


pack = Pack(
    "diary",
    jobs=(
        Job("diary.page", all_writers, write_pages, stale=without_a_page, cron="59 23 * * *", covers=DAY, batch=5),
        Job("diary.sum", all_writers, add_up, cron="0 0 * * *", covers=DAY_BEFORE, after=("diary.page",), batch=5),
        Job("diary.side", all_writers, write_pages, cron="0 1 * * *", covers=DAY_BEFORE, batch=5, parallel=3),
        Job("diary.now", all_writers, add_up, cron="0 3 29 2 *"),
        Job("diary.month", all_writers, add_up, newest_only=True, cron="0 0 29 2 *", covers=FOUR_WEEKS_BEFORE),
        Job("diary.minute", all_writers, do_nothing, cron="* * * * *", batch=5),
    ),
    metadata=metadata,
)
