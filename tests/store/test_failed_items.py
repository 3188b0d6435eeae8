"""Every item that failed in a run, in pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsconsole.authoring.batch import BatchResult, BatchState, Failure
from opsconsole.authoring.run import Trigger
from opsconsole.calendar.windows import Window
from opsconsole.store import Store, failed_items, migrate, runs
from opsconsole.store.batches import Row
from opsconsole.store.failed_items import FailedItem, Place
from tests import run_records, templates
from tests.rules.ended_runs import JOB

AT = datetime(2026, 1, 19, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(templates.copy_sqlite(tmp_path / "database.db"))
    migrate.upgrade(made)
    yield made
    made.close()


def a_run(store: Store, outcome: dict[int, dict[str, bool]]) -> int:
    """A run of these batches, whose items succeeded or not; the first failure has a message."""
    with store.writing() as db:
        window = Window(AT, AT, "now")
        run = runs.create(db, JOB, window, as_of=AT, trigger=Trigger.HAND, requested_by="asha", at=AT)
        run_records.add_batches(db, run, [Row(seq, list(items)) for seq, items in outcome.items()])
        for seq, items in outcome.items():
            failed = [item for item, ok in items.items() if not ok]
            result = BatchResult(run, seq, 1, ok=len(items) - len(failed), failed=failed)
            run_records.close_batch(db, result, BatchState.DONE if result.ok else BatchState.FAILED, None)
            run_records.add_failures(db, run, seq, [Failure(item, "key_error", f"{item} broke") for item in failed[:1]])
    return run


def all_of(store: Store, run: int, limit: int) -> list[FailedItem]:
    found, place = list[FailedItem](), None
    while True:
        with store.reading() as db:
            page = failed_items.page(db, run, after=place, limit=limit)
        assert len(page.items) <= limit
        found += page.items
        place = page.next
        if place is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_have_every_item_that_failed(store: Store, limit: int) -> None:
    run = a_run(
        store,
        {
            1: {"asha": True, "ben": False},
            2: {"chen": True},
            3: {"dev": False, "eva": False, "finn": False},
            **{number: {f"u{number}": False} for number in range(4, 60)},
        },
    )
    found = all_of(store, run, limit)

    assert [each.item for each in found[:5]] == ["ben", "dev", "eva", "finn", "u4"]
    assert len(found) == 4 + 56
    assert found[1] == FailedItem("dev", 3, "key_error", "dev broke")
    assert found[2] == FailedItem("eva", 3, None, None), "only the first failures have a message"


def test_a_run_without_failures_has_an_empty_page(store: Store) -> None:
    run = a_run(store, {1: {"asha": True}})
    with store.reading() as db:
        assert failed_items.page(db, run, after=None, limit=5) == failed_items.FailedItems((), None)
        assert failed_items.page(db, run, after=Place(9, 0), limit=5).items == ()
