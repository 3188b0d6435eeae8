"""Retries of one run and of all that match, from the command line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from opsconsole.authoring.run import RunState
from opsconsole.core import clock
from tests.cli.conftest import Typing
from tests.cli.seeds import HOUR, NOON, ran
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import eventually

DAY = timedelta(days=1)
MATCHING = ("retry", "--job", "counting.count", "--state", "failed")


@pytest.fixture
def failed(place: Installation) -> list[int]:
    """Three days on which the same two people failed, the last of them only in part."""
    counting.put(place.data, {"asha": "fine", "ben": "fine", "chen": "fine"})
    return [
        ran(
            place,
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


def test_a_dry_run_lists_what_it_would_retry(typing: Typing, place: Installation, failed: list[int]) -> None:
    told = typing(*MATCHING, "--dry-run")
    facts = typing(*MATCHING, "--all", "--dry-run", "--json").json

    assert told.code == 0
    assert [line.split()[:5] for line in told.out.splitlines()[1:3]] == [
        [str(failed[0]), "counting.count", "2026-01-19", "failed", "2"],
        [str(failed[1]), "counting.count", "2026-01-20", "failed", "2"],
    ]
    assert told.out.endswith("would retry 4 items of 2 runs\n")
    assert ([run["id"] for run in facts["runs"]], facts["items"]) == (failed[:2], 4)
    assert place.service.queries.audit_entries(limit=1) == []


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
def test_which_runs_are_meant(
    typing: Typing, failed: list[int], arguments: tuple[str, ...], which: tuple[int, ...]
) -> None:
    told = typing("retry", *arguments, "--dry-run", "--json").json

    assert [run["id"] for run in told["runs"]] == [failed[n] for n in which]


def test_all_that_match_are_retried_and_followed(typing: Typing, place: Installation, failed: list[int]) -> None:
    told = typing("retry", "--job", "counting.count", "--since", "2026-01-01", "--yes", "--wait")

    assert told.code == 0
    assert told.out.splitlines()[-1] == "3 of 3 runs succeeded: 6 ok, 0 failed"
    assert {window for window, _ in counting.marks(place.data)} == {"2026-01-19", "2026-01-20", "2026-01-21"}
    again = typing(*MATCHING, "--dry-run", "--json").json
    assert again["runs"] == [], "what was retried is not retried again"


def test_its_exit_code_is_that_of_the_worst(typing: Typing, place: Installation, failed: list[int]) -> None:
    counting.change(place.data, "ben", "fails")

    told = typing(*MATCHING, "--yes", "--wait", "--json")

    assert told.code == 3
    assert [run["state"] for run in told.json["runs"]] == ["partial", "partial"]


def test_on_a_terminal_it_asks_with_the_numbers(typing: Typing, place: Installation, failed: list[int]) -> None:
    told = typing(*MATCHING, answers="n")

    assert (told.code, told.out) == (1, "")
    assert "Retry 4 items of 2 runs?" in told.err
    assert place.service.queries.audit_entries(limit=1) == []


def test_without_a_terminal_only_yes_goes_on(typing: Typing, place: Installation, failed: list[int]) -> None:
    told = typing(*MATCHING)

    assert told.code == 2
    assert "Retry 4 items of 2 runs? Confirm with --yes" in told.err
    assert place.service.queries.audit_entries(limit=1) == []


def test_without_wait_a_leader_queues_them(typing: Typing, place: Installation, failed: list[int]) -> None:
    nobody = typing(*MATCHING, "--yes")
    assert nobody.code == 0
    assert "no process is leading" in nobody.err

    with place.leading() as engine:
        eventually(lambda: engine.is_leading, "it leads")
        told = typing("retry", "--state", "partial", "--yes", "--json")

    assert told.code == 0
    assert [run["window"] for run in told.json["runs"]] == ["2026-01-21"]


def test_nothing_that_matches_is_refused(typing: Typing) -> None:
    told = typing(*MATCHING, "--yes", "--wait")

    assert (told.code, told.err) == (4, "opsconsole: no matching run has anything to retry\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
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
def test_what_cannot_be_meant_is_refused(typing: Typing, arguments: tuple[str, ...], says: str) -> None:
    told = typing("retry", *arguments)

    assert told.code == 2
    assert says in told.err


def test_one_run_is_retried_as_before(typing: Typing, failed: list[int]) -> None:
    assert typing("retry", str(failed[0]), "--dry-run").out == f"would retry 2 items of run {failed[0]}\n"
    told = typing("retry", str(failed[0]), "--wait", "--json")
    assert (told.code, told.json["state"], told.json["ok"]) == (0, "succeeded", 2)


def test_since_may_be_so_long_ago(typing: Typing, place: Installation, failed: list[int]) -> None:
    recent = ran(place, "counting.count", clock.now() - HOUR, RunState.FAILED, failed=("asha",), scheduled=False)

    told = typing("retry", "--since", "2h", "--dry-run", "--json").json

    assert [run["id"] for run in told["runs"]] == [recent]
