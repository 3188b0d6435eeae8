"""The retention over months of schedules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.year import year


@pytest.mark.soak
def test_the_size_of_the_store_levels_off(tmp_path: Path, redis_url: str) -> None:
    retention = "[retention]\nsuccesses = 31\nfailures = 31\nlogs = 5\nkeys = 3\nhealth = 5\noccurrences = 31\n"

    found = year(tmp_path, redis_url, days=180, users=10, queue_minutes=60, budget_seconds=1200, settings=retention)

    assert found.levels_off, "\n".join(found.lines())
    assert found.pruned > 0
