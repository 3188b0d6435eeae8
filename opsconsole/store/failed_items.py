"""The items that failed in a run, in the order of its batches: all of them, not only those with a message."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from opsconsole.core.database import Connection
from opsconsole.store.tables import batches, failures

PAGE = 20
"""Batches that are read at a time."""


@dataclass(frozen=True, slots=True)
class FailedItem:
    """An item that failed in a batch of a run; kind and message are stored of the first ones."""

    item: str
    batch: int
    kind: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """After how many of the failed items of a batch a page ends."""

    batch: int
    items: int


@dataclass(frozen=True, slots=True)
class FailedItems:
    """A page of them; the next one starts after `next`, which is None after the last one."""

    items: tuple[FailedItem, ...]
    next: Place | None


def page(db: Connection, run: int, *, after: Place | None, limit: int) -> FailedItems:
    """The next `limit` items of a run that failed."""
    place = after or Place(0, 0)
    found: list[FailedItem] = []
    while len(found) < limit:
        rows = _batches(db, run, place)
        if not rows:
            return FailedItems(tuple(found), None)
        messages = _messages(db, run, [number for number, _ in rows])
        for number, keys in rows:
            first = place.items if number == place.batch else 0
            room = limit - len(found)
            found += [
                FailedItem(key, number, *messages.get((number, key), (None, None)))
                for key in keys[first : first + room]
            ]
            place = Place(number, min(len(keys), first + room))
            if len(found) == limit:
                break
        else:
            place = Place(place.batch + 1, 0)
    return FailedItems(tuple(found), place)


def _batches(db: Connection, run: int, place: Place) -> list[tuple[int, list[str]]]:
    """The failed keys of the next batches with failures, and of that of the place."""
    # Unpacked here and not by the database: one that is not in UTF-8 cannot unpack every key.
    keys = func.coalesce(batches.c.failed_keys, batches.c["keys"], type_=batches.c["keys"].type)
    query = select(batches.c.seq, keys).where(
        batches.c.run_id == run, batches.c.seq >= place.batch, batches.c.failed > 0
    )
    return [(number, found) for number, found in db.execute(query.order_by(batches.c.seq).limit(PAGE))]


def _messages(db: Connection, run: int, numbers: list[int]) -> dict[tuple[int, str], tuple[str, str]]:
    query = select(failures.c.seq, failures.c.item, failures.c.kind, failures.c.message)
    rows = db.execute(query.where(failures.c.run_id == run, failures.c.seq.in_(numbers)))
    return {(number, item): (kind, message) for number, item, kind, message in rows}
