"""Commands that read, on an installation in which nothing has happened yet."""

from __future__ import annotations

import json

import pytest

from opsconsole.core.errors import Exit
from tests.cli.conftest import NO_REDIS, RunCli, command_at
from tests.cli.test_exit_codes import ARGUMENTS
from tests.installation import Installation

FOLLOWING = {"tail", "headless"}
"""Commands that run until they are stopped."""
PRINTING = {"alerts handover", "alerts report"}
"""Commands that print a document."""
READING = [
    name
    for name in sorted(ARGUMENTS)
    if name not in FOLLOWING | PRINTING and Exit.NOT_ALLOWED not in command_at(name.split()).exit_codes
]


def test_json_is_valid_when_there_is_nothing_to_show(cli: RunCli, installation: Installation) -> None:
    assert NO_REDIS in installation.environ["REDIS_URL"]
    for name in READING:
        result = cli(*name.split(), *ARGUMENTS[name], "--json")

        if result.out:
            json.loads(result.out)
        else:
            assert (result.code, result.err.count("\n")) == (1, 1) or result.code == 2, (name, result)


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}], ids=str)
def test_output_has_no_colours(cli: RunCli, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    for command in ("jobs", "health", "lint", "--help"):
        result = cli(*command.split())
        assert "\x1b" not in result.out + result.err, command
