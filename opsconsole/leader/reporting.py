"""What a leader reports to people and services elsewhere: alerts, notifications about them, and that it is alive."""

from __future__ import annotations

from collections.abc import Callable

from opsconsole.authoring.catalog import Catalog
from opsconsole.core.clock import Clock
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import Supervisor
from opsconsole.leader.alerting import Alerting, Judge
from opsconsole.leader.dead_man import DeadManSwitch
from opsconsole.leader.health_checks import HealthChecks
from opsconsole.leader.notifications import Notifier
from opsconsole.store import Store


class Reporting:
    """The alerts, the notifier, the health checks and the dead man's switch of a leadership. `judge` reads the facts,
    and applies the rules to them.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        settings: Settings,
        token: int,
        judge: Judge,
        *,
        supervisor: Supervisor,
        may_start_work: Callable[[], bool],
        now: Clock,
    ) -> None:
        self.notifier = Notifier(
            store, settings.channels, token, supervisor=supervisor, may_start_work=may_start_work, now=now
        )
        self.alerting = Alerting(
            store,
            catalog,
            settings,
            token,
            judge,
            notified=self.notifier.wake,
            may_start_work=may_start_work,
            now=now,
        )
        supervisor.watch(self.alerting.loop)
        self._health_checks = HealthChecks(store, catalog, token, may_start_work=may_start_work, now=now)
        supervisor.watch(self._health_checks.loop)
        self._dead_man = DeadManSwitch(settings.alerts, supervisor=supervisor, is_well=may_start_work, now=now)

    def start(self) -> None:
        """Starts the threads."""
        self.notifier.start()
        self.alerting.start()
        self._health_checks.start()
        self._dead_man.start()

    def stop(self) -> None:
        """Stops; waits a moment for messages that are being sent."""
        self._dead_man.stop()
        self._health_checks.stop()
        self.alerting.stop()
        self.notifier.stop()
