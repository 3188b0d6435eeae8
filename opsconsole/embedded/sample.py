"""Fills a data database with the packs' sample data, and keeps it up to date each time it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import Column, Integer, MetaData, String, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from opsconsole.authoring.pack import Pack
from opsconsole.calendar.windows import DAY
from opsconsole.core.database import Database, UtcTime
from opsconsole.core.errors import Refused

DAY_BY_DAY = 5
AT_ONCE = 12
"""Days longer ago are written so many at once: each stretch begins with a look at all the people."""

Progress = Callable[[str, float], None]
"""Told a pack's name and the share of its data that is there, from 0 to 1."""

metadata = MetaData()

sample_until = Table(
    "sample_until",
    metadata,
    Column("pack", String, primary_key=True),
    Column("users", Integer, nullable=False),
    Column("until", UtcTime, nullable=False),
)


class OtherUsers(Refused):
    """Sample data is there already, of another number of users."""

    def __init__(self, there: int, asked: int) -> None:
        super().__init__(
            f"this database has sample data of {there:,} users, not {asked:,}; ask for {there}, or use another folder"
        )


def fill(data: Database, packs: Iterable[Pack], users: int, now: datetime, progress: Progress | None = None) -> None:
    """Creates the packs' tables and writes what is missing of their last days, up to `now`.

    It goes on where it ended, also when it was cut off. Raises OtherUsers before anything is written.
    """
    sampled = [pack for pack in packs if pack.sample is not None]
    metadata.create_all(data.engine)
    with data.reading() as db:
        there = {row.pack: row for row in db.execute(select(sample_until))}
    for row in there.values():
        if row.users != users:
            raise OtherUsers(row.users, users)
    for pack in sampled:
        if pack.metadata is not None:
            pack.metadata.create_all(data.engine)
        before = there.get(pack.name)
        _fill_pack(data, pack, users, before.until if before else None, now, progress or _quiet)


def _fill_pack(
    data: Database, pack: Pack, users: int, before: datetime | None, now: datetime, progress: Progress
) -> None:
    assert pack.sample is not None  # noqa: S101 - only such packs come here
    steps = stretches(_zone(pack), before, now, days=pack.sample_days)
    progress(pack.name, 0.0)
    if steps:
        _remember(data, pack.name, users, steps[0][0])  # so that a fill that is cut off knows its number of users
    for done, (since, until) in enumerate(steps, 1):
        pack.sample(data, users, since, until)
        _remember(data, pack.name, users, until)
        progress(pack.name, done / len(steps))
    if not steps:
        progress(pack.name, 1.0)


def stretches(zone: ZoneInfo, before: datetime | None, now: datetime, *, days: int) -> list[tuple[datetime, datetime]]:
    """What is missing of so many local days up to now when everything up to `before` is there: a stretch for each of
    the last days, and longer ones before them; oldest first.
    """
    today = now.astimezone(zone).date()
    firsts = [DAY.named(today - timedelta(days=back), zone).start for back in range(days)]
    cuts = {*firsts[:DAY_BY_DAY], *firsts[DAY_BY_DAY - 1 :: AT_ONCE], firsts[-1], now}
    since = max(firsts[-1], before) if before else firsts[-1]
    edges = [since, *sorted(cut for cut in cuts if since < cut <= now)]
    return list(pairwise(edges))


def _zone(pack: Pack) -> ZoneInfo:
    """Where the pack's days begin: in the zone of its first job."""
    return ZoneInfo(next((job.tz for job in pack.jobs), "UTC"))


def _remember(data: Database, pack: str, users: int, until: datetime) -> None:
    insert = sqlite.insert if data.is_sqlite else postgresql.insert
    adding = insert(sample_until).values(pack=pack, users=users, until=until)
    with data.writing() as db:
        db.execute(adding.on_conflict_do_update(index_elements=["pack"], set_={"until": adding.excluded.until}))


def _quiet(_pack: str, _share: float) -> None:
    return None
