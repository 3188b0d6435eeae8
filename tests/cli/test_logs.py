"""`logs`."""

from __future__ import annotations

import json
import threading

from sqlalchemy import text

from opsconsole.authoring.run import RunState
from opsconsole.store import runs
from tests import run_records
from tests.cli.conftest import RunCli
from tests.cli.seeds import HOUR, NOON, SECOND, queued, ran
from tests.installation import Installation
from tests.waiting import finished

LINES = ["[count] 3 items in 1 batches", "[count] \x1b[2Jwiped", "[count] succeeded"]


def test_log_lines_are_printed_with_control_characters_escaped(cli: RunCli, installation: Installation) -> None:
    run = ran(installation, "counting.count", NOON, log=LINES, scheduled=False)
    ran(installation, "counting.count", NOON + HOUR, log=["another's"], scheduled=False)

    result = cli("logs", str(run))

    assert result.code == 0
    assert result.out.splitlines() == [
        "2026-01-19 12:00:01 UTC  [count] 3 items in 1 batches",
        "2026-01-19 12:00:01 UTC  [count] \\x1b[2Jwiped",
        "2026-01-19 12:00:01 UTC  [count] succeeded",
    ]
    assert cli("logs", str(run), "--json").json == [{"at": "2026-01-19T12:00:01Z", "line": line} for line in LINES]


def test_dropped_log_lines_are_counted(cli: RunCli, installation: Installation) -> None:
    run = ran(installation, "counting.count", NOON, log=LINES, scheduled=False)
    with installation.store.writing() as db:
        db.execute(text("UPDATE ops_runs SET log_lines = 1003"))

    assert cli("logs", str(run)).err == "1,000 more lines not kept\n"


def test_follow_prints_lines_until_the_run_has_ended(cli: RunCli, installation: Installation) -> None:
    run = queued(installation, "counting.count", NOON)

    def work() -> None:
        with installation.store.writing() as db:
            run_records.start(db, runs.get(db, run), token=1, host="web1", version="1", at=NOON)
            runs.add_log(db, run, NOON, ["first"])
        threading.Event().wait(0.5)
        with installation.store.writing() as db:
            runs.add_log(db, run, NOON + SECOND, ["last"])
            run_records.end(db, run, token=1, state=RunState.SUCCEEDED, at=NOON + SECOND)

    worker = threading.Thread(target=work)
    worker.start()
    result = cli("logs", str(run), "-f", "--json")
    finished(worker)

    assert result.code == 0
    assert [json.loads(line)["line"] for line in result.out.splitlines()] == ["first", "last"]
