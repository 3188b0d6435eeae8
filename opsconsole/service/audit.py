"""The audit trail: its rows, and whether they are unchanged."""

from __future__ import annotations

from collections.abc import Iterator

from opsconsole.rules import audit_search
from opsconsole.rules.audit import AuditEntry, AuditFilter, Seal, Verification
from opsconsole.service.backend import Backend
from opsconsole.store import audit

ALL = AuditFilter()


class AuditTrail:
    """Reads the audit trail. Methods block, and raise Unavailable when the store is unreachable."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def newest(self, *, limit: int, filter_: AuditFilter = ALL, before: int | None = None) -> list[AuditEntry]:
        """The rows that match a filter, newest first; with `before`, those with lower numbers."""
        with self._backend.reading() as db:
            return audit.newest(db, limit=limit, filter_=filter_, before=before)

    def find(self, typed: str, *, limit: int, before: int | None = None, me: str | None = None) -> list[AuditEntry]:
        """The rows that match a filter as it is typed, such as `by asha clear last tue`. `me` is who types it, by
        default this process's user. Raises BadSearch.
        """
        filter_ = audit_search.parse(typed, self._backend.now(), me=me or self._backend.settings.actor.name)
        return self.newest(limit=limit, filter_=filter_, before=before)

    def seal(self) -> Seal | None:
        """The newest row with its hash; None when the trail is empty."""
        with self._backend.reading() as db:
            return audit.last_seal(db)

    def verify(self, anchor: Seal | None = None) -> Verification:
        """Whether the trail is consistent, and contains `anchor`."""
        with self._backend.reading() as db:
            return audit.verify(db, anchor)

    def verify_steps(self, verified: Verification | None = None) -> Iterator[Verification]:
        """Verifies the trail a page at a time, each in its own transaction, and yields what has been proven so far; the
        last one is the result. With an earlier result, only the rows after it are read.
        """
        so_far = verified if verified is not None and verified.problem is None else None
        while True:
            with self._backend.reading() as db:
                start = audit.unverified(db)
                removed = start.seal.row if start.seal is not None else 0
                if so_far is None or so_far.seal is None or so_far.seal.row < removed:
                    so_far = start
                so_far, rows = audit.verify_page(db, so_far)
            yield so_far
            if so_far.problem is not None or rows < audit.PAGE:
                return
