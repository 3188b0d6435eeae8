"""Creates the packs' sample data, and extends it up to now each time the demo is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import Column, Integer, MetaData, String, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from opsconsole.authoring.pack import Pack
from opsconsole.calendar.windows import DAY
from opsconsole.core.column_types import UtcTime
from opsconsole.core.database import Database
from opsconsole.core.errors import Refused

RECENT_DAYS = 5
DAYS_PER_STEP = 12
"""Earlier days are written in steps of this many: each step begins with a query over all users."""

Progress = Callable[[str, float], None]
"""Called with a pack's name and the share of its data that exists, from 0 to 1."""

metadata = MetaData()

sample_until = Table(
    "sample_until",
    metadata,
    Column("pack", String, primary_key=True),
    Column("users", Integer, nullable=False),
    Column("until", UtcTime, nullable=False),
)


class OtherUsers(Refused):
    """Sample data exists for another number of users."""

    def __init__(self, existing: int, requested: int) -> None:
        super().__init__(
            f"this database has sample data for {existing:,} users, not {requested:,}; "
            f"use --users {existing}, or another folder"
        )


def fill(data: Database, packs: Iterable[Pack], users: int, now: datetime, progress: Progress | None = None) -> None:
    """Creates the packs' tables and the missing data of their last days, up to `now`.

    Continues where an earlier call ended, also when it was interrupted. Raises OtherUsers before anything is written.
    """
    sampled = [pack for pack in packs if pack.sample is not None]
    metadata.create_all(data.engine)
    with data.reading() as db:
        existing = {row.pack: row for row in db.execute(select(sample_until))}
    for row in existing.values():
        if row.users != users:
            raise OtherUsers(row.users, users)
    for pack in sampled:
        if pack.metadata is not None:
            pack.metadata.create_all(data.engine)
        before = existing.get(pack.name)
        _fill_pack(data, pack, users, before.until if before else None, now, progress or _quiet)


def _fill_pack(
    data: Database, pack: Pack, users: int, before: datetime | None, now: datetime, progress: Progress
) -> None:
    assert pack.sample is not None  # noqa: S101 - the caller filters
    steps = missing_ranges(_zone(pack), before, now, days=pack.sample_days)
    progress(pack.name, 0.0)
    if steps:
        _set_progress(data, pack.name, users, steps[0][0])  # so that an interrupted call has stored its number of users
    for done, (since, until) in enumerate(steps, 1):
        pack.sample(data, users, since, until)
        _set_progress(data, pack.name, users, until)
        progress(pack.name, done / len(steps))
    if not steps:
        progress(pack.name, 1.0)


def missing_ranges(
    zone: ZoneInfo, before: datetime | None, now: datetime, *, days: int
) -> list[tuple[datetime, datetime]]:
    """The time ranges to create for the last `days` local days up to `now`, when everything up to `before` exists: one
    range per recent day, longer ones for earlier days; oldest first.
    """
    today = now.astimezone(zone).date()
    firsts = [DAY.named(today - timedelta(days=back), zone).start for back in range(days)]
    cuts = {*firsts[:RECENT_DAYS], *firsts[RECENT_DAYS - 1 :: DAYS_PER_STEP], firsts[-1], now}
    since = max(firsts[-1], before) if before else firsts[-1]
    edges = [since, *sorted(cut for cut in cuts if since < cut <= now)]
    return list(pairwise(edges))


def _zone(pack: Pack) -> ZoneInfo:
    """The timezone that the pack's days begin in: that of its first job."""
    return ZoneInfo(next((job.tz for job in pack.jobs), "UTC"))


def _set_progress(data: Database, pack: str, users: int, until: datetime) -> None:
    insert = sqlite.insert if data.is_sqlite else postgresql.insert
    adding = insert(sample_until).values(pack=pack, users=users, until=until)
    with data.writing() as db:
        db.execute(adding.on_conflict_do_update(index_elements=["pack"], set_={"until": adding.excluded.until}))


def _quiet(_pack: str, _share: float) -> None:
    return None
