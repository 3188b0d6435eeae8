"""Alerts: findings with a life, from firing to resolved, and how operators acknowledge and silence them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from opsconsole.rules.findings import FindingKey, FindingKind, Severity


class AlertState(StrEnum):
    """The state of an alert, as operators see it."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"


class AlertEvent(StrEnum):
    """What happened to an alert, and is worth a notification."""

    FIRED = "fired"
    WORSE = "worse"
    RESOLVED = "resolved"
    REMINDER = "reminder"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody knows of an alert, and no reminder is sent until `until`, or until it is resolved if that is None."""

    who: str
    at: datetime
    until: datetime | None
    note: str

    def in_force(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Silence:
    """No notification is sent about `target`: a job, a pack, a rule, or a rule and its subject (`rule subject`)."""

    id: int
    target: str
    since: datetime
    until: datetime | None
    who: str
    note: str

    def applies_to(self, alert: Alert) -> bool:
        """Whether the alert is in its target."""
        return self.target in (target_of(alert), alert.rule, alert.job, alert.pack)


@dataclass(frozen=True, slots=True)
class Alert:
    """A finding with a life. `since` is when the problem began, `opened_at` when it was recorded, `worse_at` when it
    became worse. `message` is the finding in words, after the subject, and `evidence` its figures. `job` and `pack` are
    those concerned, `run` is the number of the run concerned, and `cause` the alert that likely explains this one.
    `baseline` is how many failed, or how often, when it fired or last became worse.
    """

    id: int
    rule: FindingKind
    subject: str
    severity: Severity
    since: datetime
    opened_at: datetime
    message: str
    worse_at: datetime | None = None
    resolved_at: datetime | None = None
    job: str | None = None
    pack: str | None = None
    run: int | None = None
    cause: int | None = None
    acknowledged: Acknowledgement | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    baseline: int = 1

    @property
    def key(self) -> FindingKey:
        """The identity of its finding."""
        return self.rule, self.subject

    @property
    def is_open(self) -> bool:
        """Whether it is not resolved."""
        return self.resolved_at is None


def target_of(alert: Alert) -> str:
    """The target of a silence of exactly this alert: `failed_run attempts.cache_day`."""
    return f"{alert.rule} {alert.subject}"


def silence_of(alert: Alert, silences: Iterable[Silence]) -> Silence | None:
    """The first of the active silences that applies to the alert; None if there is none."""
    return next((silence for silence in silences if silence.applies_to(alert)), None)


def acknowledgement_of(alert: Alert, now: datetime) -> Acknowledgement | None:
    """Its acknowledgement; None once that has expired, or if the alert has become worse since."""
    given = alert.acknowledged
    if given is None or not given.in_force(now) or (alert.worse_at is not None and alert.worse_at > given.at):
        return None
    return given


def state_of(alert: Alert, silences: Iterable[Silence], now: datetime) -> AlertState:
    """The state of an alert, given the silences that are active: these apply to acknowledged alerts, too."""
    if alert.resolved_at is not None:
        return AlertState.RESOLVED
    if silence_of(alert, silences) is not None:
        return AlertState.SILENCED
    return AlertState.FIRING if acknowledgement_of(alert, now) is None else AlertState.ACKNOWLEDGED


def causes_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Open alerts, the worst and oldest first, each followed by those that it explains."""
    listed = sorted(alerts, key=lambda alert: (-alert.severity, alert.since, alert.id))
    numbers = {alert.id for alert in listed}
    explained: dict[int, list[Alert]] = {}
    for alert in listed:
        if alert.cause in numbers and alert.cause is not None:
            explained.setdefault(alert.cause, []).append(alert)
    roots = [alert for alert in listed if alert.cause not in numbers]
    return [each for root in roots for each in (root, *explained.get(root.id, ()))]
