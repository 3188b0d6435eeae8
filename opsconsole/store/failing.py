"""Which items failed in how many of a job's last runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import nsmallest
from typing import Any

from sqlalchemy import Integer, Select, bindparam, func, select

from opsconsole.authoring.run import TERMINAL, Trigger
from opsconsole.core.database import Connection
from opsconsole.store.job_names import is_of
from opsconsole.store.tables import batches, failures, runs

PAGE = 200
"""Batches that are read at a time: memory grows with the items that failed, not with the runs."""


@dataclass(frozen=True, slots=True)
class FailingItem:
    """An item, in how many runs it failed, and the newest of these, with the message if it was stored."""

    item: str
    failed: int
    last_run: int
    message: str | None


@dataclass(frozen=True, slots=True)
class FailingItems:
    """The items that failed in most of `runs`, a job's last ones, newest first; and how many failed in `least`."""

    runs: tuple[int, ...]
    total: int
    items: tuple[FailingItem, ...]


def failing_items(db: Connection, job: str, *, last: int, least: int, limit: int) -> FailingItems:
    """The items that failed in `least` or more of the last `last` ended runs, without backfills."""
    numbers = _last_runs(db, job, last)
    failed_in: dict[str, int] = {}  # a bit for each run, the lowest for the newest
    for bit, number in enumerate(numbers):
        _add_failed(db, number, failed_in, 1 << bit)
    failing = {item: bits for item, bits in failed_in.items() if bits.bit_count() >= least}
    worst = nsmallest(
        limit, failing, key=lambda item: (-failing[item].bit_count(), failing[item] & -failing[item], item)
    )
    newest = {item: numbers[(failing[item] & -failing[item]).bit_length() - 1] for item in worst}
    messages = _messages(db, newest)
    items = tuple(
        FailingItem(item, failing[item].bit_count(), newest[item], messages.get((newest[item], item))) for item in worst
    )
    return FailingItems(numbers, len(failing), items)


def repeated_items(db: Connection, numbers: Sequence[int], *, least: int, limit: int) -> tuple[int, tuple[str, ...]]:
    """How many items failed in `least` or more of these runs, and the first `limit` of those that failed most often."""
    failed_in: dict[str, int] = {}
    for bit, number in enumerate(numbers):
        _add_failed(db, number, failed_in, 1 << bit)
    failing = {item: bits.bit_count() for item, bits in failed_in.items() if bits.bit_count() >= least}
    return len(failing), tuple(nsmallest(limit, failing, key=lambda item: (-failing[item], item)))


def failures_of_items(db: Connection, job: str, items: Collection[str], *, last: int) -> tuple[int, dict[str, int]]:
    """The number of a job's last ended runs, at most `last` and without backfills, and in how many of them each of
    these items failed.
    """
    numbers, selected = _last_runs(db, job, last), set(items)
    failed_in = [{key for key in _failed_keys(db, number) if key in selected} for number in numbers]
    return len(numbers), {item: sum(item in failed for failed in failed_in) for item in items}


def _last_runs(db: Connection, job: str, last: int) -> tuple[int, ...]:
    """The numbers of the last ended runs, newest first."""
    return tuple(db.execute(_newest(db.dialect.name), {"of_job": job, "last": last}).scalars())


@cache
def _newest(dialect: str) -> Select[Any]:
    mine = is_of(dialect, runs.c.job, bindparam("of_job", type_=runs.c.job.type))
    query = select(runs.c.id).where(mine, runs.c.state.in_(TERMINAL), runs.c.trigger != Trigger.BACKFILL)
    newest_first = (runs.c.job.desc(), runs.c.created_at.desc(), runs.c.id.desc())
    return query.order_by(*newest_first).limit(bindparam("last", type_=Integer))


def _add_failed(db: Connection, run: int, failed_in: dict[str, int], bit: int) -> None:
    for key in _failed_keys(db, run):
        failed_in[key] = failed_in.get(key, 0) | bit


def _failed_keys(db: Connection, run: int) -> Iterator[str]:
    # The option is of this statement, not of the connection.
    rows = db.execute(_FAILED_KEYS, {"run": run}, execution_options={"yield_per": PAGE})
    for (keys,) in rows:
        yield from keys


# Unpacked here and not by the database: one that is not in UTF-8 cannot unpack every key.
_FAILED_KEYS = select(func.coalesce(batches.c.failed_keys, batches.c["keys"], type_=batches.c["keys"].type)).where(
    batches.c.run_id == bindparam("run"), batches.c.failed > 0
)


def _messages(db: Connection, newest: dict[str, int]) -> dict[tuple[int, str], str]:
    """The messages by run and item: each run has stored the first hundred."""
    query = select(failures.c.run_id, failures.c.item, failures.c.message)
    rows = db.execute(query.where(failures.c.run_id.in_(sorted(set(newest.values())))))
    return {(run, item): message for run, item, message in rows}
