"""The parts of one leadership: what schedules, executes, judges, reports and cleans up until it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import SHORT_SECONDS, Resources
from opsconsole.core.clock import Clock
from opsconsole.core.problems import Problem
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import Supervisor
from opsconsole.leader.attached_workers import AttachedWorkers
from opsconsole.leader.background_tasks import BackgroundTasks
from opsconsole.leader.containment import Containment
from opsconsole.leader.empty_checks import EmptyChecks
from opsconsole.leader.event_relay import EventRelay
from opsconsole.leader.judging import Judging
from opsconsole.leader.lease import Leadership
from opsconsole.leader.planned_runs import PlannedRuns
from opsconsole.leader.reporting import Reporting
from opsconsole.leader.retention import Pruning
from opsconsole.leader.runner import Runner
from opsconsole.leader.scheduler import Scheduler
from opsconsole.leader.system_facts import SystemFacts
from opsconsole.store import Store
from opsconsole.store.signals import Sender
from opsconsole.worker.ahead import StartedAhead
from opsconsole.worker.counting import counter
from opsconsole.worker.executor import Executor
from opsconsole.worker.inline import Inline
from opsconsole.worker.processes import Processes


class Term:
    """Makes the parts, and lets `closing` close those that were made, the last one first. `wake` is called when there
    may be something to do, and `problems` returns what the leader does not do. A worker that was started `ahead` is
    taken by an executor that can use it.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        catalog: Catalog,
        leadership: Leadership,
        token: int,
        closing: ExitStack,
        *,
        supervisor: Supervisor,
        wake: Callable[[], None],
        problems: Callable[[], Iterable[Problem]],
        now: Clock,
        only_command: int | None,
        ahead: StartedAhead | None = None,
    ) -> None:
        self._settings, self._catalog, self._leadership, self._now = settings, catalog, leadership, now
        self._only_command, self._token, self._ahead = only_command, token, ahead
        self.containment = Containment(now)
        self._signals = Sender(store, now=now)
        closing.callback(self._signals.stop)
        tools = self._tools(SHORT_SECONDS)
        counting = counter(settings, catalog, tools)
        self.background_tasks = BackgroundTasks(
            store,
            tools,
            catalog,
            counting,
            token,
            supervisor=supervisor,
            may_start_work=self._may_start_work,
            now=now,
            only_command=only_command,
        )
        closing.callback(self.background_tasks.stop)
        self._relay = EventRelay(store, self._tools(SHORT_SECONDS), token, may_start_work=self._may_start_work)
        supervisor.watch(self._relay.loop)
        closing.callback(self._relay.stop)
        self._pruning = Pruning(store, settings.retention, token, may_start_work=self._may_start_work, now=now)
        supervisor.watch(self._pruning.loop)
        closing.callback(self._pruning.stop)
        self._empty_checks = EmptyChecks(counting, now=now)
        supervisor.watch(self._empty_checks.loop)
        planned = PlannedRuns(wake)
        self.scheduler = Scheduler(
            store,
            catalog,
            token,
            planned=planned,
            now=now,
            containment=self.containment,
            empty_checks=self._empty_checks,
        )
        closing.callback(self.scheduler.stop)
        closing.callback(self._empty_checks.stop)
        executor = self._executor()
        closing.callback(executor.close)  # also when the runner, which closes it, cannot be made
        self._system = SystemFacts(
            settings,
            store,
            catalog,
            self._tools,
            token,
            may_start_work=self._may_start_work,
            dead_predecessor=leadership.dead_predecessor,
            losses=lambda: executor.losses,
            now=now,
        )
        supervisor.watch(*self._system.loops)
        closing.callback(self._system.stop)
        self.runner = Runner(
            store,
            catalog,
            executor,
            token=token,
            host=settings.host,
            may_start_work=self._may_start_work,
            now=now,
            containment=self.containment,
            planned=planned,
            only_command=only_command,
            check_lease=leadership.check,
        )
        closing.callback(self.runner.close)
        self.attached_workers = AttachedWorkers(store, lambda: executor.attached, token, now)
        self.reporting = Reporting(
            store,
            catalog,
            settings,
            token,
            Judging(store, catalog, self._system, problems, supervisor=supervisor),
            supervisor=supervisor,
            may_start_work=self._may_start_work,
            now=now,
        )
        closing.callback(self.reporting.stop)

    def start(self, *, alerting: bool) -> None:
        """Starts the threads, and resumes the runs of the leader before. The schedule comes first, so that due runs are
        queued while the workers are still starting.
        """
        self._signals.start()
        self._relay.start()
        self.background_tasks.start()
        if self._only_command is None:
            self._pruning.start()
            self.scheduler.start()
            self._empty_checks.start(answered=self.scheduler.tick)
        if alerting:
            self._system.start(changed=self.reporting.alerting.wake)
            self.reporting.start()
        self.runner.open(leader_died=self._leadership.dead_predecessor is not None)

    def _may_start_work(self) -> bool:
        return self._leadership.may_start_work

    def _tools(self, statement_seconds: float | None = None) -> Resources:
        settings = self._settings
        assert settings.redis_url is not None  # noqa: S101 - the session sets it before an engine starts
        urls = settings.data_url.reveal(), settings.redis_url.reveal()
        return Resources(
            *urls,
            families=self._catalog.families,
            now=self._now,
            statement_seconds=statement_seconds,
            check_lease=self._leadership.check,
        )

    def _executor(self) -> Executor:
        if self._settings.engine.executor == "inline":
            return Inline(self._catalog, self._tools())
        if self._settings.engine.executor == "celery":
            return self._celery()
        return Processes(
            self._settings.for_workers(),
            self._settings.engine.worker_count,
            errors=self._settings.folder / "workers.log",
            lease=self._leadership.deadline,
            tag_of=self._tag_of,
            now=self._now,
            ahead=self._ahead.take(self._leadership.deadline) if self._ahead is not None else None,
        )

    def _celery(self) -> Executor:
        from opsconsole.worker.celery import fingerprint  # an optional extra
        from opsconsole.worker.celery.executor import CeleryExecutor

        assert self._settings.broker_url is not None  # noqa: S101 - a configuration with this executor has one
        return CeleryExecutor(
            self._settings.broker_url.reveal(),
            fingerprint.leading(self._settings, self._catalog, self._token),
            longest_batch_seconds=max(job.batch_timeout.total_seconds() for job in self._catalog),
            lease=self._leadership.deadline,
            lease_seconds=self._settings.engine.lease_seconds,
            tag_of=self._tag_of,
            now=self._now,
        )

    def _tag_of(self, job: str) -> str:
        return self._catalog.find(job).log_tag if job in self._catalog else f"[{job}]"
