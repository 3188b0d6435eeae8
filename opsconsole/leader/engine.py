"""The part of a process that schedules and executes while it leads: one process at a time holds the lease."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.core import clock
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import Fenced, LeaseExpired, Unavailable
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.humanize import count, words
from opsconsole.core.problems import Fault, Problem, Status, Work
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import STALLED_SECONDS, Loop, Supervisor, is_outage
from opsconsole.leader import backfills
from opsconsole.leader.background_tasks import BackgroundTasks
from opsconsole.leader.command_handlers import execute_commands
from opsconsole.leader.containment import Containment, ends_leadership
from opsconsole.leader.daily_seal import DailySeal
from opsconsole.leader.lease import Leadership, identity
from opsconsole.leader.polling import Polling
from opsconsole.leader.term import Term
from opsconsole.rules.actions import BACKGROUND_VERBS, Verb
from opsconsole.store import Store, migrate
from opsconsole.worker.ahead import StartedAhead

log = logging.getLogger(__name__)

TRY_SECONDS = 1.0
"""The time between two tries to take the lease; shorter with a short lease."""
GRACE_SECONDS = 10.0
STORE_CONNECTIONS = 4
"""The engine, the scheduler, the background tasks and the console each have a thread that queries the store."""
SHORTEST_RENEWAL_SECONDS = 1.0
"""A renewal may take a fifth of the lease, but a busy server needs this long even for a short lease."""
OPENING_SECONDS = 20.0
"""How long starting the workers and catching up may take before the engine counts as stalled."""
STABLE_SECONDS = 5.0
"""A leadership that has lasted for this long works."""


class Engine:
    """Leads in a background thread from `start` to `stop`, whenever it can take the lease.

    With `only_command`, the number of a command, it executes that command and its runs, and schedules nothing. Without
    `alerting` it judges nothing: the demo's history is no reason for alerts. A worker that was started `ahead` serves
    its first leadership.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        catalog: Catalog,
        *,
        only_command: int | None = None,
        alerting: bool = True,
        ahead: StartedAhead | None = None,
        now: clock.Clock = clock.now,
    ) -> None:
        self._ahead = ahead
        self._settings, self._store, self._catalog, self._now = settings, store, catalog, now
        self._only_command, self._alerting = only_command, alerting and only_command is None
        seconds = settings.engine.lease_seconds
        store.primary_only = True  # what a leader decides must not depend on a standby that is behind
        # On PostgreSQL the lease has its own connection, so that queries cannot delay a renewal. A renewal gives up in
        # time for another one.
        self._lease_store = store
        if not store.is_sqlite:
            limit = max(SHORTEST_RENEWAL_SECONDS, seconds / 5)
            self._lease_store = Store(settings.store_url.reveal(), pool=1, primary_only=True, statement_seconds=limit)
        me = identity(settings.host, settings.actor.name)
        deadline = ahead.deadline if ahead is not None else None
        self._leadership = Leadership(self._lease_store, me, seconds=seconds, now=now, deadline=deadline)
        self._try_seconds = min(TRY_SECONDS, seconds / 4)
        self._supervisor = Supervisor(now)
        self._loop = Loop(
            Work.ENGINE,
            self._try_to_lead,
            seconds=self._try_seconds,
            now=now,
            outage_seconds=self._try_seconds,
            stalled_seconds=None if settings.engine.executor == "inline" else STALLED_SECONDS,  # a batch blocks it
        )
        self._wake = threading.Event()
        self._reloaded: tuple[Settings, Catalog] | None = None
        self._beat = 0.0
        self._containment = Containment(now)
        self._grace = GRACE_SECONDS
        self._background_tasks: BackgroundTasks | None = None
        self._end_wait: Callable[[], None] = lambda: None
        self._daily_seal = DailySeal(store, now)
        self._lacking: tuple[Problem, ...] = ()

    @property
    def owner(self) -> str:
        """This process's name in the lease."""
        return self._leadership.me.owner

    @property
    def is_leading(self) -> bool:
        """Whether this process holds the lease."""
        return self._leadership.is_held

    @property
    def problem(self) -> str | None:
        """Why it cannot lead, or what it waits for; None while nothing is wrong."""
        problem = self._loop.status().problem
        if problem is not None:
            return problem.reason or words(problem.fault)
        silent = max(self._store.silent_seconds, self._lease_store.silent_seconds)
        return f"the store has not answered for {silent:.0f} s" if silent else None

    def status(self) -> tuple[Status, ...]:
        """How the engine is doing, and the work of its leadership."""
        return (self._loop.status(), *self._supervisor.status())

    def problems(self) -> tuple[Problem, ...]:
        """What is not being done, and what the packs lack in this process, which others cannot know."""
        found = tuple(status.problem for status in self.status() if status.problem is not None)
        return (*found, *self._containment.problems(), *self._lacking)

    def start(self) -> None:
        """Starts the thread, which leads as soon as the lease is free."""
        self._loop.start()

    def wake(self) -> None:
        """Checks for commands and runs now."""
        self._wake_loop()
        if self._background_tasks is not None:
            self._background_tasks.wake()

    def _wake_loop(self) -> None:
        self._wake.set()
        self._end_wait()

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Stops: starts no new work, lets batches in flight finish within the grace period, interrupts the remaining
        runs and releases the lease. Returns when that is done.
        """
        self._grace = grace_seconds
        self._loop.request_stop()
        self._wake.set()
        self._loop.stop(timeout=None)
        if self._lease_store is not self._store:
            self._lease_store.close()

    def reload(self, settings: Settings, catalog: Catalog) -> None:
        """Continues with another configuration: batches in flight finish first, then their runs resume with it."""
        self._reloaded = settings, catalog
        self._wake.set()

    def _try_to_lead(self) -> float | None:
        if self._reloaded is not None:
            self._settings, self._catalog = self._reloaded
            self._reloaded = None
        try:
            migrate.require(self._store)
            token = self._leadership.try_take()
        except SQLAlchemyError as error:
            raise Unavailable("store", reason(error)) from error
        if self._loop.repeated.is_waiting_for_outage:
            self._loop.repeated.succeeded()
        if token is not None:
            self._lead(token)
        return 0.0 if self._is_reloading else None

    @property
    def _is_reloading(self) -> bool:
        return self._reloaded is not None

    def _lead(self, token: int) -> None:
        self._beat = time.monotonic() + OPENING_SECONDS
        with ExitStack() as closing:  # each part is closed, even if others raise
            closing.callback(log.info, "no longer leading with token %s", token)
            closing.callback(reach, Point.LEASE_RELEASED)
            closing.callback(self._leadership.release)
            closing.callback(self._supervisor.clear)
            reach(Point.LEASE_TAKEN)
            log.info("leading with token %s", token)
            self._supervisor.watch(self._leadership.renewals)
            at = self._now()
            self._lacking = tuple(Problem(pack, Fault.NOT_CONFIGURED, at, note) for pack, note in self._catalog.notes())
            self._leadership.keep(lost=self.wake, is_alive=self._is_alive, problems=self.problems)
            self._store.preconnect(STORE_CONNECTIONS)
            try:
                self._lead_with(token, closing)
            except (Fenced, LeaseExpired) as error:
                log.warning("%s", error.sentence)
            except SQLAlchemyError as error:
                if is_outage(error):
                    raise Unavailable("store", reason(error)) from error
                raise

    def _lead_with(self, token: int, closing: ExitStack) -> None:
        term = Term(
            self._settings,
            self._store,
            self._catalog,
            self._leadership,
            token,
            closing,
            supervisor=self._supervisor,
            wake=self._wake_loop,
            problems=self.problems,
            now=self._now,
            only_command=self._only_command,
            ahead=self._ahead,
        )
        self._containment, self._background_tasks = term.containment, term.background_tasks
        self._end_wait = term.runner.wake
        term.start(alerting=self._alerting)
        log.info("ready: %s scheduled", count(sum(1 for _ in self._catalog), "job"))
        polling = Polling(self._store, self._wake)
        closing.callback(polling.close)
        self._work(term, token, polling)
        self._leadership.check()
        self._beat = time.monotonic() + self._grace
        term.runner.drain(self._grace)
        term.runner.interrupt()

    def _execute_commands(self, term: Term, token: int) -> None:
        only = self._only_command
        verbs = execute_commands(self._store, self._catalog, token, self._now, only_command=only)
        if not verbs.isdisjoint(BACKGROUND_VERBS):
            term.background_tasks.wake()
        if only is None and verbs & {Verb.SCHEDULE, Verb.RESET_SCHEDULE}:
            term.scheduler.reload()

    def _work(self, term: Term, token: int, polling: Polling) -> None:
        runner, alerting = term.runner, term.reporting.alerting
        leading, only = (self._store, self._catalog, token, self._now), self._only_command
        steps: dict[Work, Callable[[], object]] = {
            Work.COMMANDS: lambda: self._execute_commands(term, token),
            Work.BACKFILLS: lambda: backfills.advance(*leading, term.containment, only_command=only),
            Work.ADMISSION: runner.admit,
        }
        every_second: dict[Work, Callable[[], object]] = {
            Work.WORKERS: runner.check_workers,
            Work.ATTACHED_WORKERS: term.attached_workers.announce,
        }
        if only is None:
            every_second |= {
                Work.SCHEDULE: term.scheduler.heartbeat,
                Work.AUDIT_SEAL: self._daily_seal.log,
                Work.NOTIFICATIONS: term.reporting.notifier.drop_others,
            }
        watched = {work: self._supervisor.repeated(work) for work in (*steps, *every_second)}
        started = heartbeat = time.monotonic() - 1.0
        is_busy = False
        while self._leadership.is_held and not self._loop.is_stopping and self._reloaded is None:
            now = self._beat = time.monotonic()
            self._loop.repeated.progress()
            is_busy = is_busy or any(watched[work].is_failing for work in steps)
            if runner.has_planned and not watched[Work.ADMISSION].is_failing:
                watched[Work.ADMISSION].attempt(runner.start_planned, passing=ends_leadership)
            elif (polling.is_due(is_busy=is_busy) or runner.needs_admission) and self._leadership.may_start_work:
                for work, step in steps.items():
                    watched[work].attempt(step, passing=ends_leadership)
            if now - heartbeat >= 1.0:
                heartbeat = now
                for work, step in every_second.items():
                    watched[work].attempt(step, passing=_is_fenced)
                if now - started > STABLE_SECONDS:
                    self._loop.repeated.succeeded()
            is_busy = runner.step()
            if not is_busy:
                polling.wait()
            if runner.has_news:
                runner.has_news = False
                alerting.wake()

    def _is_alive(self) -> bool:
        """Whether the engine's loop ran recently."""
        if self._settings.engine.executor == "inline":
            return True  # a batch blocks the loop
        return time.monotonic() - self._beat < 2 * self._settings.engine.lease_seconds


def _is_fenced(error: BaseException) -> bool:
    return isinstance(error, Fenced)
