"""Turns findings into alerts, and alerts into notifications, every few seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from opsconsole.authoring.catalog import Catalog
from opsconsole.core.clock import Clock
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.problems import Work
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import Loop
from opsconsole.leader.alert_records import AlertRecords, Transition
from opsconsole.rules.alert_changes import Changes, Judgement, limited, reconcile
from opsconsole.rules.alerts import Alert, AlertEvent, AlertState, state_of
from opsconsole.rules.findings import Severity
from opsconsole.store import Store, alerts, silences

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
SETTLED_LOOKS = 3
"""How many times longer the wait is when a look has found what the one before found. Alerts that take minutes to fire
can wait, and so can the end of an alert; runs that fail and services that become unreachable end the wait."""
SHORTEST_SECONDS = 0.25
"""The time between two looks when runs fail one after the other."""
REFRESH_SECONDS = 60.0
"""How often the words and figures of open alerts are updated."""
SETTLED = timedelta(seconds=30)
"""How long alerts are not compared with a judgement that has not changed. Reminders and ends of silences can wait."""
MAX_CHANGES = 50
"""How many alerts fire or are resolved in one transaction: no other write must wait long for it."""

Judge = Callable[[datetime], Judgement]
"""Reads the facts, and applies the rules to them."""


class Alerting:
    """The life of the alerts during one leadership. `may_start_work` returns whether its lease allows work; `notified`
    is called when there may be new notifications.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        settings: Settings,
        token: int,
        judge: Judge,
        *,
        notified: Callable[[], object] = lambda: None,
        may_start_work: Callable[[], bool],
        now: Clock,
    ) -> None:
        self._store, self._token = store, token
        self._judge, self._may_start_work, self._now = judge, may_start_work, now
        self._notified = notified
        self._records = AlertRecords(catalog, settings)
        self._looked = self._refreshed = float("-inf")
        self._absent: frozenset[int] = frozenset()
        self._states: dict[int, AlertState] = {}
        self._settled: tuple[Judgement, int, datetime] | None = None
        self.loop = Loop(Work.ALERTS, self._step, seconds=LOOK_SECONDS, now=now, outage_seconds=LOOK_SECONDS)

    def start(self) -> None:
        """Starts, and continues with the open alerts of earlier leaders."""
        self.loop.start()

    def stop(self) -> None:
        """Stops after the current look."""
        self.loop.stop()

    def wake(self) -> None:
        """Looks now: a run has failed, or a service has become unreachable or responds again."""
        self.loop.wake()

    def look(self) -> bool:
        """Reads the facts, and writes what they change: alerts, notifications and audit rows in one transaction. False
        when nothing has changed since a recent look.
        """
        now, version = self._now(), self._store.version
        judgement = self._judge(now)
        if self._is_settled(judgement, version, now):
            return False
        is_refresh = time.monotonic() - self._refreshed >= REFRESH_SECONDS
        with self._store.reading() as db:
            listed = alerts.open_alerts(db)
            silenced = silences.in_force(db, now)
            everything = reconcile(listed, judgement, self._absent, now, refresh=is_refresh)
            changes = limited(everything, judgement.causes, MAX_CHANGES)
            has_news = bool(
                changes
                or judgement.to_pause
                or self._records.changed_causes(db, listed, judgement, now)
                or next(self._records.due(db, listed, now), None)
            )
        transitions = self._write(changes, judgement, now) if has_news else []
        self._absent = changes.absent
        if is_refresh:
            self._refreshed = time.monotonic()
        for each in transitions:
            _log(each.alert, each.event)
        for alert, state in self._state_changes({alert.id: state_of(alert, silenced, now) for alert in listed}, listed):
            _log(alert, state)

        self._settled = None if has_news or self._absent else (judgement, version, now)
        return True

    def _is_settled(self, judgement: Judgement, version: int, now: datetime) -> bool:
        """Whether a recent comparison with the same judgement has found nothing to write."""
        if self._settled is None:
            return False
        same, before, at = self._settled
        return before == version and at <= now < at + SETTLED and same == judgement

    def _step(self) -> float | None:
        wait = self._looked + SHORTEST_SECONDS - time.monotonic()
        if wait > 0:
            return wait
        self._looked = time.monotonic()
        if self._may_start_work() and not self.look():
            return SETTLED_LOOKS * LOOK_SECONDS
        return None

    def _write(self, changes: Changes, judgement: Judgement, now: datetime) -> list[Transition]:
        with self._store.fenced(self._token) as db:
            transitions = self._records.write(db, changes, judgement, now)
            reach(Point.ALERTS_WRITTEN)
        reach(Point.ALERTS_COMMITTED)
        self._notified()
        return transitions

    def _state_changes(
        self, states: Mapping[int, AlertState], listed: Sequence[Alert]
    ) -> Iterator[tuple[Alert, AlertState]]:
        """The alerts that have become acknowledged or silenced since the last look, or fire again."""
        before, self._states = self._states, dict(states)
        for alert in listed:
            if before.get(alert.id, states[alert.id]) is not states[alert.id]:
                yield alert, states[alert.id]


def _log(alert: Alert, event: AlertEvent | AlertState) -> None:
    """Logs a change of an alert, with its fields for the JSON log."""
    level = logging.WARNING if event in (AlertEvent.FIRED, AlertEvent.WORSE) else logging.INFO
    fields = {
        "alert": alert.id,
        "rule": alert.rule,
        "subject": alert.subject,
        "severity": Severity(alert.severity).name.lower(),
        "event": event,
        "job": alert.job,
    }
    log.log(level, "alert %s %s: %s %s", alert.id, event, alert.subject, alert.message, extra=fields)
