"""The audit trail: who asked for what and what came of it. It only grows, and each row seals the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from opsconsole.core.database import Connection
from opsconsole.core.settings import Actor
from opsconsole.store.tables import audit

FIRST = "0" * 64
"""What stands as the hash before the first row of the trail."""
TRIES = 100
"""Each that fails means that somebody else's row was written, so only a crowd uses many."""
PAGE = 1000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A row of the trail. `before` is what was asked, `after` what came of it."""

    id: int
    at: datetime
    command: int | None
    who: str
    origin: str
    verb: str
    target: str
    outcome: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of checking the chain: how many rows hold, the newest seal, and the first row that does not hold."""

    rows: int
    seal: str
    broken: int | None
    why: str | None


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
    """Appends a row that carries the hash of the one before, so that a changed or missing row shows."""
    newest = select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)
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
    for tries_left in reversed(range(TRIES)):
        row["previous"] = db.execute(newest).scalar() or FIRST
        try:
            with db.begin_nested():
                db.execute(insert(audit).values(**row, hash=_seal(row)))
        except IntegrityError:
            # Somebody else appended to the same row meanwhile; the chain has a newer end now.
            if not tries_left:
                raise
        else:
            return


def newest(db: Connection, *, limit: int) -> list[AuditEntry]:
    """The newest rows, newest first."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
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


def verify(db: Connection) -> Verification:
    """Works every seal out anew, from the first row to the last."""
    seal, rows, after = FIRST, 0, 0
    query = select(audit).order_by(audit.c.id).limit(PAGE)
    while page := db.execute(query.where(audit.c.id > after)).mappings().all():
        for found in page:
            row = {name: value for name, value in found.items() if name not in ("id", "hash")}
            if row["previous"] != seal:
                return Verification(rows, seal, found["id"], "the row before it is missing or was changed")
            if _seal(row) != found["hash"]:
                return Verification(rows, seal, found["id"], "it was changed after it was written")
            seal, rows, after = found["hash"], rows + 1, found["id"]
    return Verification(rows, seal, None, None)


def _seal(row: Mapping[str, Any]) -> str:
    return sha256(msgspec.json.encode(row, order="sorted")).hexdigest()
