"""Judges an installation from its store alone, whether a process runs or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.calendar.windows import minutes
from opsconsole.core.database import Connection
from opsconsole.core.errors import StoreLocked
from opsconsole.core.humanize import count
from opsconsole.core.settings import Role
from opsconsole.core.text import safe
from opsconsole.core.times import utc
from opsconsole.rules.alerts import AlertState
from opsconsole.rules.findings import Finding, FindingKind, Severity
from opsconsole.rules.health import jobs_findings
from opsconsole.rules.health_report import Item, Report, items
from opsconsole.rules.system_health import degraded, grace_of, lasting, not_leading, store_locked
from opsconsole.service.store_probe import StoreProbe
from opsconsole.store import Store, alerts, health_checks, job_facts, lease, set_aside, silences
from opsconsole.store.health_checks import HealthCheck
from opsconsole.store.write_lock import is_locked

MAX_NAMED, MAX_MESSAGE = 3, 120
MAX_CHECKS = 10_000
GAP = minutes(10)
"""States are recorded every five minutes; one record may be missing."""


def report(store: Store, catalog: Catalog, now: datetime, *, role: Role, lease_seconds: float) -> Report:
    """What is wrong, by the same rules as the leader's. Raises StoreLocked when nothing can be read, SQLAlchemyError
    when the store is unreachable.
    """
    lock = StoreProbe(store, role).check(now)
    locked = [] if lock is None else [replace(store_locked(lock.since, lock.reason, now), severity=Severity.CRITICAL)]
    try:
        with store.reading() as db:
            return _report(db, catalog, now, locked, lease_seconds=lease_seconds)
    except SQLAlchemyError as error:
        if lock is not None and is_locked(error):
            raise StoreLocked(lock.reason) from error
        raise


def _report(
    db: Connection, catalog: Catalog, now: datetime, locked: Sequence[Finding], *, lease_seconds: float
) -> Report:
    facts, _ = job_facts.read(db, catalog, now)
    held = lease.read(db)
    scheduled = any(job.cron is not None for job in catalog)
    leaderless = not_leading(held, now, scheduled=scheduled, grace=grace_of(lease_seconds))
    found = [*locked, *jobs_findings(facts, now), *set_aside.findings(db), *leaderless]
    listed = alerts.open_alerts(db)
    is_led = all(each.kind is not FindingKind.NOT_LEADING for each in found)
    if held is not None and is_led:
        unreachable = [alert.subject for alert in listed if alert.rule is FindingKind.UNREACHABLE]
        found += degraded(lasting(held.problems, now), unreachable)
    holder = held.holder if held is not None and is_led else None
    leader = None if holder is None else f"{holder.who} on {holder.host}, pid {holder.pid}"
    renewed = held.renewed_at if held is not None and leader is not None else None
    age = None if renewed is None else max(0.0, (now - renewed).total_seconds())
    return Report(now, items(found, listed, silences.in_force(db, now), now), len(facts), leader, age)


def line(found: Report) -> str:
    """A report in one line, with figures after `|` as monitoring plug-ins print them."""
    return f"OPSCONSOLE {found.status.name} - {_summary(found)} | {_figures(found)}"


def document(found: Report) -> dict[str, Any]:
    """A report as JSON."""
    return {
        "status": found.status.name.lower(),
        "exit_code": found.status,
        "at": utc(found.at),
        "summary": _summary(found),
        "leader": found.leader,
        "lease_age_seconds": None if found.lease_age_seconds is None else round(found.lease_age_seconds, 1),
        "jobs": found.jobs,
        "critical": found.count(Severity.CRITICAL),
        "warning": found.count(Severity.WARNING),
        "acknowledged": found.count_state(AlertState.ACKNOWLEDGED),
        "silenced": found.count_state(AlertState.SILENCED),
        "problems": [_item(item) for item in found.items],
    }


def _summary(found: Report) -> str:
    shown = [item for item in found.items if item.state is not AlertState.SILENCED]
    if not shown:
        return f"{count(found.jobs, 'job')} without problems"
    severities = [(found.count(severity), severity) for severity in sorted(Severity, reverse=True)]
    counts = ", ".join(f"{n:,} {severity.name.lower()}" for n, severity in severities if n)
    named = "; ".join(_named(item) for item in shown[:MAX_NAMED])
    more = f"; {len(shown) - MAX_NAMED:,} more" if len(shown) > MAX_NAMED else ""
    return f"{counts}: {named}{more}"


def _named(item: Item) -> str:
    # A monitoring system takes everything after a bar for figures.
    text = safe(f"{item.subject} {item.message}", MAX_MESSAGE).replace("|", "/")
    by = item.acknowledged
    return text if by is None else f"{text} (acknowledged by {safe(by.who, 40).replace('|', '/')})"


def _figures(found: Report) -> str:
    numbers: Iterable[tuple[str, int]] = (
        ("critical", found.count(Severity.CRITICAL)),
        ("warning", found.count(Severity.WARNING)),
        ("acknowledged", found.count_state(AlertState.ACKNOWLEDGED)),
        ("silenced", found.count_state(AlertState.SILENCED)),
        ("jobs", found.jobs),
    )
    return " ".join(f"{name}={number}" for name, number in numbers)


def _item(item: Item) -> dict[str, Any]:
    by = item.acknowledged
    return {
        "rule": item.rule,
        "subject": item.subject,
        "severity": item.severity.name.lower(),
        "message": item.message,
        "since": utc(item.since),
        "state": item.state,
        "alert": item.alert,
        "explained": item.is_explained,
        "acknowledged": None if by is None else {"by": by.who, "until": utc(by.until), "note": by.note},
    }


# --- the recorded states of jobs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StateSpan:
    """The first and the last record in a row of a job in one state."""

    job: str
    state: str
    first: datetime
    last: datetime


def checks(db: Connection, catalog: Catalog, since: datetime, job: str | None) -> list[HealthCheck]:
    """The recorded states of `since` and later, oldest first: of all jobs, or of one. Raises UnknownJob."""
    found = health_checks.since(db, since, limit=MAX_CHECKS)
    if job is None:
        return found
    names = {name for check in found for name in check.states}
    name = job if job in names else catalog.find(job).name
    return [HealthCheck(check.at, {name: check.states[name]}) for check in found if name in check.states]


def spans(found: Iterable[HealthCheck]) -> list[StateSpan]:
    """The states of each job over time. A gap in the records begins another span."""
    listed: list[StateSpan] = []
    current: dict[str, StateSpan] = {}
    for check in found:
        for job, state in check.states.items():
            span = current.get(job)
            if span is None or span.state != state or check.at - span.last > GAP:
                if span is not None:
                    listed.append(span)
                current[job] = StateSpan(job, state, check.at, check.at)
            else:
                current[job] = replace(span, last=check.at)
    return sorted([*listed, *current.values()], key=lambda span: (span.job, span.first))


def check_document(check: HealthCheck) -> dict[str, Any]:
    """Recorded states as JSON."""
    return {"at": utc(check.at), "states": dict(check.states)}
