"""What a run said and how it ended, and who asked for what, on the command line."""

from __future__ import annotations

import json
import threading

import pytest
from sqlalchemy import delete, text, update

from opsconsole.authoring.run import RunState, Stop
from opsconsole.store import runs
from opsconsole.store.tables import audit
from tests.cli.conftest import Typing
from tests.cli.seeds import HOUR, NOON, SECOND, queued, ran
from tests.installation import Installation

LINES = ["[count] 3 items in 1 batches", "[count] \x1b[2Jwiped", "[count] succeeded"]


# --- logs and show ------------------------------------------------------------------------------------------------


def test_a_log_is_told_line_by_line_and_cannot_draw(typing: Typing, place: Installation) -> None:
    run = ran(place, "counting.count", NOON, log=LINES, scheduled=False)
    ran(place, "counting.count", NOON + HOUR, log=["another's"], scheduled=False)

    told = typing("logs", str(run))

    assert told.code == 0
    assert told.out.splitlines() == [
        "2026-01-19 12:00:01 UTC  [count] 3 items in 1 batches",
        "2026-01-19 12:00:01 UTC  [count] \\x1b[2Jwiped",
        "2026-01-19 12:00:01 UTC  [count] succeeded",
    ]
    assert typing("logs", str(run), "--json").json == [{"at": "2026-01-19T12:00:01Z", "line": line} for line in LINES]


def test_what_was_left_out_of_a_log_is_counted(typing: Typing, place: Installation) -> None:
    run = ran(place, "counting.count", NOON, log=LINES, scheduled=False)
    with place.store.writing() as db:
        db.execute(text("UPDATE ops_runs SET log_lines = 1003"))

    assert typing("logs", str(run)).err == "1,000 more lines not kept\n"


def test_following_goes_on_until_the_run_has_ended(typing: Typing, place: Installation) -> None:
    run = queued(place, "counting.count", NOON)

    def work() -> None:
        with place.store.writing() as db:
            runs.start(db, runs.get(db, run), token=1, host="web1", version="1", at=NOON)
            runs.add_log(db, run, NOON, ["first"])
        threading.Event().wait(0.5)
        with place.store.writing() as db:
            runs.add_log(db, run, NOON + SECOND, ["last"])
            runs.end(db, run, token=1, state=RunState.SUCCEEDED, at=NOON + SECOND, error=None)

    worker = threading.Thread(target=work)
    worker.start()
    told = typing("logs", str(run), "-f", "--json")
    worker.join()

    assert told.code == 0
    assert [json.loads(line)["line"] for line in told.out.splitlines()] == ["first", "last"]


def test_a_run_that_is_not_there_has_no_log(typing: Typing) -> None:
    assert typing("logs", "9").code == typing("show", "9").code == 2


def test_show_tells_attempts_and_who_stopped_it(typing: Typing, place: Installation) -> None:
    run = queued(place, "counting.count", NOON)
    stop = Stop("asha", NOON, NOON + 10 * SECOND, note="wrong day")
    with place.store.writing() as db:
        runs.start(db, runs.get(db, run), token=1, host="web1", version="1", at=NOON)
        runs.interrupt_others(db, 2, conceded=None)
        runs.request_stop(db, run, stop)

    told, facts = typing("show", str(run)), typing("show", str(run), "--json").json

    assert "attempt 1, interrupted 1 time" in told.out
    assert "stop requested 2026-01-19 12:00:00 UTC: cancelled by asha: wrong day; forced at" in told.out
    assert (facts["attempt"], facts["recoveries"]) == (1, 1)
    assert facts["stop"] == {
        "requested_by": "asha",
        "reason": "cancelled",
        "note": "wrong day",
        "replaced_by": None,
        "requested_at": "2026-01-19T12:00:00Z",
        "force_at": "2026-01-19T12:00:10Z",
    }


# --- audit --------------------------------------------------------------------------------------------------------


