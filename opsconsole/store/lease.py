"""The lease: which process leads, and the fencing token that its writes carry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, select, update

from opsconsole.core.database import Connection, inserting
from opsconsole.core.problems import Problem
from opsconsole.rules.leadership import Identity, Lease
from opsconsole.store.tables import lease

_LEASE = select(lease).where(lease.c.id == 1)
# Built once: a leader that waits does little else than renew its lease.
_RENEW = (
    update(lease)
    .where(lease.c.id == 1, lease.c.token == bindparam("held"), lease.c.owner == bindparam("me"))
    .values(beat=lease.c.beat + 1, renewed_at=bindparam("at"), problems=bindparam("found"))
)


def read(db: Connection) -> Lease | None:
    """The lease; None before the first leader."""
    row = db.execute(_LEASE).one_or_none()
    if row is None:
        return None
    holder = None
    if row.owner is not None:
        holder = Identity(row.owner, row.host, row.pid, row.pid_started, row.boot, row.who)
    return Lease(row.token, row.beat, holder, row.since, row.renewed_at, _decoded(row.problems))


def take(db: Connection, current: Lease | None, me: Identity, at: datetime) -> int | None:
    """Takes the lease if it is still `current`. Returns the new token, or None when another process took it first."""
    mine = {
        "beat": 0,
        "owner": me.owner,
        "host": me.host,
        "pid": me.pid,
        "pid_started": me.pid_started,
        "boot": me.boot,
        "who": me.who,
        "since": at,
        "renewed_at": at,
        "problems": None,
    }
    if current is None:
        first = inserting(db, lease).values(id=1, token=1, **mine).on_conflict_do_nothing()
        token: int | None = db.execute(first.returning(lease.c.token)).scalar()
        return token
    same = (lease.c.id == 1) & (lease.c.token == current.token) & (lease.c.beat == current.beat)
    changed = db.execute(update(lease).where(same).values(token=current.token + 1, **mine))
    return current.token + 1 if changed.rowcount == 1 else None


def renew(db: Connection, token: int, owner: str, at: datetime, problems: Sequence[Problem] = ()) -> bool:
    """Increments the beat and writes what the holder cannot do; False when the lease has another holder."""
    found = msgspec.json.encode(problems).decode() if problems else None
    return db.execute(_RENEW, {"held": token, "me": owner, "at": at, "found": found}).rowcount == 1


def release(db: Connection, token: int, owner: str) -> None:
    """Releases the lease, unless it has another holder already."""
    mine = (lease.c.id == 1) & (lease.c.token == token) & (lease.c.owner == owner)
    db.execute(update(lease).where(mine).values(beat=lease.c.beat + 1, owner=None))


def _decoded(problems: str | None) -> tuple[Problem, ...]:
    try:
        return msgspec.json.decode(problems, type=tuple[Problem, ...]) if problems else ()
    except msgspec.DecodeError:  # another version wrote it
        return ()
