"""Where the data of a job begins, as code of its pack finds it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Select, insert, literal, select

from jobs.attempts.tables import attempts
from opsconsole import Job
from opsconsole.core.errors import Unavailable
from opsconsole.rules.backfill import WindowState
from opsconsole.service import oldest_data
from opsconsole.service.oldest_data import OldestData
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting

NOW = datetime(2026, 1, 19, 18, 20, tzinfo=UTC)
JOB = Job("books.close", counting.names, counting.do_nothing, cron="0 23 * * *")


@pytest.fixture
def place(installing: Installing, tmp_path: Path) -> Installation:
    url = f"sqlite:///{tmp_path / 'ops.db'}"
    return installing(database_url=url, redis_url="unix:///nowhere/redis.sock", packs="jobs.attempts")


def reader(place: Installation) -> OldestData:
    resources = SimpleNamespace(data=place.data)
    return OldestData(cast("Any", SimpleNamespace(resources=resources, now=lambda: NOW)))


def test_windows_before_the_first_attempt_are_blank(place: Installation) -> None:
    today = place.service.now().date()
    solved = datetime.combine(today - timedelta(days=10), datetime.min.time(), UTC)

    def states() -> dict[date, WindowState]:
        found = place.service.backfills.windows("attempts.update_performance", today - timedelta(days=20), today)
        return {date.fromisoformat(each.window.label): each.state for each in found}

    assert set(states().values()) <= {WindowState.NO_DATA, WindowState.NOT_DUE, WindowState.MISSING}
    assert states()[today - timedelta(days=15)] is WindowState.NO_DATA
    with place.data.writing() as db:
        values = {"id": "a1", "user_id": "asha", "question_id": "q1", "status": "correct", "solved_at": solved}
        db.execute(insert(attempts).values(values))
    assert states()[today - timedelta(days=5)] is WindowState.NO_DATA, "it is read at most every ten minutes"
    number = place.service.backfills.plan(
        ["attempts.update_performance"], today - timedelta(days=20), today - timedelta(days=2)
    )
    assert len([step for step in place.service.backfills.steps(number) if step.step.runs]) in (8, 9)
    assert states()[today - timedelta(days=15)] is WindowState.NO_DATA
    assert states()[today - timedelta(days=5)] is WindowState.MISSING


def test_a_job_that_does_not_say_it_has_no_blank_window(place: Installation) -> None:
    assert reader(place).begins(JOB) is None


def test_what_a_pack_does_wrong_leaves_windows_missing(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oldest_data, "READ_SECONDS", 0.05)
    over = threading.Event()

    def hangs() -> Any:
        over.wait()

    def raises() -> Any:
        raise SystemExit

    def wrong() -> Select[Any]:
        return select(literal("long ago"))

    for oldest in (hangs, raises, wrong):
        assert reader(place).begins(replace(JOB, oldest=oldest)) is None
    over.set()


def test_an_unreachable_database_is_reported(place: Installation) -> None:
    def broken() -> Select[Any]:
        return select(literal(1)).select_from(attempts.alias("x")).where(literal(1) == attempts.c.missing)

    def no_table() -> Select[Any]:
        return select(attempts.c.solved_at.label("x")).select_from(attempts).where(attempts.c.id == literal(1)).limit(1)

    assert reader(place).begins(replace(JOB, oldest=broken)) is None
    with place.data.writing() as db:
        attempts.drop(db)
    with pytest.raises(Unavailable):
        reader(place).begins(replace(JOB, oldest=no_table))
