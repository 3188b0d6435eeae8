"""Records the state of all jobs every five minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from opsconsole.authoring.catalog import Catalog
from opsconsole.calendar.windows import minutes
from opsconsole.core.clock import Clock
from opsconsole.core.database import Connection
from opsconsole.core.problems import Work
from opsconsole.core.supervision import Loop
from opsconsole.rules.health import JobRules
from opsconsole.rules.job_state import job_states
from opsconsole.store import Store, health_checks, job_facts

EVERY = minutes(5)
LONGEST_SECONDS = 10.0
"""A clock may be set meanwhile."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HealthChecks:
    """Records while this process leads with `token`."""

    def __init__(
        self, store: Store, catalog: Catalog, token: int, *, may_start_work: Callable[[], bool], now: Clock
    ) -> None:
        self._store, self._catalog, self._token, self._now = store, catalog, token, now
        self._may_start_work = may_start_work
        self._recorded: datetime | None = None
        self._kept: job_facts.ReadState | None = None
        self._rules = JobRules()
        self.loop = Loop(Work.HEALTH_CHECKS, self.check, seconds=1.0, now=now)

    def start(self) -> None:
        """Starts the thread."""
        self.loop.start()

    def stop(self) -> None:
        """Stops after the current check."""
        self.loop.stop()

    def check(self) -> float | None:
        """Records the states if the last record is not of these five minutes. Returns when to check again."""
        now = self._now()
        at = now - (now - _EPOCH) % EVERY
        if at == self._recorded:
            return min((at + EVERY - now).total_seconds(), LONGEST_SECONDS)
        if not self._may_start_work():
            return None
        with self._store.reading() as db:
            states = None if health_checks.last(db) == at else self._states(db, now)
        if states is not None:
            with self._store.fenced(self._token) as db:
                health_checks.record(db, at, states)
        self._recorded = at
        return None

    def _states(self, db: Connection, now: datetime) -> Mapping[str, str]:
        facts, self._kept = job_facts.read(db, self._catalog, now, self._kept)
        return job_states(facts, self._rules.findings(facts, now))
