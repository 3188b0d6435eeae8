"""A process killed while generating exams loses no request and pays for no part twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.exams.crashes import SETTINGS, campaign
from tests.soak import full, small


@pytest.mark.parametrize(("users", "kills"), [small(1, 1), full(4, 6)])
def test_crashes_generate_no_exam_and_pay_no_part_twice(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, users: int, kills: int
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)

    with campaign(tmp_path, f"sqlite:///{tmp_path / 'ops.db'}", redis_url, user_count=users, seed=7) as running:
        while running.kills < kills and running.run_and_kill(running.rng.randint(1, 5)):
            pass
        running.finish()

        summary = running.check(users)

    assert summary.startswith(f"{kills} kills: {2 * users} exams of {12 * users} parts, each once and complete")
