"""The retention over two months of schedules; `make chaos ARGS=year` has a year of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.year import year


@pytest.mark.soak
def test_the_size_of_the_store_hardly_grows_in_the_second_month(tmp_path: Path, redis_url: str) -> None:
    retention = "[retention]\nsuccesses = 31\nfailures = 31\nlogs = 5\nkeys = 3\nhealth = 5\noccurrences = 31\n"

    found = year(tmp_path, redis_url, days=60, users=5, queue_minutes=240, budget_seconds=1700, settings=retention)

    assert found.pruned > 0
    (_, _, first, _), *_, (_, _, last, _) = found.months
    assert last <= 1.25 * first, "\n".join(found.lines())
