"""The rows that prove an explanation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from opsconsole.authoring.occurrence import Registration
from opsconsole.authoring.run import Run
from opsconsole.rules.leadership import Lease


@dataclass(frozen=True, slots=True)
class Proof:
    """A row that proves an explanation: its table, its number (for a job its name) and its content."""

    table: str
    key: int | str
    content: Mapping[str, Any]


def proof_of_run(run: Run) -> Proof:
    content = {
        "job": run.job,
        "window": run.window.label,
        "trigger": run.trigger,
        "state": run.state,
        "attempt": run.attempt,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "error": run.error,
    }
    return Proof("ops_runs", run.id, content)


def proof_of_registration(found: Registration) -> Proof:
    """The row of a job, with its schedule and how far it is planned."""
    return Proof("ops_jobs", found.job, asdict(found))


def proof_of_lease(lease: Lease) -> Proof:
    holder = lease.holder
    content = {
        "token": lease.token,
        "who": holder.who if holder else None,
        "host": holder.host if holder else None,
        "pid": holder.pid if holder else None,
        "since": lease.since,
        "renewed_at": lease.renewed_at,
    }
    return Proof("ops_lease", 1, content)
