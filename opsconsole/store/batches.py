"""Batches: lists of keys, planned, started, and closed with their result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Select, bindparam, case, func, null, or_, select, update

from opsconsole.authoring.batch import BatchResult, BatchState
from opsconsole.core.database import Connection
from opsconsole.store.many_rows import ManyRows, parameter
from opsconsole.store.tables import batches

PAGE = 32
"""How many pending rows are loaded at a time, so that memory does not grow with a run."""


# Built once, because they are executed with every batch.
_MINE = (batches.c.run_id == parameter("run", batches.c.run_id)) & (batches.c.seq == parameter("number", batches.c.seq))
_AT = parameter("at", batches.c.started_at)
START = ManyRows(
    update(batches).where(_MINE, batches.c.state == BatchState.PENDING).values(state=BatchState.RUNNING, started_at=_AT)
)
_RESULT = ("state", "ok", "failed", "skipped", "failed_keys", "cause", "seconds")
CLOSE = ManyRows(
    update(batches)
    .where(_MINE)
    .values(
        {name: parameter(name, batches.c[name]) for name in _RESULT}
        | {"started_at": func.coalesce(batches.c.started_at, _AT)}
    )
)


@dataclass(frozen=True, slots=True)
class Row:
    """A pending batch: its keys, the attempt, and how many workers died with these keys."""

    seq: int
    keys: list[str]
    attempt: int = 1
    deaths: int = 0
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Some keys of a run, in the order of its batches; `last` is the number of the last of these."""

    keys: list[str]
    last: int


def added_row(run: int, row: Row) -> dict[str, Any]:
    """A pending batch, as a row to insert."""
    return {
        "run_id": run,
        "seq": row.seq,
        "state": BatchState.PENDING,
        "attempt": row.attempt,
        "deaths": row.deaths,
        "not_before": row.not_before,
        "items": len(row.keys),
        "keys": row.keys,
    }


def closed_row(result: BatchResult, state: BatchState, cause: str | None) -> dict[str, Any]:
    """The result of a batch, as values of CLOSE."""
    failed, skipped = len(result.failed), sum(result.skipped.values())
    all_failed = failed and not (result.ok or skipped or result.again)
    return {
        "run": result.run,
        "number": result.seq,
        "state": state,
        "ok": result.ok,
        "failed": failed,
        "skipped": skipped,
        "failed_keys": None if all_failed or not failed else result.failed,
        "cause": cause,
        "seconds": result.seconds,
    }


def pending(db: Connection, run: int, *, after: int) -> list[Row]:
    """The next page of pending batches with a number above `after`, in order."""
    query = (
        select(batches.c.seq, batches.c["keys"], batches.c.attempt, batches.c.deaths, batches.c.not_before)
        .where(batches.c.run_id == run, batches.c.seq > after, batches.c.state == BatchState.PENDING)
        .order_by(batches.c.seq)
        .limit(PAGE)
    )
    return [Row(*row) for row in db.execute(query)]


def reopen(db: Connection, run: int) -> None:
    """Makes the batches pending again that were in flight when the run was interrupted."""
    mine = (batches.c.run_id == run) & (batches.c.state == BatchState.RUNNING)
    db.execute(update(batches).where(mine).values(state=BatchState.PENDING))


def close_waiting(db: Connection, run: int, state: BatchState, cause: str) -> int:
    """Closes every pending and running batch of a run in one update; returns the number of their items."""
    waiting = (batches.c.run_id == run) & batches.c.state.in_((BatchState.PENDING, BatchState.RUNNING))
    items = db.execute(select(func.coalesce(func.sum(batches.c["items"]), 0)).where(waiting)).scalar_one()
    failed = batches.c["items"] if state is BatchState.FAILED else 0
    db.execute(update(batches).where(waiting).values(state=state, failed=failed, cause=cause))
    return int(items)


def waiting_keys(db: Connection, run: int, *, limit: int) -> list[str]:
    """The first keys of the pending and running batches."""
    waiting = batches.c.state.in_((BatchState.PENDING, BatchState.RUNNING))
    query = select(batches.c["keys"]).where(batches.c.run_id == run, waiting).order_by(batches.c.seq)
    first: list[str] = []
    for (keys,) in db.execute(query.limit(limit)):
        first += keys
        if len(first) >= limit:
            break
    return first[:limit]


def last_seq(db: Connection, run: int) -> int:
    """The highest batch number of a run; 0 before the first."""
    highest = select(func.coalesce(func.max(batches.c.seq), 0)).where(batches.c.run_id == run)
    return int(db.execute(highest).scalar_one())


def count_waiting(db: Connection, run: int) -> int:
    """How many batches of a run are pending or running."""
    query = select(func.count()).where(
        batches.c.run_id == run, batches.c.state.in_((BatchState.PENDING, BatchState.RUNNING))
    )
    return db.execute(query).scalar_one()


def planned_keys(db: Connection, run: int, *, after: int = 0) -> KeyPage | None:
    """A page of a run's planned keys, each once, from the batches with a number above `after`; None after the last."""
    first_try = (batches.c.attempt == 1) & (batches.c.deaths == 0) & batches.c.not_before.is_(None)
    return _page(db, select(batches.c.seq, batches.c["keys"], null()).where(first_try), run, after)


def undone_keys(db: Connection, run: int, *, after: int = 0) -> KeyPage | None:
    """A page of the keys of a run that failed or were not reached, as `planned_keys` does."""
    undone = (batches.c.state == BatchState.NOT_REACHED) | (batches.c.failed > 0)
    return _page(db, select(batches.c.seq, batches.c["keys"], batches.c.failed_keys).where(undone), run, after)


def count_undone(db: Connection, run: int) -> int:
    """How many items of a run failed or were not reached."""
    not_reached = batches.c.state == BatchState.NOT_REACHED
    items = func.sum(case((not_reached, batches.c["items"]), else_=batches.c.failed))
    mine = batches.c.run_id == run, or_(not_reached, batches.c.failed > 0)
    return int(db.execute(select(func.coalesce(items, 0)).where(*mine)).scalar_one())


def _page(db: Connection, query: Select[tuple[Any, ...]], run: int, after: int) -> KeyPage | None:
    mine = query.where(batches.c.run_id == run, batches.c.seq > after).order_by(batches.c.seq).limit(PAGE)
    rows = db.execute(mine).all()
    if not rows:
        return None
    return KeyPage([key for _, keys, failed in rows for key in (keys if failed is None else failed)], rows[-1][0])


def grid(db: Connection, run: int, *, limit: int) -> list[tuple[int, BatchState, int, int]]:
    """The batches of a run in order, without replaced ones: (number, state, items, failed)."""
    found = db.execute(_GRID, {"run": run, "limit": limit})
    return [(seq, BatchState(state), items, failed) for seq, state, items, failed in found]


_GRID = (
    select(batches.c.seq, batches.c.state, batches.c["items"], batches.c.failed)
    .where(batches.c.run_id == bindparam("run"), batches.c.state != BatchState.REPLACED)
    .order_by(batches.c.seq)
    .limit(bindparam("limit", type_=Integer))
)
