"""The totals of a run, added up from the results of its batches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opsconsole.authoring.batch import BatchResult
from opsconsole.authoring.run import RunState
from opsconsole.leader.run_totals import RunTotals
from opsconsole.store import Store, migrate
from tests.rules.ended_runs import JOB, NOW, day, ended


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def test_the_hit_rate_covers_all_batches(store: Store) -> None:
    totals = RunTotals(ended(7, day(1), state=RunState.RUNNING), JOB)

    with store.writing() as db:
        totals.add_result(
            db, 1, BatchResult(7, 1, 1, ok=4, metrics={"cache_hits": 3, "cache_misses": 1, "other": 5}), NOW
        )
        totals.add_result(db, 2, BatchResult(7, 2, 1, ok=4, metrics={"cache_hits": 4, "cache_misses": 1}), NOW)
        totals.add_result(db, 3, BatchResult(7, 3, 1, ok=4, metrics={"empty_hits": 0}), NOW)

    assert totals.metrics == {
        "cache_hits": 7,
        "cache_misses": 2,
        "cache_hit_rate": 0.7778,
        "other": 5,
        "empty_hits": 0,
    }
