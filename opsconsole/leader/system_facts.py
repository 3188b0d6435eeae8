"""What the leader's alerts need besides facts about jobs: services, workers, clocks, storage and the checks of packs.

Threads read it, so that nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.cache.figures import CacheDay
from opsconsole.core.clock import Clock, steady
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import NAMES, Unavailable
from opsconsole.core.problems import Work
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import Loop
from opsconsole.leader.pack_checks import PackChecks
from opsconsole.leader.probes import Probes, RedisProbe, database_probe
from opsconsole.leader.storage_facts import DiskFacts, TableFacts
from opsconsole.rules.findings import Finding, FindingKind, worst_first
from opsconsole.rules.leadership import Identity
from opsconsole.rules.system_health import ClockRecord, WorkerLoss, clock_jump, leader_lost, workers_lost
from opsconsole.store import Store, cache_days

PROBE_SECONDS, CHECK_SECONDS, SURVEY_SECONDS = 5.0, 10.0, 60.0
"""The limits of a statement of a probe, of a check of a pack, and of a survey of tables."""
STOP_SECONDS = 0.5
"""What each thread may take to end: one that hangs must not delay the next leader."""


class SystemFacts:
    """The findings about what jobs depend on, during one leadership. `tools(seconds)` makes connections with a limit
    for statements; `dead_predecessor` is the leader whose death made this one take over.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        catalog: Catalog,
        tools: Callable[[float], Resources],
        token: int,
        *,
        may_start_work: Callable[[], bool],
        dead_predecessor: Identity | None,
        losses: Callable[[], Sequence[WorkerLoss]],
        now: Clock,
    ) -> None:
        self._store, self._dead_predecessor, self._losses = store, dead_predecessor, losses
        # Connections of its own: a probe must not wait for one.
        own_tools = self._probed_tools = tools(PROBE_SECONDS)
        self._probed_store = Store(
            settings.store_url.reveal(), pool=1, primary_only=True, statement_seconds=PROBE_SECONDS
        )
        self._probes = Probes(
            RedisProbe(lambda: own_tools.cache.client, now=now),
            (
                database_probe(Work.DATA_PROBE, NAMES["data"], own_tools.data, now=now),
                database_probe(Work.STORE_PROBE, NAMES["store"], self._probed_store, now=now),
            ),
        )
        self._checks = PackChecks(catalog, lambda: tools(CHECK_SECONDS), self._cache_days, now=now)
        self._disks = DiskFacts(settings, now=now)
        self._surveyed_tools = tools(SURVEY_SECONDS)
        self._tables = TableFacts(
            settings, store, self._surveyed_tools.data, catalog, token, may_start_work=may_start_work, now=now
        )
        self._now = now
        self._since = now()
        self._clock = ClockRecord(self._since, steady())
        self.loops: tuple[Loop, ...] = (
            *(probe.loop for probe in self._probes.all),
            self._checks.loop,
            self._disks.loop,
            self._tables.loop,
        )

    def start(self, changed: Callable[[], object] = lambda: None) -> None:
        """Starts the threads. `changed` is called when a service has become unreachable, or responds again."""
        for probe in self._probes.all:
            probe.changed = changed
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """Stops the threads, without waiting for one that hangs, and closes the connections."""
        for loop in self.loops:
            loop.request_stop()
        for loop in self.loops:
            loop.stop(STOP_SECONDS)
        self._probed_store.close()
        self._probed_tools.close()
        self._surveyed_tools.close()
        self._checks.close()

    def findings(self, now: datetime) -> tuple[Finding, ...]:
        """What is wrong now, worst first. Returns at once, and raises nothing."""
        return worst_first(self._findings(now))

    @property
    def unknown_kinds(self) -> frozenset[FindingKind]:
        """The kinds of findings that cannot be judged now: their absence means nothing."""
        parts = (self._probes, self._checks, self._disks, self._tables)
        return frozenset(kind for part in parts for kind in part.unknown_kinds())

    def _findings(self, now: datetime) -> Iterator[Finding]:
        yield from self._probes.findings()
        yield from leader_lost(self._since, self._dead_predecessor, now)
        yield from workers_lost(self._losses(), now)
        self._clock = self._clock.after(now, steady())
        yield from clock_jump(self._clock)
        for part in (self._checks, self._disks, self._tables):
            yield from part.findings()

    def _cache_days(self, days: int) -> Sequence[CacheDay]:
        """The figures of the cache on the last days. Raises Unavailable."""
        since = self._now().date() - timedelta(days=days - 1)
        try:
            with self._store.reading() as db:
                return cache_days.since(db, since)
        except SQLAlchemyError as error:
            raise Unavailable("store", reason(error)) from error
