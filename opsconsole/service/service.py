"""The service that every interface calls: the console, the command line and HTTP."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import SHORT_SECONDS, Resources
from opsconsole.authoring.run import Run, RunState
from opsconsole.core import clock
from opsconsole.core.errors import Refused
from opsconsole.core.problems import Status
from opsconsole.core.settings import Role, Settings
from opsconsole.core.supervision import Supervisor
from opsconsole.service.backend import Backend, LocalEngine
from opsconsole.service.leader import LeaseWatch
from opsconsole.service.snapshot import Preparation, Snapshot
from opsconsole.store import Store, runs, schedules, signals
from opsconsole.store.presence import Attached
from opsconsole.store.signals import Listener
from opsconsole.worker.counting import counter

if TYPE_CHECKING:
    from opsconsole.service.alerts import Alerts
    from opsconsole.service.audit import AuditTrail
    from opsconsole.service.backfills import Backfills
    from opsconsole.service.cache import CacheQueries
    from opsconsole.service.commands import Commands
    from opsconsole.service.figures import FigureReader
    from opsconsole.service.history import RunHistory
    from opsconsole.service.live_events import LiveEvents
    from opsconsole.service.presence import PresenceAnnouncer
    from opsconsole.service.queries import Queries
    from opsconsole.service.sampler import Sampler
    from opsconsole.worker.ahead import StartedAhead


class CannotHandOver(Refused):
    """The demo has no process that could take over."""

    def __init__(self) -> None:
        super().__init__("runs of the demo end with its console; wait for them, or stop them")


class Service:
    """`queries`, `history`, `cache` and `audit` read, `commands` act, `backfills` and `alerts` do both on their
    subject; the rest is about this process. Each is loaded when it is first used: a command needs one or two.

    `successor` starts a process that can take over from this one, where there can be one. `supervisor` has the threads
    of this process.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        catalog: Catalog,
        *,
        engine: LocalEngine | None = None,
        supervisor: Supervisor | None = None,
        ahead: StartedAhead | None = None,
        now: clock.Clock = clock.now,
    ) -> None:
        assert settings.redis_url is not None  # noqa: S101 - the session sets a URL before it opens the service
        urls = settings.data_url.reveal(), settings.redis_url.reveal()
        views = settings.actor.role is Role.VIEWER
        resources = Resources(*urls, now=now, statement_seconds=SHORT_SECONDS, read_only=views)
        counting = counter(settings, catalog, resources)
        self.supervisor = supervisor or Supervisor(now)
        watch = LeaseWatch(settings.host, seconds=settings.engine.lease_seconds)
        self._backend = Backend(settings, store, catalog, resources, counting, now, self.supervisor, watch, engine)
        self.ahead = ahead
        """A worker for the engine of this process."""
        self.successor: Callable[[], None] | None = None
        self._presence: PresenceAnnouncer | None = None
        self._listener: Listener | None = None

    @cached_property
    def cache(self) -> CacheQueries:
        """The content of Redis."""
        from opsconsole.service.cache import CacheQueries

        return CacheQueries(self._backend)

    @cached_property
    def audit(self) -> AuditTrail:
        from opsconsole.service.audit import AuditTrail

        return AuditTrail(self._backend)

    @cached_property
    def queries(self) -> Queries:
        """Jobs, runs, panels and previews."""
        from opsconsole.service.queries import Queries

        return Queries(self._backend, self.cache)

    @cached_property
    def history(self) -> RunHistory:
        """Past runs and their batches, logs and failures."""
        from opsconsole.service.history import RunHistory

        return RunHistory(self._backend)

    @cached_property
    def commands(self) -> Commands:
        """Requests of operators to the leader."""
        from opsconsole.service.commands import Commands

        return Commands(self._backend, sent=self._command_sent)

    @cached_property
    def backfills(self) -> Backfills:
        """Backfills and their plans."""
        from opsconsole.service.backfills import Backfills

        return Backfills(self._backend, self.commands)

    @cached_property
    def alerts(self) -> Alerts:
        from opsconsole.service.alerts import Alerts

        return Alerts(self._backend, self.commands)

    @cached_property
    def _sampler(self) -> Sampler:
        from opsconsole.service.sampler import Sampler

        return Sampler(self._backend)

    @property
    def settings(self) -> Settings:
        """The active configuration."""
        return self._backend.settings

    @property
    def store(self) -> Store:
        return self._backend.store

    @property
    def catalog(self) -> Catalog:
        """The loaded jobs."""
        return self._backend.catalog

    @property
    def engine(self) -> LocalEngine | None:
        """The engine of this process."""
        return self._backend.engine

    @property
    def preparation(self) -> Preparation | None:
        """What the demo still prepares; None when nothing."""
        return self._backend.preparation

    @preparation.setter
    def preparation(self, value: Preparation | None) -> None:
        self._backend.preparation = value
        self._hurry()

    @property
    def read_only(self) -> bool:
        """Whether this process's user may only view."""
        return self.settings.actor.role is not Role.OPERATOR

    def use_engine(self, engine: LocalEngine | None) -> None:
        """Sets the engine of this process: commands wake it, and snapshots show its state."""
        self._backend.engine = engine
        self._hurry()  # it may soon lead

    def reload(self, settings: Settings, catalog: Catalog) -> None:
        """Continues with another configuration."""
        self._backend.settings, self._backend.catalog = settings, catalog
        previous = self._backend.counter
        self._backend.counter = counter(settings, catalog, self._backend.resources)
        previous.close()

    def apply_schedules(self) -> None:
        """Applies the schedules that operators changed; snapshots do so by themselves. Raises Unavailable."""
        with self._backend.reading() as db:
            self._backend.catalog.apply(schedules.changed(db))

    def snapshot(self) -> Snapshot:
        """Everything the Dashboard shows."""
        return self._sampler.take()

    def now(self) -> datetime:
        """The time by this process's clock."""
        return self._backend.now()

    def status(self) -> tuple[Status, ...]:
        """How the work of this process is doing."""
        return self._backend.status()

    def figure_reader(self) -> FigureReader:
        """Reads the figures for monitoring; each reader counts what happens from its first read on."""
        from opsconsole.service.figures import FigureReader

        return FigureReader(self._backend)

    def live_events(self) -> LiveEvents:
        """Reads what changes, as events."""
        from opsconsole.service.live_events import LiveEvents

        return LiveEvents(self._backend)

    def watch(self, callback: Callable[[Snapshot], None]) -> None:
        """Calls back with each new Snapshot from a background thread, twice a second while a run is active."""
        self._sampler.start(callback)

    def load_sampler(self) -> None:
        """Loads what a Snapshot needs, so that `watch` returns at once."""
        self._sampler  # noqa: B018 - made on first use

    def announce(self, interface: str) -> None:
        """Announces this process in the store, as a `console` or as `headless`, until it closes."""
        from opsconsole.service.presence import PresenceAnnouncer

        actor, at, pid = self.settings.actor, self._backend.now(), os.getpid()
        owner = self._backend.owner or uuid.uuid4().hex
        own = Attached(owner, actor.name, actor.origin, self.settings.host, pid, interface, "", at, at)
        self._presence = PresenceAnnouncer(self.store, own, now=self._backend.now)
        self.supervisor.watch(self._presence.loop)
        self._listener = Listener(self.store, self._changed_elsewhere, now=self._backend.now)
        self._listener.start()

    def set_screen(self, screen: str) -> None:
        """Announces which screen is open."""
        if self._presence is not None:
            self._presence.set_screen(screen)

    def runs_here(self) -> tuple[Run, ...]:
        """The runs that would be interrupted if this process ended now."""
        if self.engine is None or not self.engine.is_leading:
            return ()
        with self._backend.reading() as db:
            return tuple(run for run in runs.unfinished(db) if run.state is RunState.RUNNING)

    @property
    def can_hand_over(self) -> bool:
        """Whether another process can take over the runs of this one."""
        return self.successor is not None

    def hand_over(self) -> None:
        """Starts a headless process that takes over when this one ends. Raises CannotHandOver."""
        if self.successor is None:
            raise CannotHandOver
        self.successor()

    def close(self) -> None:
        """Stops the sampler and closes every connection."""
        if self._listener is not None:
            self._listener.stop()
        if self._presence is not None:
            self._presence.stop()
        if self._is_sampling:
            self._sampler.stop()
        self._backend.counter.close()
        self._backend.resources.close()

    def _command_sent(self) -> None:
        if self.engine is not None:
            self.engine.wake()
        if self.engine is None or not self.engine.is_leading:
            signals.send(self.store)
        self._hurry()

    def _changed_elsewhere(self) -> None:
        self.store.version += 1
        if self.engine is not None:
            self.engine.wake()
        if self._is_sampling:
            self._sampler.refresh()

    @property
    def _is_sampling(self) -> bool:
        return "_sampler" in self.__dict__  # most commands need no Snapshot

    def _hurry(self) -> None:
        """Takes Snapshots more often for a while."""
        if self._is_sampling:
            self._sampler.hurry()
