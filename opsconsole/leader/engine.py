"""The part of a process that schedules and executes while it leads: one process at a time holds the lease."""

from __future__ import annotations

import logging
import threading
import time
from datetime import date

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.core import clock
from opsconsole.core.database import reason
from opsconsole.core.errors import Fenced, OpsconsoleError
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.settings import Settings
from opsconsole.core.text import safe
from opsconsole.leader import backfills, command_handlers
from opsconsole.leader.background_tasks import BackgroundTasks
from opsconsole.leader.event_relay import EventRelay
from opsconsole.leader.lease import Leadership, identity
from opsconsole.leader.runner import Runner
from opsconsole.leader.scheduler import Scheduler
from opsconsole.store import Store, audit, migrate
from opsconsole.worker.counting import counter
from opsconsole.worker.executor import Executor
from opsconsole.worker.inline import Inline
from opsconsole.worker.processes import Processes

log = logging.getLogger(__name__)

TRY_SECONDS = 1.0
"""The time between two tries to take the lease; shorter with a short lease."""
IDLE_SECONDS = 0.5
"""The time between two polls for commands of other processes while nothing runs."""
GRACE_SECONDS = 10.0
STORE_CONNECTIONS = 4
"""The engine, the scheduler, the background tasks and the console each have a thread that queries the store."""
OPENING_SECONDS = 20.0
"""How long starting the workers and catching up may take before the engine counts as stalled."""


class Engine:
    """Leads in a background thread from `start` to `stop`, whenever it can take the lease.

    With `only_command`, the number of a command, it executes that command and its runs, and schedules nothing.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        catalog: Catalog,
        *,
        only_command: int | None = None,
        now: clock.Clock = clock.now,
    ) -> None:
        self._settings, self._store, self._catalog, self._now = settings, store, catalog, now
        self._only_command = only_command
        # On PostgreSQL the lease has its own connection, so that queries cannot delay a renewal.
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
        self._background_tasks: BackgroundTasks | None = None
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)
        self._seal_logged_on: date | None = None
        self.problem: str | None = None

    @property
    def owner(self) -> str:
        """This process's name in the lease."""
        return self._leadership.me.owner

    @property
    def is_leading(self) -> bool:
        """Whether this process holds the lease."""
        return self._leadership.is_held

    def start(self) -> None:
        """Starts the thread, which leads as soon as the lease is free."""
        self._thread.start()

    def wake(self) -> None:
        """Checks for commands and runs now."""
        self._wake.set()
        if self._background_tasks is not None:
            self._background_tasks.wake()

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Stops: starts no new work, lets batches in flight finish within the grace period, interrupts the remaining
        runs and releases the lease. Returns when that is done.
        """
        self._grace = grace_seconds
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        if self._lease_store is not self._store:
            self._lease_store.close()

    def reload(self, settings: Settings, catalog: Catalog) -> None:
        """Continues with another configuration: batches in flight finish first, then their runs resume with it."""
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
                self.problem = f"the store is unreachable: {reason(error)}"
                log.warning("%s", self.problem)
            except OpsconsoleError as error:
                self.problem = error.sentence
                log.warning("%s", self.problem)
            except Exception as error:
                self.problem = f"the engine failed and restarts: {type(error).__name__}: {safe(error, 200)}"
                log.exception("%s", self.problem)
            if self._reloaded is None:
                self._stopping.wait(self._try_seconds)

    def _lead(self, token: int) -> None:
        reach(Point.LEASE_TAKEN)
        log.info("leading with token %s", token)
        self._beat = time.monotonic() + OPENING_SECONDS
        self._leadership.keep(lost=self.wake, is_alive=self._is_alive)
        self._store.preconnect(STORE_CONNECTIONS)
        runner = Runner(
            self._store,
            self._catalog,
            self._executor(),
            token=token,
            host=self._settings.host,
            may_start_work=lambda: self._leadership.may_start_work,
            now=self._now,
            only_command=self._only_command,
        )
        scheduler = Scheduler(self._store, self._catalog, token, planned=self.wake, now=self._now)
        relay = EventRelay(self._tools(), may_start_work=lambda: self._leadership.may_start_work)
        tools = self._tools()
        background_tasks = self._background_tasks = BackgroundTasks(
            self._store,
            tools,
            self._catalog,
            counter(self._settings, self._catalog, tools),
            token,
            may_start_work=lambda: self._leadership.may_start_work,
            now=self._now,
            only_command=self._only_command,
        )
        try:
            relay.start()
            background_tasks.start()
            # The schedule first: due runs are queued while the workers are still starting.
            if self._only_command is None:
                scheduler.start()
            runner.open(conceded=self._conceded)
            self._work(runner, scheduler, token)
            if self._leadership.is_held:
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
            background_tasks.stop()
            self._leadership.release()
            reach(Point.LEASE_RELEASED)
            log.info("no longer leading with token %s", token)

    def _work(self, runner: Runner, scheduler: Scheduler, token: int) -> None:
        polled = heartbeat = 0.0
        while self._leadership.is_held and not self._stopping.is_set() and self._reloaded is None:
            now = self._beat = time.monotonic()
            if self._wake.is_set() or runner.has_freed_slot or now - polled >= IDLE_SECONDS:
                self._wake.clear()
                polled = now
                if self._leadership.may_start_work:
                    command_handlers.execute_commands(
                        self._store, self._catalog, token, self._now, only_command=self._only_command
                    )
                    backfills.advance(self._store, self._catalog, token, self._now, only_command=self._only_command)
                    runner.admit()
            if now - heartbeat >= 1.0 and self._only_command is None:
                heartbeat = now
                scheduler.heartbeat()
                self._log_daily_seal()
            if not runner.step():
                self._wake.wait(IDLE_SECONDS)

    def _log_daily_seal(self) -> None:
        """Logs the last seal of the audit trail once a day, so that a log kept elsewhere has anchors for it."""
        today = self._now().date()
        if self._seal_logged_on == today:
            return
        with self._store.reading() as db:
            seal = audit.last_seal(db)
        self._seal_logged_on = today
        if seal is not None:
            log.info("the last seal of the audit trail is %s", seal, extra={"seal": str(seal)})

    def _is_alive(self) -> bool:
        """Whether the engine's loop ran recently."""
        if self._settings.engine.executor == "inline":
            return True  # a batch blocks the loop
        return time.monotonic() - self._beat < 2 * self._settings.engine.lease_seconds

    def _tools(self) -> Resources:
        settings = self._settings
        assert settings.redis_url is not None  # noqa: S101 - the session sets it before an engine starts
        urls = settings.data_url.reveal(), settings.redis_url.reveal()
        return Resources(*urls, families=self._catalog.families, now=self._now)

    def _executor(self) -> Executor:
        if self._settings.engine.executor == "inline":
            return Inline(self._catalog, self._tools())
        return Processes(
            self._settings.for_workers(),
            self._settings.engine.worker_count,
            errors=self._settings.folder / "workers.log",
        )
