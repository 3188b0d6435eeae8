"""The audit trail: who requested what, and the outcome. It only grows, and each row seals the one before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, insert, or_, select, update
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from opsconsole.core.database import Connection, inserting
from opsconsole.core.settings import Actor
from opsconsole.rules.audit import FIRST, AuditEntry, AuditFilter, AuditProblem, Seal, Verification
from opsconsole.store.tables import audit, audit_start

TRIES = 100
"""A try fails only when another process appends at the same moment."""
PAGE = 1000


def append(
    db: Connection,
    *,
    command: int | None,
    verb: str,
    target: str,
    actor: Actor,
    at: datetime,
    outcome: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Appends a row that contains the hash of the row before it, so that a changed or missing row is found."""
    row: dict[str, Any] = {
        "at": at,
        "command_id": command,
        "who": actor.name,
        "origin": actor.origin,
        "verb": verb,
        "target": target,
        "outcome": outcome,
        "before": before,
        "after": after,
    }
    adding = _adding(db)
    for _ in range(TRIES):
        row["previous"] = db.execute(_NEWEST_HASH).scalar() or db.execute(_START).scalar() or FIRST
        if db.execute(adding, {**row, "hash": _hash(row)}).scalar() is not None:
            return
        # Another process has appended to the same row meanwhile.
    raise PoolTimeoutError(f"other processes appended to the audit trail first, {TRIES} times")


def _adding(db: Connection) -> Any:
    """Adds a row, unless there is one after the same row."""
    if (found := _ADDING.get(db.dialect.name)) is None:
        found = _ADDING[db.dialect.name] = (
            inserting(db, audit).on_conflict_do_nothing(index_elements=[audit.c.previous]).returning(audit.c.id)
        )
    return found


_ADDING: dict[str, Any] = {}
"""By dialect. A query that is made once costs half as much to execute."""


_NEWEST_HASH = select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)
_START = select(audit_start.c.hash)


def newest(
    db: Connection, *, limit: int, filter_: AuditFilter | None = None, before: int | None = None
) -> list[AuditEntry]:
    """The newest rows that match a filter, newest first; with `before`, those with lower numbers."""
    query = select(audit).where(*_conditions(filter_ or AuditFilter())).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    return [
        AuditEntry(
            row.id,
            row.at,
            row.command_id,
            row.who,
            row.origin,
            row.verb,
            row.target,
            row.outcome,
            row.before,
            row.after,
        )
        for row in db.execute(query)
    ]


def _conditions(filter_: AuditFilter) -> Iterator[ColumnElement[bool]]:
    c = audit.c
    for column, value in ((c.who, filter_.who), (c.verb, filter_.verb), (c.outcome, filter_.outcome)):
        if value is not None:
            yield column == value
    if filter_.target is not None:
        yield c.target.icontains(filter_.target, autoescape=True)
    if filter_.since is not None:
        yield c.at >= filter_.since
    if filter_.until is not None:
        yield c.at < filter_.until
    for word in filter_.text:
        yield or_(*(column.icontains(word, autoescape=True) for column in (c.who, c.verb, c.target, c.outcome)))


def last_seal(db: Connection) -> Seal | None:
    """The seal of the newest row; None before the first."""
    row = db.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else Seal(row.id, row.hash)


def verify(db: Connection, anchor: Seal | None = None) -> Verification:
    """Recomputes every hash from the first row that is kept to the last, and compares the row of `anchor` with it.

    Without an anchor this proves only that the rows are consistent with each other: rows cut from the end, or a chain
    that was rewritten as a whole, are not found.
    """
    found = unverified(db)
    start = found.start
    if anchor is not None and start is not None and anchor.row <= start.row and anchor != start:
        return Verification(0, start, AuditProblem.ANCHOR_REMOVED, start.row)
    rows = PAGE
    while rows == PAGE and found.problem is None:
        found, rows = verify_page(db, found, anchor)
    if found.problem is None and anchor is not None and anchor != start and not _has(db, anchor.row):
        return replace(found, problem=AuditProblem.ANCHOR_MISSING, broken=anchor.row)
    return found


def _has(db: Connection, row: int) -> bool:
    return db.execute(select(audit.c.id).where(audit.c.id == row)).scalar() is not None


def unverified(db: Connection) -> Verification:
    """What a verification starts from: nothing proven, or what the retention removed."""
    start = removed_up_to(db)
    return Verification(0, start, start=start)


def verify_page(db: Connection, so_far: Verification, anchor: Seal | None = None) -> tuple[Verification, int]:
    """Recomputes the hashes of the next thousand rows, up to the first problem; also returns how many rows it read."""
    seal, rows = so_far.seal, so_far.rows
    query = select(audit).where(audit.c.id > (seal.row if seal else 0)).order_by(audit.c.id).limit(PAGE)
    page = db.execute(query).mappings().all()
    for stored in page:
        content = {name: value for name, value in stored.items() if name not in ("id", "hash")}
        if content["previous"] != (seal.hash if seal else FIRST):
            return Verification(rows, seal, AuditProblem.PREVIOUS_ROW_MISSING, stored["id"], so_far.start), len(page)
        if _hash(content) != stored["hash"]:
            return Verification(rows, seal, AuditProblem.ROW_CHANGED, stored["id"], so_far.start), len(page)
        seal, rows = Seal(stored["id"], stored["hash"]), rows + 1
        if anchor is not None and anchor.row == seal.row and anchor != seal:
            return Verification(rows, seal, AuditProblem.ANCHOR_CHANGED, anchor.row, so_far.start), len(page)
    return Verification(rows, seal, start=so_far.start), len(page)


def removed_up_to(db: Connection) -> Seal | None:
    """The seal of the last row that the retention removed; None while the trail has its first row."""
    row = db.execute(select(audit_start.c.row, audit_start.c.hash)).one_or_none()
    return None if row is None else Seal(row.row, row.hash)


def remove_before(db: Connection, before: datetime, actor: Actor, at: datetime, *, limit: int) -> int:
    """Removes the oldest rows of the trail, up to `limit` of those before `before`, and returns how many. Appends what
    was removed. The newest row always stays.
    """
    oldest = db.execute(select(audit.c.id, audit.c.hash, audit.c.at).order_by(audit.c.id).limit(limit + 1)).all()
    seal, rows = None, 0
    for row in oldest[:-1]:
        if row.at >= before:
            break
        seal, rows = Seal(row.id, row.hash), rows + 1
    if seal is None:
        return 0
    values = {"row": seal.row, "hash": seal.hash}
    if db.execute(update(audit_start).values(values)).rowcount == 0:
        db.execute(insert(audit_start).values(id=1, **values))
    db.execute(delete(audit).where(audit.c.id <= seal.row))
    details = {"rows": rows, "first": oldest[0].id, "seal": str(seal)}
    append(
        db,
        command=None,
        verb="prune",
        target="audit",
        actor=actor,
        at=at,
        outcome="done",
        before={"before": before.isoformat()},
        after=details,
    )
    return rows


def _hash(row: Mapping[str, Any]) -> str:
    return sha256(msgspec.json.encode(row, order="sorted")).hexdigest()
