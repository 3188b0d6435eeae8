"""The short campaign: real processes are killed and paused, and nothing is doubled or lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.embedded.redis import EmbeddedRedis
from tests.faults.campaign import Plan, campaign
from tests.faults.short import SEED, databases, mostly_on_sqlite, show

SMALL, LARGE = (12, 4, 2), (60, 20, 4)
"""Kills, pauses and clusters."""


@mostly_on_sqlite
@pytest.mark.parametrize("size", [SMALL, pytest.param(LARGE, marks=pytest.mark.soak)], ids=["small", "large"])
def test_no_kill_and_no_pause_loses_or_doubles_anything(
    size: tuple[int, int, int],
    database: str,
    request: pytest.FixtureRequest,
    own_redis: EmbeddedRedis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kills, pauses, clusters = size
    plan = Plan(kills, pauses, database, SEED, clusters=clusters)

    report = campaign(plan, tmp_path, databases(request, database), own_redis)

    show(capsys, report.lines())
    assert report.account.violations == []
    assert report.actions["kills"] >= kills
    assert report.actions["pauses"] >= pauses
    assert size is SMALL or report.actions["pauses with a takeover"] > 0
