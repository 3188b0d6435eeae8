"""Two processes that start in the same instant."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.embedded.redis import EmbeddedRedis
from tests.faults.double_start import start_twice
from tests.faults.short import SEED, databases, mostly_on_sqlite, show


@mostly_on_sqlite
@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_of_two_that_start_at_once_one_leads(
    times: int,
    database: str,
    request: pytest.FixtureRequest,
    own_redis: EmbeddedRedis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    twice = start_twice(times, database, SEED, tmp_path, databases(request, database), own_redis)

    show(capsys, twice.lines())
    assert twice.violations == []
    assert twice.actions["double starts"] == times
