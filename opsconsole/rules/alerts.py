"""Alerts: findings with a life, from firing to resolved, and how operators acknowledge and silence them."""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Silence:
    """No notification is sent about `target`: a job, a pack, a rule, or a rule and its subject (`rule subject`)."""

    id: int
    target: str
    since: datetime
    until: datetime | None
    who: str
    note: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A finding with a life. `since` is when the problem began, `opened_at` when it was recorded, `worse_at` when it
    became worse. `message` is the finding in words, after the subject, and `evidence` its figures. `job` and `pack` are
    those concerned, `run` is the number of the run concerned, and `cause` the alert that likely explains this one.
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

    @property
    def key(self) -> FindingKey:
        """The identity of its finding."""
        return self.rule, self.subject
