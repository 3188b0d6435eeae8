"""What all packs share."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import create_engine, insert, select

from jobs.common import insert_rows, users


def test_both_times_of_a_repeated_hour_are_stored_as_they_are() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    times = {"asha": first, "ben": first.replace(fold=1), "chen": first}
    rows = [
        {"id": user, "name": user, "active": True, "stream": None, "grade": None, "created_at": at}
        for user, at in times.items()
    ]
    engine = create_engine("sqlite://")

    with engine.begin() as db:
        users.create(db)
        insert_rows(db, insert(users), users, rows)
        stored = db.execute(select(users.c.id, users.c.created_at)).all()

    assert dict(map(tuple, stored)) == {user: at.astimezone(UTC) for user, at in times.items()}
    engine.dispose()
