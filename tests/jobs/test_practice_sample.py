"""Sample data of practice: the same for the same number of users, for any division into periods."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from jobs.attempts.tables import questions
from jobs.common import metadata, users
from jobs.practice.queries import parse_config
from jobs.practice.sample import SESSION_SIZE, add_practice
from jobs.practice.tables import practice_sessions, session_configs
from opsconsole.core.database import Database

MIDNIGHT = datetime(2026, 3, 8, 18, 30, tzinfo=UTC)  # the start of the 9th in Kolkata
DAY = timedelta(days=1)


def database(url: str) -> Database:
    data = Database(url)
    metadata.create_all(data.engine)
    rows = [{"id": f"q-{n:03}", "subject_id": f"s{n % 3}", "topic_id": f"t{n % 9}"} for n in range(90)]
    with data.writing() as db:
        db.execute(insert(questions), rows)
    return data


@pytest.fixture
def data(database_url: str) -> Iterator[Database]:
    made = database(database_url)
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Database]:
    made = database(f"sqlite:///{tmp_path / 'other.db'}")
    yield made
    made.close()


def everything(data: Database) -> list[list[Any]]:
    with data.reading() as db:
        return [
            [tuple(row) for row in db.execute(select(table).order_by(*table.primary_key))]
            for table in (users, session_configs, practice_sessions)
        ]


def test_consecutive_periods_add_up_and_rows_are_not_duplicated(data: Database, other: Database) -> None:
    add_practice(data, 60, MIDNIGHT, MIDNIGHT + 3 * DAY)

    for start, end in ((2, 3), (0, 1.4), (1.4, 2), (1, 2)):
        add_practice(other, 60, MIDNIGHT + start * DAY, MIDNIGHT + end * DAY)

    assert everything(other) == everything(data)
    add_practice(data, 60, MIDNIGHT, MIDNIGHT + 3 * DAY)
    assert everything(other) == everything(data)


def test_some_users_practise_each_day_and_configs_are_valid(data: Database) -> None:
    add_practice(data, 200, MIDNIGHT, MIDNIGHT + 4 * DAY)

    with data.reading() as db:
        count, users = db.execute(
            select(func.count(), func.count(practice_sessions.c.user_id.distinct())).select_from(practice_sessions)
        ).one()
        sessions = db.execute(select(practice_sessions.c.questions)).scalars().all()
        configs = db.execute(select(session_configs.c.config)).scalars().all()
    assert 100 < count < 300
    assert users > 80
    assert all(len(set(each)) == SESSION_SIZE for each in sessions)
    assert len(configs) == 13
    assert all(parse_config(json.dumps(config)) for config in configs)


def test_no_users_or_an_empty_period_write_nothing(data: Database) -> None:
    add_practice(data, 0, MIDNIGHT, MIDNIGHT + DAY)
    add_practice(data, 10, MIDNIGHT, MIDNIGHT)

    assert everything(data) == [[], [], []]