def test_the_trail_tells_who_asked_and_what_came_of_it(typing: Typing, place: Installation) -> None:
    assert typing("audit").out == "the audit trail is empty\n"
    typing("pause", "clockwork", "--for", "1h", "--note", "why not")
    typing("resume", "all")

    told, newest = typing("audit"), typing("audit", "-n", "1", "--json").json

    rows = [line.split() for line in told.out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["4", "3", "2", "1"]
    assert '"note":"why not"' in told.out
    (entry,) = newest
    assert (entry["action"], entry["target"], entry["outcome"], entry["origin"]) == (
        "resume",
        "all",
        "refused",
        "local",
    )
    assert entry["after"]["message"] == "all is not paused; paused now: clockwork"


def test_a_whole_trail_is_verified_with_its_newest_seal(typing: Typing) -> None:
    typing("pause", "clockwork")

    told, facts = typing("audit", "verify"), typing("audit", "verify", "--json").json

    assert told.code == 0
    proven = f"verified 2 rows: they are consistent with each other; the last seal is {facts['seal']}\n"
    assert told.out.startswith(proven)
    assert "does not show whether rows were removed from the end" in told.out
    assert (facts["ok"], facts["rows"], facts["problem"], facts["broken"]) == (True, 2, None, None)


def test_the_first_row_that_was_changed_is_named(typing: Typing, place: Installation) -> None:
    typing("pause", "clockwork")
    typing("resume", "clockwork")
    with place.store.writing() as db:
        db.execute(text("DROP TRIGGER ops_audit_no_update"))
        db.execute(update(audit).where(audit.c.id == 3).values(who="nobody"))

    told = typing("audit", "verify")

    assert told.code == 1
    assert told.out == "row 3 was changed after it was written; 2 rows before it are valid\n"
    facts = typing("audit", "verify", "--json").json
    assert (facts["problem"], facts["broken"]) == ("row_changed", 3)


def test_a_seal_kept_elsewhere_shows_that_rows_were_removed_or_rewritten(typing: Typing, place: Installation) -> None:
    assert typing("audit", "seal").out == "the audit trail is empty\n"
    typing("pause", "clockwork")
    typing("resume", "clockwork")
    seal = typing("audit", "seal").out.strip()

    kept = typing("audit", "verify", "--seal", seal)
    with place.store.writing() as db:
        db.execute(text("DROP TRIGGER ops_audit_no_delete"))
        db.execute(delete(audit).where(audit.c.id == 4))
    cut, unanchored = typing("audit", "verify", "--seal", seal), typing("audit", "verify")
    typing("pause", "all")
    rewritten = typing("audit", "verify", "--seal", seal, "--json")

    assert seal.startswith("4:")
    assert (kept.code, kept.out) == (0, "verified 4 rows: unchanged up to row 4, consistent up to row 4\n")
    assert (cut.code, cut.out) == (1, "row 4 of this seal is missing: rows were removed from the end\n")
    assert unanchored.code == 0, "the rows that are left are consistent"
    assert (rewritten.code, rewritten.json["problem"]) == (1, "anchor_changed")


def test_a_text_that_is_no_seal_is_refused(typing: Typing) -> None:
    refused = typing("audit", "verify", "--seal", "41:zz")

    assert refused.code == 2
    assert "'41:zz' is not a seal" in refused.err


# --- lint, and what is typed wrongly ------------------------------------------------------------------------------


def test_lint_ends_with_1_and_names_what_is_odd(typing: Typing, monkeypatch: pytest.MonkeyPatch) -> None:
    told, facts = typing("lint"), typing("lint", "--json")

    assert told.code == facts.code == 1
    assert "counting.count: '30 0 29 2 *' fires only on 29 February" in told.out
    assert {"job", "rule", "message", "at"} == set(facts.json[0])
    monkeypatch.setenv("OPSCONSOLE_JOBS__PACKS", "jobs.attempts")
    assert typing("lint").code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pause",), "Missing argument 'JOB|PACK|all'. See `"),
        (("why", "clockwork.hourly"), "Missing option '--at'. See `"),
        (("cancel", "soon"), "'soon' is not a valid integer. See `"),
        (("nonsense",), "No such command 'nonsense'. See `"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(typing: Typing, arguments: tuple[str, ...], says: str) -> None:
    told = typing(*arguments)

    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("opsconsole: ")
    assert says in told.err
    assert told.err.count("\n") == 1
