"""Writes what happens to alerts: their rows, the notifications about them, and the audit trail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from opsconsole.authoring.catalog import Catalog
from opsconsole.core.database import Connection
from opsconsole.core.settings import Actor, Settings
from opsconsole.rules.actions import Verb
from opsconsole.rules.alert_changes import Changes, Judgement, concerned, content
from opsconsole.rules.alerts import Alert, AlertEvent, target_of
from opsconsole.rules.findings import Finding, FindingKind
from opsconsole.rules.notification_text import message
from opsconsole.rules.notifications import due_events, is_quiet
from opsconsole.rules.pauses import Pause
from opsconsole.store import alerts, audit, notifications, pauses, silences
from opsconsole.store.commands import CommandState

RULES_ACTOR = "opsconsole"
"""Who is recorded for what the rules do."""
ALERT_VERB = "alert"
"""The verb of a change of an alert in the audit trail."""
RECENTLY, MAX_RECENT = timedelta(minutes=15), 500
"""A finding whose alert was resolved within this time recurs."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What happened to an alert, with the alert as it is now."""

    alert: Alert
    event: AlertEvent


@dataclass(frozen=True, slots=True)
class Due:
    """A notification to be written."""

    alert: Alert
    event: AlertEvent
    channel: str
    explained: tuple[Alert, ...]
    again: bool


class AlertRecords:
    """The alerts of an installation, within the transactions of the caller."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._catalog, self._settings = catalog, settings
        self._jobs = frozenset(job.name for job in catalog)
        self._packs = frozenset(pack.name for pack in catalog.packs)
        self._actor = Actor(RULES_ACTOR, settings.host)

    def write(self, db: Connection, changes: Changes, judgement: Judgement, now: datetime) -> list[Transition]:
        """Writes what a look has changed, and returns the alerts that fired, became worse or were resolved."""
        for job, failed in judgement.to_pause.items():
            self._pause(db, job, failed, now)
        fired = [self._fire(db, finding, now) for finding in changes.fired]
        for alert, finding in changes.worse:
            values = {"worse_at": now, "baseline": max(finding.count, alert.baseline)}
            alerts.change(db, alert.id, {**content(finding, now), **values})
        for alert, finding in changes.changed:
            alerts.change(db, alert.id, content(finding, now))
        for alert in changes.resolved:
            alerts.change(db, alert.id, {"resolved_at": now})
        for number, cause in self.changed_causes(db, alerts.open_alerts(db), judgement, now).items():
            alerts.change(db, number, {"cause_id": cause})
        still_open = alerts.open_alerts(db)
        resolved = [alerts.get(db, alert.id) for alert in changes.resolved]
        now_open = {alert.id: alert for alert in still_open}
        transitions = [Transition(now_open[number], AlertEvent.FIRED) for number in fired]
        transitions += [Transition(now_open[alert.id], AlertEvent.WORSE) for alert, _ in changes.worse]
        transitions += [Transition(alert, AlertEvent.RESOLVED) for alert in resolved]
        for each in transitions:
            self._audit(db, each, now)
        for due in list(self.due(db, [*still_open, *resolved], now)):
            self._notify(db, due, now)
        return transitions

    def changed_causes(
        self, db: Connection, open_alerts: Sequence[Alert], judgement: Judgement, now: datetime
    ) -> dict[int, int | None]:
        """The alerts that another one explains than before, with the number of that one, None if nothing explains it
        any more. An alert whose finding is absent or unknown keeps its cause while that is open. A failure that is
        silenced or in maintenance explains those of no other job: nobody silenced these.
        """
        numbers = {alert.key: alert.id for alert in open_alerts}
        found = {finding.key for finding in judgement.found}
        silenced, maintenance = silences.in_force(db, now), _maintenance(db, now)
        quiet = {
            alert.id: alert.job
            for alert in open_alerts
            if alert.rule is FindingKind.FAILED_RUN and is_quiet(alert, silenced, maintenance, now)
        }
        changed: dict[int, int | None] = {}
        for alert in open_alerts:
            cause = alert.cause if alert.cause in numbers.values() else None
            if alert.key in found:
                root = judgement.causes.get(alert.key)
                cause = None if root is None else numbers.get(root)
                if cause in quiet and quiet[cause] != alert.job:
                    cause = None
            if cause != alert.cause:
                changed[alert.id] = cause
        return changed

    def due(self, db: Connection, listed: Iterable[Alert], now: datetime) -> Iterator[Due]:
        """The notifications that are to be written about these alerts now."""
        found = list(listed)
        if not found or not self._settings.channels:
            return
        silenced = silences.in_force(db, now)
        maintenance = _maintenance(db, now)
        ended = alerts.resolved_since(db, now - RECENTLY, limit=MAX_RECENT)
        history = notifications.latest(db, [alert.id for alert in (*found, *ended)])
        resolved_before = {alert.key: alert.resolved_at for alert in reversed(ended) if alert.id in history}
        for alert in found:
            explained = tuple(each for each in found if each.cause == alert.id)
            before = resolved_before.get(alert.key) if alert.is_open else None
            for channel, event in due_events(
                alert,
                self._settings.channels,
                history.get(alert.id, {}),
                now=now,
                jobs={each.job for each in explained if each.job is not None},
                quiet=is_quiet(alert, silenced, maintenance, now),
                reminder=self._settings.alerts.reminder,
                resolved_before=before,
            ):
                yield Due(alert, event, channel.name, explained, before is not None)

    def _fire(self, db: Connection, finding: Finding, now: datetime) -> int:
        job, pack = concerned(finding, self._jobs, self._packs)
        values = {"since": finding.since, "opened_at": now, "job": job, "pack": pack, "baseline": finding.count}
        return alerts.add(db, finding.key, {**content(finding, now), **values})

    def _notify(self, db: Connection, due: Due, now: datetime) -> None:
        text = message(
            due.alert,
            due.event,
            now=now,
            explained=due.explained,
            environment=self._settings.console.environment,
            again=due.again,
        )
        notifications.add(
            db,
            alert=due.alert.id,
            event=due.event,
            channel=due.channel,
            severity=due.alert.severity,
            title=text.title,
            body=text.body,
            at=now,
        )

    def _pause(self, db: Connection, job: str, failed: int, now: datetime) -> None:
        """Pauses a job until somebody resumes it, unless it has been paused meanwhile."""
        if any(pause.skips(job, now) for pause in pauses.in_force(db, now)):
            return
        note = f"failed {failed} times in a row"
        number = pauses.add(db, job, since=now, until=None, who=RULES_ACTOR, note=note)
        self._append(db, Verb.PAUSE, job, CommandState.DONE, {"pause": number, "note": note}, now)

    def _audit(self, db: Connection, transition: Transition, now: datetime) -> None:
        alert = transition.alert
        after = {"alert": alert.id, "severity": alert.severity.name.lower(), "message": alert.message}
        if alert.resolved_at is not None:
            after["seconds"] = round((alert.resolved_at - alert.since).total_seconds())
        self._append(db, ALERT_VERB, target_of(alert), transition.event, after, now)

    def _append(
        self, db: Connection, verb: str, target: str, outcome: str, after: dict[str, Any], now: datetime
    ) -> None:
        audit.append(
            db,
            command=None,
            verb=verb,
            target=target,
            actor=self._actor,
            at=now,
            outcome=outcome,
            before=None,
            after=after,
        )


def _maintenance(db: Connection, now: datetime) -> list[Pause]:
    """The active pauses, without those of the rules: their alert is the news."""
    return [pause for pause in pauses.in_force(db, now) if pause.who != RULES_ACTOR]
