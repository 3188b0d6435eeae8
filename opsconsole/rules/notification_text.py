"""Alerts in the words of a notification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from opsconsole.core.humanize import age, count, local_time
from opsconsole.core.text import safe
from opsconsole.rules import finding_text, runbook
from opsconsole.rules.alerts import Alert, AlertEvent

MAX_TITLE = 160
MAX_LINE = 400
MAX_EXPLAINED = 10
"""How many of the alerts that one explains are listed."""


@dataclass(frozen=True, slots=True)
class Message:
    """A title of one line, and a body of several."""

    title: str
    body: str


def message(
    alert: Alert,
    event: AlertEvent,
    *,
    now: datetime,
    explained: Sequence[Alert] = (),
    environment: str = "",
    again: bool = False,
) -> Message:
    """The message about an alert. `explained` are the alerts that this one explains. With `again`, it was resolved only
    a few minutes ago.
    """
    where = f"[{environment}] " if environment else ""
    title = safe(f"{where}{_label(alert, event)}: {_subject(alert)} {alert.message}", MAX_TITLE)
    body = "\n".join(safe(line, MAX_LINE) for line in _lines(alert, event, explained, now, again=again))
    return Message(title, body)


def _subject(alert: Alert) -> str:
    return finding_text.name(alert.rule, alert.subject)


def _label(alert: Alert, event: AlertEvent) -> str:
    severity = alert.severity.name.lower()
    match event:
        case AlertEvent.FIRED:
            return severity
        case AlertEvent.WORSE:
            return f"worse, {severity}"
        case AlertEvent.RESOLVED:
            return "resolved"
        case AlertEvent.REMINDER:
            return f"still {severity}"


def _lines(alert: Alert, event: AlertEvent, explained: Sequence[Alert], now: datetime, *, again: bool) -> list[str]:
    lines = [f"{_subject(alert)} {alert.message}"]
    if event is AlertEvent.RESOLVED and alert.resolved_at is not None:
        lines.append(
            f"Resolved at {local_time(alert.resolved_at, 'UTC')}, after {age(alert.resolved_at - alert.since)}."
        )
    else:
        lines.append(f"Since {local_time(alert.since, 'UTC')}, for {age(now - alert.since)}.")
    if again:
        lines.append("It had been resolved a few minutes before.")
    if explained:
        lines.append(f"It probably explains {count(len(explained), 'more alert')}:")
        lines += [f"- {_subject(each)} {each.message}" for each in explained[:MAX_EXPLAINED]]
        if len(explained) > MAX_EXPLAINED:
            lines.append(f"- and {count(len(explained) - MAX_EXPLAINED, 'other')}")
    if alert.run is not None:
        lines.append(f"Run: opsconsole show {alert.run}")
    if event is not AlertEvent.RESOLVED:
        lines.append(f"Runbook: {runbook.section(alert.rule, alert.subject)}")
        lines.append(f"Acknowledge: opsconsole ack {alert.id}")
    return lines
