"""Scheduled instants: what became of each."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import insert, select, update

from opsconsole.authoring.occurrence import Occurrence, OccurrenceState
from opsconsole.core.database import Connection
from opsconsole.store.tables import occurrences


def record(db: Connection, occurrence: Occurrence, *, token: int, at: datetime) -> int:
    """Writes what became of an instant, or of a stretch of them, and returns its number."""
    values = {
        "job": occurrence.job,
        "due_at": occurrence.due_at,
        "last_due_at": occurrence.last_due_at,
        "instants": occurrence.instants,
        "state": occurrence.state,
        "reason": occurrence.reason,
        "blocked_by": occurrence.blocked_by,
        "spec": occurrence.spec,
        "token": token,
        "recorded_at": at,
    }
    made: int = db.execute(insert(occurrences).values(values).returning(occurrences.c.id)).scalar_one()
    return made


def record_start(db: Connection, number: int, at: datetime, *, on_time: timedelta) -> None:
    """The run of a due instant has begun, or has ended before it could: the instant ran, late or not."""
    mine = (occurrences.c.id == number) & (occurrences.c.state == OccurrenceState.DUE)
    due = db.execute(select(occurrences.c.due_at).where(mine)).scalar()
    if due is not None:
        state = OccurrenceState.LATE if at - due > on_time else OccurrenceState.RAN
        db.execute(update(occurrences).where(mine).values(state=state, started_at=at))
