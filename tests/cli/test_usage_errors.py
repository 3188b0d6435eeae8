"""Errors in what was typed."""

from __future__ import annotations

import pytest

from tests.cli.conftest import RunCli

LINES = ["[count] 3 items in 1 batches", "[count] \x1b[2Jwiped", "[count] succeeded"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pause",), "Missing argument 'JOB|PACK|all'. See `"),
        (("why", "clockwork.hourly"), "Missing option '--at'. See `"),
        (("cancel", "soon"), "'soon' is not a valid integer. See `"),
        (("nonsense",), "No such command 'nonsense'. See `"),
        (("pause", "clockwork.hourly", "--for", "2h", "--for", "3h"), "--for is given 2 times; give it once. See `"),
        (("--config", "a.toml", "--config", "b.toml", "jobs"), "--config is given 2 times; give it once. See `"),
        (("run", "clockwork.hourly", "--date", "2026-01-01", "--date=2026-01-02"), "--date is given 2 times"),
    ],
)
def test_a_usage_error_is_one_line(cli: RunCli, arguments: tuple[str, ...], message: str) -> None:
    result = cli(*arguments)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("opsconsole: ")
    assert message in result.err
    assert result.err.count("\n") == 1
