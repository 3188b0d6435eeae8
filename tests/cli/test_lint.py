"""`lint`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import RunCli

LINES = ["[count] 3 items in 1 batches", "[count] \x1b[2Jwiped", "[count] succeeded"]


def test_lint_exits_with_1_when_there_are_warnings(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    result, facts = cli("lint"), cli("lint", "--json")

    assert result.code == facts.code == 1
    assert "counting.count: '30 0 29 2 *' fires only on 29 February" in result.out
    assert {"job", "rule", "message", "at"} == set(facts.json[0])
    monkeypatch.setenv("OPSCONSOLE_JOBS__PACKS", "jobs.attempts")
    assert cli("lint").code == 0
