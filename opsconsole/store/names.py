"""Names and numbers for the completion of shells: jobs, runs, alerts and backfills.

Imports little: a person waits for it with each key.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from opsconsole.core.database import Connection
from opsconsole.store.tables import alerts, backfills, jobs, runs


@dataclass(frozen=True, slots=True)
class Numbered:
    """The number of a row, with a text that identifies it for people."""

    number: int
    about: tuple[str, ...]


def job_names(db: Connection) -> list[str]:
    """The jobs that packs define, by name."""
    return list(db.execute(select(jobs.c.job).where(jobs.c.removed_at.is_(None)).order_by(jobs.c.job)).scalars())


def newest_runs(db: Connection, limit: int, states: Collection[str] | None = None) -> list[Numbered]:
    """The newest runs in these states, with job, window and state."""
    query = select(runs.c.id, runs.c.job, runs.c.window_label, runs.c.state).order_by(runs.c.id.desc()).limit(limit)
    if states is not None:
        query = query.where(runs.c.state.in_(states))
    return [Numbered(row.id, (row.job, row.window_label, row.state)) for row in db.execute(query)]


def open_alerts(db: Connection, limit: int) -> list[Numbered]:
    """The newest alerts that are not resolved, with rule and subject."""
    query = select(alerts.c.id, alerts.c.rule, alerts.c.subject).where(alerts.c.resolved_at.is_(None))
    newest = query.order_by(alerts.c.id.desc()).limit(limit)
    return [Numbered(row.id, (row.rule, row.subject)) for row in db.execute(newest)]


def newest_backfills(db: Connection, limit: int, states: Collection[str] | None = None) -> list[Numbered]:
    """The newest backfills in these states, plans included, with first and last date and state."""
    query = select(backfills.c.id, backfills.c.since, backfills.c.until, backfills.c.state)
    query = query.order_by(backfills.c.id.desc()).limit(limit)
    if states is not None:
        query = query.where(backfills.c.state.in_(states))
    return [Numbered(row.id, (row.since, "to", row.until, row.state)) for row in db.execute(query)]
