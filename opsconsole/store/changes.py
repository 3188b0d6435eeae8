"""Which jobs have runs that started or ended since an earlier look: nothing else has to be read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, null, select, union_all

from opsconsole.authoring.run import OPEN
from opsconsole.core.database import Connection
from opsconsole.store.tables import runs


@dataclass(frozen=True, slots=True)
class Watermark:
    """The number of the newest run, and the open runs of each job."""

    newest: int
    open: Mapping[str, frozenset[int]]


def watermark(db: Connection) -> Watermark:
    """The runs that exist now."""
    newest = select(func.max(runs.c.id), null())
    rows = db.execute(union_all(newest, select(runs.c.id, runs.c.job).where(runs.c.state.in_(OPEN)))).all()
    is_open: dict[str, frozenset[int]] = {}
    for number, job in rows:
        if job is not None:
            is_open[job] = is_open.get(job, frozenset()) | {number}
    return Watermark(max((number for number, job in rows if job is None and number is not None), default=0), is_open)


def changed(db: Connection, before: Watermark | None, now: Watermark) -> frozenset[str] | None:
    """The jobs of which a run has started or ended in between; None if every job may have changed, because nothing
    was read before, or from another store.
    """
    if before is None or now.newest < before.newest:
        return None
    names = {job for job in before.open.keys() | now.open.keys() if before.open.get(job) != now.open.get(job)}
    if now.newest > before.newest:
        # Not DISTINCT: for that, SQLite would read the whole of an index that begins with the job.
        names |= set(db.execute(select(runs.c.job).where(runs.c.id > before.newest)).scalars())
    return frozenset(names)
