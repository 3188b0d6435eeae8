"""What findings change about the open alerts: which fire, become worse, change and are resolved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from opsconsole.authoring.run import Run
from opsconsole.calendar.windows import minutes
from opsconsole.core.text import safe
from opsconsole.rules import finding_text
from opsconsole.rules.alerts import Alert
from opsconsole.rules.findings import ENDED, Finding, FindingKey, FindingKind

MAX_MESSAGE, MAX_REASON = 500, 300
MAX_ITEMS = 50
SEVERITY_KEPT = minutes(10)
"""A severity does not fall before this: one that falls and rises again is not worse each time."""
COUNTED = (
    FindingKind.FAILED_RUN,
    FindingKind.FAILING_REPEATEDLY,
    FindingKind.FAILING_ITEMS,
    FindingKind.MISSED,
    FindingKind.INCOMPLETE_WINDOWS,
    FindingKind.SET_ASIDE,
)
"""Rules whose alerts are worse when their count has doubled."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one look at the facts has found. `causes` maps a finding to the one that likely explains it, which nothing
    explains. The kinds in `unknown` were not judged, because their facts could not be read. `to_pause` are the jobs
    that are to be paused, with how many of their windows in a row have failed.
    """

    found: tuple[Finding, ...] = ()
    causes: Mapping[FindingKey, FindingKey] = field(default_factory=dict)
    unknown: frozenset[FindingKind] = frozenset()
    to_pause: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of alerts, with the findings behind them. `absent` are the open alerts whose finding was not found this
    time, and which are resolved if the next look does not find it either.
    """

    fired: tuple[Finding, ...] = ()
    worse: tuple[tuple[Alert, Finding], ...] = ()
    changed: tuple[tuple[Alert, Finding], ...] = ()
    resolved: tuple[Alert, ...] = ()
    absent: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.fired or self.worse or self.changed or self.resolved)


def reconcile(
    alerts: Sequence[Alert],
    judgement: Judgement,
    absent_before: Collection[int],
    now: datetime,
    *,
    refresh: bool = True,
) -> Changes:
    """What a look changes about the open alerts. `absent_before` is what the look before found absent.

    Words and figures change all the time, so that they are only compared with `refresh` (but not whether the run has
    ended), as is a lower severity, which
    counts only SEVERITY_KEPT after the alert fired or last became worse.
    """
    found: dict[FindingKey, Finding] = {}
    for finding in judgement.found:
        if finding.key not in found or finding.severity > found[finding.key].severity:
            found[finding.key] = finding
    worse: list[tuple[Alert, Finding]] = []
    changed: list[tuple[Alert, Finding]] = []
    missing: list[Alert] = []
    for alert in alerts:
        mine = found.pop(alert.key, None)
        if mine is None:
            if alert.rule not in judgement.unknown:
                missing.append(alert)
            continue
        mine = _keeping_severity(alert, mine, now)
        if is_worse(alert, mine):
            worse.append((alert, mine))
        elif _differs(alert, mine, now, refresh=refresh):
            changed.append((alert, mine))
    resolved = tuple(alert for alert in missing if alert.id in absent_before)
    absent = frozenset(alert.id for alert in missing if alert.id not in absent_before)
    return Changes(tuple(found.values()), tuple(worse), tuple(changed), resolved, absent)


def limited(changes: Changes, causes: Mapping[FindingKey, FindingKey], most: int) -> Changes:
    """The first of the changes of each kind: those that fire with causes before what they explain, and the worst first.
    The next look finds the others again.
    """
    fired = sorted(changes.fired, key=lambda finding: (finding.key in causes, -finding.severity, finding.since))
    postponed = frozenset(alert.id for alert in changes.resolved[most:])
    return Changes(
        tuple(fired[:most]),
        changes.worse[:most],
        changes.changed[:most],
        changes.resolved[:most],
        changes.absent | postponed,
    )


def is_worse(alert: Alert, finding: Finding) -> bool:
    """Whether the severity is higher than it was, or twice as much has failed as when the alert fired."""
    has_doubled = finding.kind in COUNTED and finding.count >= 2 * alert.baseline
    return finding.severity > alert.severity or has_doubled


def content(finding: Finding, now: datetime) -> dict[str, Any]:
    """The columns of an alert that follow from its finding."""
    return {
        "severity": finding.severity,
        "message": safe(finding_text.sentence(finding, now), MAX_MESSAGE),
        "evidence": evidence(finding),
        "run_id": _number(finding.run),
    }


def evidence(finding: Finding) -> dict[str, Any]:
    """The figures that a finding is based on, as JSON: `count`, and where there are any `numbers`, the `items` and
    `jobs` concerned, and the `reason`. The first items are kept; `newest` is the last window where there are more.
    """
    listed: dict[str, Any] = {"count": finding.count}
    if finding.numbers:
        listed["numbers"] = dict(finding.numbers)
    if finding.items:
        listed["items"] = [safe(item, MAX_REASON) for item in finding.items[:MAX_ITEMS]]
    if finding.kind is FindingKind.INCOMPLETE_WINDOWS and len(finding.items) > MAX_ITEMS:
        listed["newest"] = safe(finding.items[-1], MAX_REASON)
    if finding.jobs:
        listed["jobs"] = list(finding.jobs)
    if finding.reason:
        listed["reason"] = safe(finding.reason, MAX_REASON)
    return listed


def concerned(finding: Finding, jobs: Collection[str], packs: Collection[str]) -> tuple[str | None, str | None]:
    """The job and the pack that a finding is about; None where it is about none."""
    job = next((name for name in (finding.subject, finding.run.job if finding.run else "") if name in jobs), None)
    pack = (job or finding.subject).partition(".")[0]
    return job, pack if pack in packs else None


def _keeping_severity(alert: Alert, finding: Finding, now: datetime) -> Finding:
    """The finding, with the severity of its alert if that is higher and not old enough to fall."""
    risen_at = alert.worse_at or alert.opened_at
    if finding.severity < alert.severity and now < risen_at + SEVERITY_KEPT:
        return replace(finding, severity=alert.severity)
    return finding


def _differs(alert: Alert, finding: Finding, now: datetime, *, refresh: bool) -> bool:
    has_ended = alert.evidence.get("numbers", {}).get(ENDED, 0)
    if alert.run != _number(finding.run) or has_ended != finding.numbers.get(ENDED, 0):
        return True
    if not refresh:
        return False
    values = content(finding, now)
    return (alert.severity, alert.message, dict(alert.evidence)) != tuple(
        values[name] for name in ("severity", "message", "evidence")
    )


def _number(run: Run | None) -> int | None:
    return None if run is None else run.id
