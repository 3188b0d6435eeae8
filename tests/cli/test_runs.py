"""`runs`, and the failed items of `show`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from opsconsole.authoring.run import RunState
from tests.cli.conftest import RunCli
from tests.cli.seeds import NOON, ran
from tests.installation import Installation

JOB = "counting.count"


@pytest.fixture
def three_days(installation: Installation) -> list[int]:
    """Three runs by asha: one fails, one is partial, one succeeds."""
    states = [RunState.FAILED, RunState.PARTIAL, RunState.SUCCEEDED]
    return [
        ran(
            installation,
            JOB,
            NOON + timedelta(days=day),
            state,
            ok=["asha"],
            failed=["ben"] if state is not RunState.SUCCEEDED else [],
            label=f"2026-01-{19 + day}",
            scheduled=False,
        )
        for day, state in enumerate(states)
    ]


@pytest.mark.parametrize(
    ("arguments", "which"),
    [
        ((), [2, 1, 0]),
        (("count", "20", "jan", "2026"), [1]),
        (("2026-01-20..2026-01-21",), [2, 1]),
        (("count failed",), [0]),
        (("--state", "partial", "--job", JOB), [1]),
        (("partial", "--state", "failed"), []),
        (("--trigger", "hand", "-n", "2"), [2, 1]),
        (("--by", "nobody"), []),
        (("--since", "2026-01-20", "--until", "2026-01-21"), [1]),
    ],
)
def test_runs_are_listed_by_filter_and_options(
    cli: RunCli, three_days: list[int], arguments: tuple[str, ...], which: list[int]
) -> None:
    assert [run["id"] for run in cli("runs", *arguments, "--json").json] == [three_days[n] for n in which]


def test_a_list_without_runs_names_what_to_do(cli: RunCli) -> None:
    assert cli("runs").out == "no runs yet; start one with `opsconsole run JOB --wait`\n"
    assert cli("runs", "failed").out == "no runs match\n"


def test_a_filter_that_is_not_understood_is_refused(cli: RunCli) -> None:
    result = cli("runs", "count", "31", "feb")
    assert result.code == 2
    assert "there is no date '31 feb'" in result.err


def test_every_failed_item_of_a_run_is_listed(cli: RunCli, three_days: list[int]) -> None:
    failed = cli("show", str(three_days[1]), "--failed")
    assert [line.split() for line in failed.out.splitlines()] == [["ITEM", "BATCH", "KIND", "MESSAGE"], ["ben", "1"]]
    assert cli("show", str(three_days[1]), "--failed", "--json").json == [
        {"item": "ben", "batch": 1, "kind": None, "message": None}
    ]
    assert cli("show", str(three_days[2]), "--failed").out == "no item failed\n"
    assert cli("show", "999", "--failed").code != 0
