"""What is wrong now, as the leader knows it: what its alerts are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from opsconsole.authoring.catalog import Catalog
from opsconsole.core.database import Connection
from opsconsole.core.problems import Problem, Work
from opsconsole.core.supervision import Repeated, Supervisor
from opsconsole.leader.system_facts import SystemFacts
from opsconsole.rules.alert_changes import Judgement
from opsconsole.rules.causes import causes
from opsconsole.rules.findings import Finding, FindingKind
from opsconsole.rules.health import JOB_KINDS, JobRules, failed_windows
from opsconsole.rules.notifications import undelivered
from opsconsole.rules.system_health import degraded, lasting
from opsconsole.store import Store, job_facts, notifications, set_aside


class Judging:
    """Reads the facts, and applies the rules to them. One part that cannot be read hides no other, and is a problem of
    its own. `problems` returns what the leader does not do.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        system: SystemFacts,
        problems: Callable[[], Iterable[Problem]],
        *,
        supervisor: Supervisor,
    ) -> None:
        self._store, self._catalog, self._system, self._problems = store, catalog, system, problems
        parts = (Work.JOB_FACTS, Work.SET_ASIDE_FACTS, Work.DELIVERIES)
        self._jobs, self._set_aside, self._deliveries = map(supervisor.repeated, parts)
        self._kept: job_facts.Kept | None = None
        self._rules = JobRules()

    def __call__(self, now: datetime) -> Judgement:
        """What is wrong at `now`."""
        found = list(self._system.findings(now))
        unknown = set(self._system.unknown_kinds)
        to_pause: dict[str, int] = {}
        self._read(self._jobs, lambda db: self._of_jobs(db, now, to_pause), JOB_KINDS, found, unknown)
        self._read(self._set_aside, set_aside.findings, {FindingKind.SET_ASIDE}, found, unknown)
        self._read(
            self._deliveries,
            lambda db: undelivered(notifications.deliveries(db), now),
            {FindingKind.NOTIFICATIONS},
            found,
            unknown,
        )
        unreachable = [each.subject for each in found if each.kind is FindingKind.UNREACHABLE]
        found += degraded(lasting(self._problems(), now), unreachable)
        return Judgement(tuple(found), causes(found), frozenset(unknown), to_pause)

    def _read(
        self,
        part: Repeated,
        findings: Callable[[Connection], Iterable[Finding]],
        kinds: Iterable[FindingKind],
        found: list[Finding],
        unknown: set[FindingKind],
    ) -> None:
        def step() -> None:
            with self._store.reading() as db:
                found.extend(list(findings(db)))

        if not part.attempt(step):
            unknown.update(kinds)

    def _of_jobs(self, db: Connection, now: datetime, to_pause: dict[str, int]) -> Iterable[Finding]:
        facts, self._kept = job_facts.read(db, self._catalog, now, self._kept)
        to_pause |= {each.job.name: failed for each in facts if (failed := failed_windows(each))}
        return self._rules.findings(facts, now)
