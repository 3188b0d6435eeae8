"""Whether this process is alive, and whether it is ready: proven by what its threads have done."""

from __future__ import annotations

from typing import Any

from opsconsole.authoring.extensions import Reply
from opsconsole.core.errors import NAMES, OpsconsoleError, StoreLocked, Unavailable
from opsconsole.core.humanize import words
from opsconsole.core.problems import Fault, Problem, Status
from opsconsole.core.supervision import describe, log_failure
from opsconsole.core.text import safe
from opsconsole.http.alerts import firing
from opsconsole.rules import finding_text
from opsconsole.rules.findings import Severity
from opsconsole.rules.system_health import degraded
from opsconsole.service.service import Service


def liveness(service: Service) -> Reply:
    """Whether the threads of this process are getting on; 503 when only a restart helps. Reads no database."""
    stuck = [status.work for status in service.status() if _is_stuck(status)]
    if not stuck:
        return Reply({"success": True})
    return Reply.error(503, "stuck", f"{words(', '.join(stuck))}: no progress; restart this process")


def readiness(service: Service, *, verbose: bool) -> Reply:
    """Whether this process is leading or following a leader, and reaches the store and Redis; 503 when it does not.

    Everything is proven now; `alerts` counts those that fire. With `verbose`, the reply has the proof: the age of the
    lease, and how long ago each part of this process last succeeded.
    """
    problems: list[str] = []
    document: dict[str, Any] = {"state": "waiting", "store": "ok", "redis": "ok"}
    lease_age: float | None = None
    found: list[Problem] = []
    try:
        service.queries.require_writable()
    except Exception as error:  # noqa: BLE001 - any failure is reported in the response
        problems.append(_sentence(error))
        document["store"] = _state_of(error)
    try:
        leader = service.queries.leader()
    except Exception as error:  # noqa: BLE001 - any failure is reported in the response
        if document["store"] == "ok":
            problems.append(_sentence(error))
            document["store"] = _state_of(error)
    else:
        if leader is not None:
            document["state"] = "leading" if leader.is_me else "following"
            lease_age = leader.age_seconds
            found += () if leader.is_me else leader.problems
        document |= _alerts(service)
    try:
        service.cache.statistics()
    except Exception as error:  # noqa: BLE001 - any failure is reported in the response
        problems.append(_sentence(error))
        document["redis"] = _state_of(error)
    statuses = service.status()
    found += [status.problem for status in statuses if status.problem is not None]
    unreachable = [NAMES[name] for name in ("store", "redis") if document[name] != "ok"]
    findings = degraded(found, unreachable)
    problems += [
        f"{finding_text.subject(each)} {finding_text.degraded(each)}"
        for each in findings
        if each.severity is Severity.CRITICAL
    ]
    if not problems and document["state"] == "waiting":
        problems.append("no process is leading yet")
    if findings:
        document["degraded"] = {each.subject: finding_text.degraded(each) for each in findings}
    if verbose:
        document["lease_age_seconds"] = _rounded(lease_age)
        document["loops"] = {
            status.work: {"ok": status.problem is None, "seconds_since_success": _rounded(status.succeeded_seconds)}
            for status in statuses
        }
    if not problems:
        return Reply({"success": True, **document})
    return Reply({**Reply.error(503, "not_ready", safe("; ".join(problems))).body, **document}, 503)


def _alerts(service: Service) -> dict[str, Any]:
    """The number of alerts that fire, by severity; nothing while they cannot be read, which the leader reports."""
    try:
        return {"alerts": firing(service)}
    except Exception as error:  # noqa: BLE001 - alerts say nothing about whether this process is ready
        log_failure("reading the alerts", error)
        return {}


def _is_stuck(status: Status) -> bool:
    return status.problem is not None and status.problem.fault in (Fault.STALLED, Fault.ENDED)


def _state_of(error: Exception) -> str:
    if isinstance(error, StoreLocked):
        return "locked"
    return "unreachable" if isinstance(error, Unavailable) else "unknown"


def _sentence(error: Exception) -> str:
    return error.sentence if isinstance(error, OpsconsoleError) else describe(error)[0]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
