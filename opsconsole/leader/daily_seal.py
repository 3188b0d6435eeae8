"""Logs the last seal of the audit trail once a day, so that a log kept elsewhere has anchors for it."""

from __future__ import annotations

import logging
from datetime import date

from opsconsole.core.clock import Clock
from opsconsole.store import Store, audit

log = logging.getLogger(__name__)


class DailySeal:
    """The seals that this process logs while it leads."""

    def __init__(self, store: Store, now: Clock) -> None:
        self._store, self._now = store, now
        self._logged_on: date | None = None

    def log(self) -> None:
        """Logs the last seal if that was not done today, in UTC."""
        today = self._now().date()
        if self._logged_on == today:
            return
        with self._store.reading() as db:
            seal = audit.last_seal(db)
        self._logged_on = today
        if seal is not None:
            log.info("the last seal of the audit trail is %s", seal, extra={"seal": str(seal)})
