"""The short campaign: real processes are killed and paused, and nothing is doubled, lost or forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.embedded.redis import EmbeddedRedis
from tests.faults.campaign import Plan, campaign
from tests.faults.short import SEED, databases, on_both, tell

KILLS, PAUSES, CLUSTERS = 60, 20, 4
LONGEST_SECONDS = 60.0


@on_both
def test_whoever_is_killed_or_paused_nothing_is_lost_and_nothing_doubled(
    database: str,
    request: pytest.FixtureRequest,
    own_redis: EmbeddedRedis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = Plan(KILLS, PAUSES, database, SEED, clusters=CLUSTERS)

    report = campaign(plan, tmp_path, databases(request, database), own_redis)

    tell(capsys, report.lines())
    assert report.account.violations == []
    assert report.deeds["kills"] >= KILLS
    assert report.deeds["pauses"] >= PAUSES
    assert report.deeds["pauses with a takeover"] > 0
    assert report.seconds < LONGEST_SECONDS
