"""What could not be processed and is set aside, so that it does not hold up the rest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, func, select

from opsconsole.core.database import Connection, inserting
from opsconsole.rules.findings import Finding, FindingKind, Severity
from opsconsole.store.tables import set_aside


class Kind(StrEnum):
    """What is set aside."""

    EVENT = "event"
    STALENESS_CHECK = "staleness_check"


@dataclass(frozen=True, slots=True)
class SetAside:
    """Something that could not be processed: `subject` is its identity, `name` what operators know it by."""

    kind: Kind
    subject: str
    name: str
    since: datetime
    reason: str


def add(db: Connection, item: SetAside) -> None:
    """Records an item; one that is recorded already keeps its time."""
    row = {"name": item.name, "reason": item.reason}
    adding = inserting(db, set_aside).values(kind=item.kind, subject=item.subject, since=item.since, **row)
    db.execute(adding.on_conflict_do_update(index_elements=["kind", "subject"], set_=row))


def remove(db: Connection, kind: Kind, subjects: Collection[str]) -> None:
    """Forgets items that were processed in the meantime."""
    db.execute(delete(set_aside).where(set_aside.c.kind == kind, set_aside.c.subject.in_(subjects)))


def newest(db: Connection, kind: Kind, *, limit: int) -> list[SetAside]:
    """The items of a kind that were set aside last, newest first."""
    c = set_aside.c
    query = select(set_aside).where(c.kind == kind).order_by(c.since.desc(), c.subject).limit(limit)
    return [SetAside(Kind(row.kind), row.subject, row.name, row.since, row.reason) for row in db.execute(query)]


def findings(db: Connection) -> tuple[Finding, ...]:
    """A finding for each kind of which something is set aside. It names the first of them, so that it stays the same
    when there are more.
    """
    return tuple(_finding(db, kind, number) for kind, number in counts(db).items())


def _finding(db: Connection, kind: Kind, number: int) -> Finding:
    c = set_aside.c
    first = db.execute(select(set_aside).where(c.kind == kind).order_by(c.since, c.subject).limit(1)).one()
    subject = f"event {first.subject} ({first.name})" if kind is Kind.EVENT else f"the check of {first.name}"
    return Finding(Severity.WARNING, FindingKind.SET_ASIDE, subject, first.since, reason=first.reason, count=number)


def counts(db: Connection) -> dict[Kind, int]:
    """How many items of each kind are set aside."""
    query = select(set_aside.c.kind, func.count()).group_by(set_aside.c.kind)
    return {Kind(kind): n for kind, n in db.execute(query)}
