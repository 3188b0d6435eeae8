"""What the leader knows of services, workers and clocks for its alerts. Threads read it, so that nothing waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from opsconsole.authoring.context import Resources
from opsconsole.core.clock import Clock, steady
from opsconsole.core.errors import NAMES
from opsconsole.core.problems import Work
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import Loop
from opsconsole.leader.probes import Probes, RedisProbe, database_probe
from opsconsole.rules.findings import Finding, FindingKind, worst_first
from opsconsole.rules.leadership import Identity
from opsconsole.rules.world_health import ClockRecord, WorkerLoss, clock_jump, leader_lost, workers_lost
from opsconsole.store import Store

PROBE_SECONDS = 5.0
"""The limit of a statement of a probe."""
STOP_SECONDS = 0.5
"""What each thread may take to end: one that hangs must not delay the next leader."""


class WorldFacts:
    """The findings about what jobs depend on, during one leadership. `stop` closes `tools`; `dead_predecessor` is the
    leader whose death made this one take over.
    """

    def __init__(
        self,
        settings: Settings,
        tools: Resources,
        *,
        dead_predecessor: Identity | None,
        losses: Callable[[], Sequence[WorkerLoss]],
        now: Clock,
    ) -> None:
        self._tools, self._dead_predecessor, self._losses = tools, dead_predecessor, losses
        self._store = Store(
            settings.store_url.reveal(), pool=1, primary_only=True, statement_seconds=PROBE_SECONDS
        )  # of its own: a probe must not wait for a connection
        self._probes = Probes(
            RedisProbe(lambda: tools.cache.client, now=now),
            (
                database_probe(Work.DATA_PROBE, NAMES["data"], tools.data, now=now),
                database_probe(Work.STORE_PROBE, NAMES["store"], self._store, now=now),
            ),
        )
        self._since = now()
        self._clock = ClockRecord(self._since, steady())
        self.loops: tuple[Loop, ...] = tuple(probe.loop for probe in self._probes.all)

    def start(self) -> None:
        """Starts the threads."""
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """Stops the threads, without waiting for one that hangs, and closes the connections."""
        for loop in self.loops:
            loop.request_stop()
        for loop in self.loops:
            loop.stop(STOP_SECONDS)
        self._store.close()
        self._tools.close()

    def findings(self, now: datetime) -> tuple[Finding, ...]:
        """What is wrong now, worst first. Returns at once, and raises nothing."""
        return worst_first(self._findings(now))

    @property
    def unknown_kinds(self) -> frozenset[FindingKind]:
        """The kinds of findings that cannot be judged now: their absence means nothing."""
        return frozenset(self._probes.unknown_kinds())

    def _findings(self, now: datetime) -> Iterator[Finding]:
        yield from self._probes.findings()
        yield from leader_lost(self._since, self._dead_predecessor, now)
        yield from workers_lost(self._losses(), now)
        self._clock = self._clock.after(now, steady())
        yield from clock_jump(self._clock)
