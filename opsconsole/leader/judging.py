"""What is wrong now, as the leader knows it: what its alerts are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from opsconsole.authoring.catalog import Catalog
from opsconsole.core.database import Connection
from opsconsole.core.problems import Problem, Work
from opsconsole.core.supervision import Repeated, Supervisor
from opsconsole.leader.system_facts import SystemFacts
from opsconsole.rules.alert_changes import Judgement
from opsconsole.rules.causes import causes
from opsconsole.rules.findings import Finding, FindingKind
from opsconsole.rules.health import JOB_KINDS, JobFacts, JobRules, failed_windows
from opsconsole.rules.notifications import undelivered
from opsconsole.rules.system_health import degraded, lasting
from opsconsole.store import Store, job_facts, notifications, set_aside

FRESH = timedelta(seconds=60)
"""How long facts are used again while this process has written nothing that may change them."""


@dataclass
class _Part:
    """Facts that are read together, and the rules about them; `kept` are the facts that were read last."""

    work: Repeated
    kinds: Iterable[FindingKind]
    read: Callable[[Connection, datetime], Any]
    judge: Callable[[Any, datetime], Iterable[Finding]]
    kept: Any = None


class Judging:
    """Reads the facts, and applies the rules to them. One part that cannot be read hides no other, and is a problem of
    its own. `problems` returns what the leader does not do.

    Only this process writes the facts in the store while it leads: they are read again when it has written, when a
    job is due or a pause ends, and now and then. The rules are applied each time, as many depend on the time.
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
        watched = supervisor.repeated
        self._parts = (
            _Part(watched(Work.JOB_FACTS), JOB_KINDS, self._read_jobs, self._judge_jobs),
            _Part(
                watched(Work.SET_ASIDE_FACTS),
                {FindingKind.SET_ASIDE},
                lambda db, _: set_aside.findings(db),
                lambda found, _: found,
            ),
            _Part(
                watched(Work.DELIVERIES),
                {FindingKind.NOTIFICATIONS},
                lambda db, _: notifications.deliveries(db),
                undelivered,
            ),
        )
        self._kept: job_facts.ReadState | None = None
        self._rules = JobRules()
        self._to_pause: dict[str, int] = {}
        self._version: int | None = None
        self._read_at = self._fresh_until = datetime.min.replace(tzinfo=UTC)

    def __call__(self, now: datetime) -> Judgement:
        """What is wrong at `now`."""
        self._to_pause = {}
        found = list(self._system.findings(now))
        unknown = set(self._system.unknown_kinds)
        version = self._store.version  # what is written meanwhile is read the next time
        if version != self._version or not self._read_at <= now < self._fresh_until:
            self._version, self._read_at, self._fresh_until = version, now, now + FRESH
            for part in self._parts:
                part.kept = None
        for part in self._parts:
            if not part.work.attempt(partial(self._add, part, found, now)):
                part.kept = None
                unknown.update(part.kinds)
        unreachable = [each.subject for each in found if each.kind is FindingKind.UNREACHABLE]
        found += degraded(lasting(self._problems(), now), unreachable)
        return Judgement(tuple(found), causes(found), frozenset(unknown), self._to_pause)

    def _add(self, part: _Part, found: list[Finding], now: datetime) -> None:
        if part.kept is None:
            with self._store.reading() as db:
                part.kept = part.read(db, now)
        found += list(part.judge(part.kept, now))

    def _read_jobs(self, db: Connection, now: datetime) -> list[JobFacts]:
        facts, self._kept = job_facts.read(db, self._catalog, now, self._kept)
        ends = [pause.until for pause in self._kept.pauses if pause.until is not None and pause.until > now]
        self._fresh_until = min([self._fresh_until, *ends, *self._kept.next_due.values()])
        return facts

    def _judge_jobs(self, facts: list[JobFacts], now: datetime) -> Iterable[Finding]:
        found = self._rules.findings(facts, now)
        self._to_pause = {each.job.name: failed for each in facts if (failed := failed_windows(each))}
        return found
