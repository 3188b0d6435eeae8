"""Killed in the middle of whatever it is at, the process that makes exams loses nothing and pays for nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.exams.kills import SETTINGS, campaign

PEOPLE, KILLS = 2, 2


def test_a_process_that_is_killed_makes_no_exam_twice_and_pays_for_no_part_twice(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)

    with campaign(tmp_path, f"sqlite:///{tmp_path / 'ops.db'}", redis_url, people=PEOPLE, seed=7) as it:
        while it.kills < KILLS and it.run_and_kill(it.dice.randint(1, 5)):
            pass
        it.finish()

        told = it.check(PEOPLE)

    assert told.startswith("2 kills: 4 exams of 24 parts, each once and whole")
