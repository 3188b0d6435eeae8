"""Rows of the audit trail as JSON."""

from __future__ import annotations

from typing import Any

from opsconsole.core.times import utc
from opsconsole.rules.audit import AuditEntry
from opsconsole.service.documents import Document, Time


class AuditDocument(Document, frozen=True, kw_only=True):
    """A row of the audit trail: a request, or its outcome. `before` holds the arguments of a command, `after` its
    outcome.
    """

    id: int
    at: Time | None
    command: int | None
    actor: str
    origin: str
    action: str
    target: str
    outcome: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def audit_document(entry: AuditEntry) -> AuditDocument:
    """A row of the audit trail."""
    return AuditDocument(
        id=entry.id,
        at=utc(entry.at),
        command=entry.command,
        actor=entry.who,
        origin=entry.origin,
        action=entry.verb,
        target=entry.target,
        outcome=entry.outcome,
        before=None if entry.before is None else dict(entry.before),
        after=None if entry.after is None else dict(entry.after),
    )
