"""Parameters on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import NO_REDIS, RunCli
from tests.conftest import Installing
from tests.installation import Installation


@pytest.fixture
def installation(installing: Installing, tmp_path: Path) -> Installation:
    """A job with parameters."""
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=NO_REDIS,
        packs="tests.packs.dials",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


def test_a_run_has_the_parameters_that_were_given(cli: RunCli) -> None:
    made = cli("run", "dials.read", "--param", "limit=3", "--param", "mode=strict", "--wait", "--json")
    shown = cli("show", str(made.json["id"]), "--json")

    assert (made.code, made.json["failed"]) == (1, 3)
    assert shown.json["params"] == {"limit": 3, "mode": "strict"}
    assert "parameters: limit=3, mode=strict" in cli("show", str(made.json["id"])).out
    (job,) = cli("jobs", "--json").json
    assert job["params"][0]["help"] == "how many dials are read"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("limit=ten",), "the parameter limit of dials.read must be a whole number (1 or more, 5 or less), not 'ten'"),
        (("limit",), "a parameter is written as NAME=VALUE, not 'limit'"),
        (("limit=1", "limit=2"), "the parameter limit is given twice; give it once"),
        (("=1",), "a parameter is written as NAME=VALUE, not '=1'"),
    ],
)
def test_a_bad_parameter_is_a_usage_error(cli: RunCli, given: tuple[str, ...], message: str) -> None:
    found = cli("run", "dials.read", *(part for each in given for part in ("--param", each)), "--dry-run")

    assert (found.code, found.err) == (2, f"opsconsole: {message}\n")
