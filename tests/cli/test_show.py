"""`show`."""

from __future__ import annotations

from opsconsole.authoring.run import Stop
from opsconsole.store import runs
from tests import run_records
from tests.cli.conftest import RunCli
from tests.cli.seeds import NOON, SECOND, queued
from tests.installation import Installation

LINES = ["[count] 3 items in 1 batches", "[count] \x1b[2Jwiped", "[count] succeeded"]


def test_an_unknown_run_is_refused(cli: RunCli) -> None:
    assert cli("logs", "9").code == cli("show", "9").code == 2


def test_show_has_the_attempt_and_the_stop_request(cli: RunCli, installation: Installation) -> None:
    run = queued(installation, "counting.count", NOON)
    stop = Stop("asha", NOON, NOON + 10 * SECOND, note="wrong day")
    with installation.store.writing() as db:
        run_records.start(db, runs.get(db, run), token=1, host="web1", version="1", at=NOON)
        runs.interrupt_others(db, 2, recovered=True)
        runs.request_stop(db, run, stop)

    result, facts = cli("show", str(run)), cli("show", str(run), "--json").json

    assert "attempt 1, interrupted 1 time" in result.out
    assert "stop requested 2026-01-19 12:00:00 UTC: cancelled by asha: wrong day; forced at" in result.out
    assert (facts["attempt"], facts["recoveries"]) == (1, 1)
    assert facts["stop"] == {
        "requested_by": "asha",
        "reason": "cancelled",
        "note": "wrong day",
        "replaced_by": None,
        "requested_at": "2026-01-19T12:00:00Z",
        "force_at": "2026-01-19T12:00:10Z",
    }
