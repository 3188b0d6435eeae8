"""What is wrong, for monitoring systems: the findings of now, with what operators did about their alerts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from opsconsole.rules import finding_text
from opsconsole.rules.alerts import Acknowledgement, Alert, AlertState, Silence, acknowledgement_of, state_of
from opsconsole.rules.causes import causes
from opsconsole.rules.findings import Finding, FindingKind, Severity
from opsconsole.rules.health import JOB_KINDS

JUDGED = JOB_KINDS | {FindingKind.SET_ASIDE, FindingKind.NOT_LEADING, FindingKind.LOCKED}
"""What the store alone proves. All else is what the leader has found, as its alerts say."""


class Status(IntEnum):
    """The status of an installation, as monitoring systems number it. It is the exit code of `health`."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is wrong: a finding, or an alert of the leader. `message` follows the subject. `alert` is the
    number of its alert, and `is_explained` whether something else likely explains it.
    """

    rule: FindingKind
    subject: str
    severity: Severity
    message: str
    since: datetime
    state: AlertState = AlertState.FIRING
    acknowledged: Acknowledgement | None = None
    alert: int | None = None
    is_explained: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What is wrong with an installation, the worst first. `jobs` is how many there are, and `leader` who leads, None
    when nobody does, `lease_age_seconds` after the last renewal of the lease, by the clocks of both.
    """

    at: datetime
    items: tuple[Item, ...]
    jobs: int
    leader: str | None
    lease_age_seconds: float | None = None

    @property
    def status(self) -> Status:
        """The worst severity of what is not silenced."""
        severities = [item.severity for item in self.items if item.state is not AlertState.SILENCED]
        if not severities:
            return Status.OK
        return Status.CRITICAL if max(severities) is Severity.CRITICAL else Status.WARNING

    def count(self, severity: Severity) -> int:
        """The number of items of this severity that are not silenced."""
        return sum(item.severity is severity and item.state is not AlertState.SILENCED for item in self.items)

    def count_state(self, state: AlertState) -> int:
        """The number of items in this state."""
        return sum(item.state is state for item in self.items)


def items(
    found: Sequence[Finding], alerts: Iterable[Alert], silences: Sequence[Silence], now: datetime
) -> tuple[Item, ...]:
    """The findings, and the alerts about what only the leader can find: the worst and oldest first, those that
    something else explains last. Other alerts without a finding are omitted.
    """
    by_key = {alert.key: alert for alert in alerts}
    explained = causes(found)
    listed = [_of_finding(each, by_key.get(each.key), silences, each.key in explained, now) for each in found]
    keys = {each.key for each in found}
    listed += _of_leader((alert for alert in by_key.values() if alert.key not in keys), silences, now)
    return tuple(sorted(listed, key=lambda item: (item.is_explained, -item.severity, item.since, item.subject)))


def _of_finding(
    finding: Finding, alert: Alert | None, silences: Sequence[Silence], is_explained: bool, now: datetime
) -> Item:
    number = None if alert is None else alert.id
    if alert is None:
        job = finding.subject if finding.kind in JOB_KINDS else None
        pack = job.partition(".")[0] if job is not None else None
        alert = Alert(0, finding.kind, finding.subject, finding.severity, finding.since, now, "", job=job, pack=pack)
    return Item(
        finding.kind,
        finding_text.subject(finding),
        finding.severity,
        finding_text.sentence(finding, now),
        finding.since,
        state_of(alert, silences, now),
        acknowledgement_of(alert, now),
        number,
        is_explained,
    )


def _of_leader(alerts: Iterable[Alert], silences: Sequence[Silence], now: datetime) -> Iterator[Item]:
    for alert in alerts:
        if alert.rule not in JUDGED:
            yield Item(
                alert.rule,
                finding_text.name(alert.rule, alert.subject),
                alert.severity,
                alert.message,
                alert.since,
                state_of(alert, silences, now),
                acknowledgement_of(alert, now),
                alert.id,
                alert.cause is not None,
            )
