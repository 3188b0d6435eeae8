"""What runs inside a process beside its face: it leads when nobody else does, and then schedules and executes."""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.core import clock
from opsconsole.core.database import reason
from opsconsole.core.errors import Fenced, OpsconsoleError
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.settings import Settings
from opsconsole.core.text import safe
from opsconsole.leader import backfills as backfilling, command_handlers as orders
from opsconsole.leader.background_tasks import BackgroundTasks
from opsconsole.leader.event_relay import EventRelay
from opsconsole.leader.lease import Leadership, identity
from opsconsole.leader.runner import Runner
from opsconsole.leader.scheduler import Scheduler
from opsconsole.store import Store, migrate
from opsconsole.worker.executor import Executor
from opsconsole.worker.inline import Inline
from opsconsole.worker.processes import Processes

log = logging.getLogger(__name__)

TRY_SECONDS = 1.0
"""Between two looks at a lease that somebody else holds, or at a store that is away; less with a short lease."""
IDLE_SECONDS = 0.5
"""Between two looks for commands of other processes when nothing runs."""
GRACE_SECONDS = 10.0
STORE_CONNECTIONS = 4
"""Runs, schedule and chores each have a thread that asks the store, and so has whoever looks on."""
OPENING_SECONDS = 20.0
"""So long starting workers and catching up may take before they count as standing still."""


class Engine:
    """Leads in a thread of its own from `start` to `stop`, as often as the lease can be had.

    With `only`, a command's number, it carries out that command and its runs, and schedules nothing.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        catalog: Catalog,
        *,
        only: int | None = None,
        now: clock.Clock = clock.now,
    ) -> None:
        self._settings, self._store, self._catalog, self._now, self._only = settings, store, catalog, now, only
        # On PostgreSQL the lease has a connection of its own, which no crowd of queries can keep from it.
        self._lease_store = store if store.is_sqlite else Store(settings.store_url.reveal(), pool=1)
        seconds = settings.engine.lease_seconds
        me = identity(settings.host, settings.actor.name)
        self._leadership = Leadership(self._lease_store, me, seconds=seconds, now=now)
        self._try_seconds = min(TRY_SECONDS, seconds / 4)
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._reloaded: tuple[Settings, Catalog] | None = None
        self._beat = 0.0
        self._conceded: int | None = None
        self._grace = GRACE_SECONDS
        self._chores: BackgroundTasks | None = None
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)
        self.problem: str | None = None

    @property
    def owner(self) -> str:
        """This process's name in the lease."""
        return self._leadership.me.owner

    @property
    def is_leading(self) -> bool:
        """Whether this process holds the lease."""
        return self._leadership.held

    def start(self) -> None:
        """Begins to lead, now or when the lease is free."""
        self._thread.start()

    def wake(self) -> None:
        """Something was asked for or queued: look at once."""
        self._wake.set()
        if self._chores is not None:
            self._chores.wake()

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Ends: no new work, batches in flight finish within the grace, runs left over are interrupted, the lease is
        given up. Returns when that is done.
        """
        self._grace = grace_seconds
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        if self._lease_store is not self._store:
            self._lease_store.close()

    def reload(self, settings: Settings, catalog: Catalog) -> None:
        """Goes on with another configuration: batches in flight finish, and their runs are taken up again with it."""
        self._reloaded = settings, catalog
        self._wake.set()

    def _main(self) -> None:
        while not self._stopping.is_set():
            if self._reloaded is not None:
                self._settings, self._catalog = self._reloaded
                self._reloaded = None
            try:
                migrate.require(self._store)
                token = self._leadership.try_take()
                if token is not None:
                    self._lead(token)
                self.problem = None
            except SQLAlchemyError as error:
                self.problem = f"the store is away: {reason(error)}"
                log.warning("%s", self.problem)
            except OpsconsoleError as error:
                self.problem = error.sentence
                log.warning("%s", self.problem)
            except Exception as error:
                self.problem = f"the engine stumbled and begins anew: {type(error).__name__}: {safe(error, 200)}"
                log.exception("%s", self.problem)
            if self._reloaded is None:
                self._stopping.wait(self._try_seconds)

    def _lead(self, token: int) -> None:
        reach(Point.LEASE_TAKEN)
        log.info("leading with token %s", token)
        self._beat = time.monotonic() + OPENING_SECONDS
        self._leadership.keep(lost=self.wake, is_alive=self._is_alive)
        self._store.open_ahead(STORE_CONNECTIONS)
        tools = self._tools()
        runner = Runner(
            self._store,
            tools,
            self._catalog,
            self._executor(),
            token=token,
            host=self._settings.host,
            sure=lambda: self._leadership.sure,
            now=self._now,
            only=self._only,
        )
        scheduler = Scheduler(self._store, self._catalog, token, planned=self.wake, now=self._now)
        relay = EventRelay(self._tools(), sure=lambda: self._leadership.sure)
        chores = self._chores = BackgroundTasks(
            self._store,
            self._tools(),
            self._catalog,
            token,
            sure=lambda: self._leadership.sure,
            now=self._now,
            only=self._only,
        )
        try:
            relay.start()
            chores.start()
            # The schedule first: what is due is accounted for while the workers still start.
            if self._only is None:
                scheduler.start()
            runner.open(conceded=self._conceded)
            self._work(runner, scheduler, token)
            if self._leadership.held:
                self._beat = time.monotonic() + self._grace
                runner.drain(self._grace)
                runner.interrupt()
        except Fenced as error:
            log.warning("%s", error.sentence)
        except SQLAlchemyError:
            self._conceded = token
            raise
        finally:
            runner.close()
            scheduler.stop()
            relay.stop()
            chores.stop()
            tools.close()
            self._leadership.release()
            reach(Point.LEASE_RELEASED)
            log.info("no longer leading with token %s", token)

    def _work(self, runner: Runner, scheduler: Scheduler, token: int) -> None:
        looked = beaten = 0.0
        while self._leadership.held and not self._stopping.is_set() and self._reloaded is None:
            now = self._beat = time.monotonic()
            if self._wake.is_set() or runner.has_room_again or now - looked >= IDLE_SECONDS:
                self._wake.clear()
                looked = now
                if self._leadership.sure:
                    orders.carry_out(self._store, self._catalog, token, self._now, only=self._only)
                    backfilling.advance(self._store, self._catalog, token, self._now, only=self._only)
                    runner.admit()
            if now - beaten >= 1.0 and self._only is None:
                beaten = now
                scheduler.heartbeat()
            if not runner.step():
                self._wake.wait(IDLE_SECONDS)

    def _is_alive(self) -> bool:
        """Whether the schedule and the runs were looked after lately."""
        if self._settings.engine.executor == "inline":
            return True  # a batch stands in its way, which is what it is for
        return time.monotonic() - self._beat < 2 * self._settings.engine.lease_seconds

    def _tools(self) -> Resources:
        settings = self._settings
        assert settings.redis_url is not None  # noqa: S101 - whoever opens the program names a server
        urls = settings.data_url.reveal(), settings.redis_url.reveal()
        return Resources(*urls, families=self._catalog.families, now=self._now)

    def _executor(self) -> Executor:
        if self._settings.engine.executor == "inline":
            return Inline(self._catalog, self._tools())
        return Processes(
            self._settings.wiring(), self._settings.engine.worker_count, errors=self._settings.folder / "workers.log"
        )
