"""How much a leader reads and writes while it waits for the next scheduled time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from opsconsole.core.database import Database
from opsconsole.core.problems import Work
from opsconsole.leader import polling
from opsconsole.leader.engine import Engine
from tests.conftest import Installing
from tests.installation import Installation
from tests.waiting import eventually

TRANSACTION = ("BEGIN", "BEGIN IMMEDIATE")


@pytest.fixture
def place(installing: Installing, redis_url: str) -> Installation:
    """An installation whose jobs run once a day."""
    return installing(database_url=None, redis_url=redis_url, packs="jobs.reporting")


@contextmanager
def counted(*databases: Database) -> Iterator[Counter[str]]:
    """The statements of the block, and how often each was executed."""
    found: Counter[str] = Counter()

    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement not in TRANSACTION:
            found[statement] += 1

    for database in databases:
        event.listen(database.engine, "before_cursor_execute", record)
    try:
        yield found
    finally:
        for database in databases:
            event.remove(database.engine, "before_cursor_execute", record)


def has_judged(engine: Engine) -> bool:
    """Whether the alerts were judged: the last of what begins with a leadership."""
    return any(status.work is Work.ALERTS and status.succeeded_seconds is not None for status in engine.status())


@pytest.mark.parametrize(
    ("seconds", "interval", "most"), [(1.0, 0.005, 30), pytest.param(60.0, None, 90, marks=pytest.mark.soak)]
)
def test_a_leader_that_waits_hardly_uses_its_store(
    place: Installation, seconds: float, interval: float | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if interval is not None:  # a leader that polls each time would execute hundreds of statements
        monkeypatch.setattr(polling, "POLL_SECONDS", interval)
        monkeypatch.setattr(polling, "IDLE_SECONDS", interval)
    with place.leading() as engine:
        eventually(lambda: has_judged(engine), "the leader has nothing left to do")
        with counted(place.store) as found:
            time.sleep(seconds)

    assert found.total() <= most, found.most_common()
