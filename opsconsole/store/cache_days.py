"""What was read from the cache on each day, and what it held, by family."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from sqlalchemy import delete, select

from opsconsole.cache.figures import CacheDay, FamilyUsage
from opsconsole.cache.reads import Reads
from opsconsole.core.database import Connection, inserting
from opsconsole.store.tables import cache_days

KEPT = timedelta(days=90)

c = cache_days.c


def add_reads(db: Connection, day: date, reads: Mapping[str, Reads]) -> None:
    """Adds reads of one process to those of a day."""
    rows = [
        {"day": day.isoformat(), "family": family, "hits": new.hits, "misses": new.misses, "failed": new.failed}
        for family, new in sorted(reads.items())
    ]
    if rows:
        adding = inserting(db, cache_days)
        more = {name: c[name] + adding.excluded[name] for name in ("hits", "misses", "failed")}
        db.execute(adding.on_conflict_do_update(index_elements=[c.day, c.family], set_=more), rows)


def record_sizes(db: Connection, day: date, families: Mapping[str, FamilyUsage]) -> None:
    """Records what the server holds now as that day's, and forgets days that are older than ninety days."""
    rows = [
        {"day": day.isoformat(), "family": family, "keys": usage.keys, "bytes": usage.memory}
        for family, usage in sorted(families.items())
    ]
    if rows:
        adding = inserting(db, cache_days)
        newer = {name: adding.excluded[name] for name in ("keys", "bytes")}
        db.execute(adding.on_conflict_do_update(index_elements=[c.day, c.family], set_=newer), rows)
    db.execute(delete(cache_days).where(c.day < (day - KEPT).isoformat()))


def since(db: Connection, day: date) -> list[CacheDay]:
    """The figures of a day and later ones, newest first."""
    query = select(c.day, c.family, c.hits, c.misses, c.failed, c["keys"], c.bytes).where(c.day >= day.isoformat())
    return [
        CacheDay(date.fromisoformat(day), *figures)
        for day, *figures in db.execute(query.order_by(c.day.desc(), c.family))
    ]
