"""The recorded states of all jobs, every five minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from opsconsole.core.database import Connection, inserting
from opsconsole.store.rows import Stored, read
from opsconsole.store.tables import health_checks


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The state of every job at a time. A state that this version does not have stays as it is."""

    at: datetime
    states: Mapping[str, str]


def last(db: Connection) -> datetime | None:
    """When the states were recorded last."""
    return db.execute(select(func.max(health_checks.c.at))).scalar()


def record(db: Connection, at: datetime, states: Mapping[str, str]) -> None:
    """Records the states of all jobs, once for each time."""
    adding = inserting(db, health_checks).values(at=at, states=dict(states))
    db.execute(adding.on_conflict_do_nothing())


def since(db: Connection, at: datetime, *, limit: int) -> list[HealthCheck]:
    """The newest records of `at` or later, oldest first."""
    query = select(health_checks).where(health_checks.c.at >= at).order_by(health_checks.c.at.desc()).limit(limit)
    return [HealthCheck(row.at, row.states) for row in reversed(read(db, query, health_checks, _Row))]


class _Row(Stored, frozen=True, kw_only=True):
    at: datetime
    states: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
