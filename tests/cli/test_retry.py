"""`retry` of one run and of all matching runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from opsconsole.authoring.run import RunState
from opsconsole.core import clock
from tests.cli.conftest import RunCli
from tests.cli.seeds import HOUR, NOON, ran
from tests.installation import Installation, is_at_work
from tests.packs import counting
from tests.waiting import eventually

DAY = timedelta(days=1)
MATCHING = ("retry", "--job", "counting.count", "--state", "failed")


@pytest.fixture
def failed(installation: Installation) -> list[int]:
    """Three days on which the same two users failed; the last run is partial."""
    counting.put(installation.data, {"asha": "fine", "ben": "fine", "chen": "fine"})
    return [
        ran(
            installation,
            "counting.count",
            NOON + day * DAY,
            state,
            failed=("asha", "ben"),
            ok=ok,
            label=f"2026-01-{19 + day}",
            scheduled=False,
        )
        for day, state, ok in ((0, RunState.FAILED, ()), (1, RunState.FAILED, ()), (2, RunState.PARTIAL, ("chen",)))
    ]


def test_a_dry_run_lists_what_it_would_retry(cli: RunCli, installation: Installation, failed: list[int]) -> None:
    result = cli(*MATCHING, "--dry-run")
    facts = cli(*MATCHING, "--all", "--dry-run", "--json").json

    assert result.code == 0
    assert [line.split()[:5] for line in result.out.splitlines()[1:3]] == [
        [str(failed[0]), "counting.count", "2026-01-19", "failed", "2"],
        [str(failed[1]), "counting.count", "2026-01-20", "failed", "2"],
    ]
    assert result.out.endswith("would retry 4 items of 2 runs\n")
    assert ([run["id"] for run in facts["runs"]], facts["items"]) == (failed[:2], 4)
    assert installation.service.audit.newest(limit=1) == []


@pytest.mark.parametrize(
    ("arguments", "which"),
    [
        (("--since", "2026-01-20"), (1, 2)),
        (("--until", "2026-01-20T12:00:00Z"), (0,)),
        (("--since", "2026-01-20", "--until", "2026-01-21"), (1,)),
        (("--state", "failed", "--state", "partial"), (0, 1, 2)),
        (("--job", "counting.gross"), ()),
    ],
)
def test_runs_are_selected_by_filter(
    cli: RunCli, failed: list[int], arguments: tuple[str, ...], which: tuple[int, ...]
) -> None:
    result = cli("retry", *arguments, "--dry-run", "--json").json

    assert [run["id"] for run in result["runs"]] == [failed[n] for n in which]


def test_all_matching_runs_are_retried_and_followed(cli: RunCli, installation: Installation, failed: list[int]) -> None:
    result = cli("retry", "--job", "counting.count", "--since", "2026-01-01", "--yes", "--wait")

    assert result.code == 0
    assert result.out.splitlines()[-1] == "3 of 3 runs succeeded: 6 ok, 0 failed"
    assert {window for window, _ in counting.marks(installation.data)} == {"2026-01-19", "2026-01-20", "2026-01-21"}
    again = cli(*MATCHING, "--dry-run", "--json").json
    assert again["runs"] == [], "what was retried is not retried again"
    requests = [row.after for row in installation.service.audit.newest(limit=20) if row.outcome == "requested"]
    assert [each["matching"] for each in requests if each] == [{"job": "counting.count", "since": "2026-01-01"}]


def test_the_exit_code_is_that_of_the_worst_run(cli: RunCli, installation: Installation, failed: list[int]) -> None:
    counting.change(installation.data, "ben", "fails")

    result = cli(*MATCHING, "--yes", "--wait", "--json")

    assert result.code == 3
    assert [run["state"] for run in result.json["runs"]] == ["partial", "partial"]


def test_confirmation_names_the_numbers(cli: RunCli, installation: Installation, failed: list[int]) -> None:
    result = cli(*MATCHING, answers="n")

    assert (result.code, result.out) == (1, "")
    assert "Retry 4 items of 2 runs?" in result.err
    assert installation.service.audit.newest(limit=1) == []


def test_without_a_terminal_yes_is_required(cli: RunCli, installation: Installation, failed: list[int]) -> None:
    result = cli(*MATCHING)

    assert result.code == 2
    assert "Retry 4 items of 2 runs? Confirm with --yes" in result.err
    assert installation.service.audit.newest(limit=1) == []


def test_without_wait_another_leader_queues_the_retries(
    cli: RunCli, installation: Installation, failed: list[int]
) -> None:
    waiting = cli(*MATCHING, "--yes")
    assert waiting.code == 0
    assert "no process is leading" in waiting.err

    with installation.leading() as engine:
        eventually(lambda: is_at_work(engine), "the engine leads")
        result = cli("retry", "--state", "partial", "--yes", "--json")

    assert result.code == 0
    assert [run["window"] for run in result.json["runs"]] == ["2026-01-21"]


def test_a_filter_without_matches_is_refused(cli: RunCli) -> None:
    result = cli(*MATCHING, "--yes", "--wait")

    assert (result.code, result.err) == (4, "opsconsole: no matching run has anything to retry\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either a run number, or"),
        (("4", "--state", "failed"), "give either a run number, or"),
        (
            ("--state", "succeeded"),
            "'succeeded' is not one of 'partial', 'failed', 'timed_out', 'cancelled', 'abandoned'",
        ),
        (("--since", "soon"), "'soon' is not a time"),
    ],
)
def test_invalid_input_is_refused(cli: RunCli, arguments: tuple[str, ...], message: str) -> None:
    result = cli("retry", *arguments)

    assert result.code == 2
    assert message in result.err


def test_one_run_is_retried(cli: RunCli, failed: list[int]) -> None:
    assert cli("retry", str(failed[0]), "--dry-run").out == f"would retry 2 items of run {failed[0]}\n"
    result = cli("retry", str(failed[0]), "--wait", "--json")
    assert (result.code, result.json["state"], result.json["ok"]) == (0, "succeeded", 2)


def test_since_accepts_a_duration(cli: RunCli, installation: Installation, failed: list[int]) -> None:
    recent = ran(installation, "counting.count", clock.now() - HOUR, RunState.FAILED, failed=("asha",), scheduled=False)

    result = cli("retry", "--since", "2h", "--dry-run", "--json").json

    assert [run["id"] for run in result["runs"]] == [recent]


def test_a_filter_selects_the_runs_to_retry(cli: RunCli, installation: Installation, failed: list[int]) -> None:
    listed = cli("retry", "counting", "failed", "--dry-run", "--json").json
    made = cli("retry", "counting", "failed", "--yes", "--wait", "--json").json

    assert [each["id"] for each in listed["runs"]] == failed[:2]
    assert len(made["runs"]) == 2
    assert cli("retry", "counting", "failed", "--yes").code == 4
