"""`backfill` and its subcommands."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.rules.backfill import StepState
from opsconsole.rules.backfill_status import BackfillState, BackfillStopReason
from tests.cli.conftest import NO_REDIS, Result, RunCli
from tests.conftest import Installing
from tests.installation import Installation, is_at_work
from tests.packs import diary
from tests.waiting import eventually

PAGE = "diary.page"
RANGE = ("--from", "2025-01-10", "--to", "2025-01-13")
DAYS = ["2025-01-10", "2025-01-11", "2025-01-12", "2025-01-13"]
RUN = ("backfill", "run", PAGE, *RANGE)
INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}


@pytest.fixture
def installation(installing: Installing, tmp_path: Path) -> Installation:
    return install(installing, tmp_path)


def install(installing: Installing, folder: Path, **environ: str) -> Installation:
    made = installing(
        database_url=f"sqlite:///{folder / 'ops.db'}",
        redis_url=NO_REDIS,
        packs="tests.packs.diary",
        environ=INLINE | environ,
    )
    diary.put(made.data, ["asha", "ben"])
    return made


def pages(installation: Installation) -> dict[str, int]:
    """How many times each day was written, for one writer."""
    with installation.data.reading() as db:
        found = db.execute(diary.pages.select().where(diary.pages.c.writer == "asha")).all()
    return {row.day: row.times for row in found}


def repair(installation: Installation) -> None:
    with installation.data.writing() as db:
        db.execute(diary.spoilt.delete())


def test_a_plan_keeps_its_order_and_its_selections(cli: RunCli) -> None:
    planned = cli("backfill", "plan", PAGE, *RANGE, "--only", "missing,failed", "--newest-first", "--at-once", "2")
    (listed,) = cli("backfill", "list", "--json").json
    wrong = cli("backfill", "plan", PAGE, *RANGE, "--only", "fresh")

    assert "missing, failed and partial windows, newest first, at most 2 windows at once" in planned.out
    assert (listed["only"], listed["newest_first"], listed["at_once"]) == ("missing,failed", True, 2)
    assert wrong.code == 2
    assert "'fresh' does not select windows" in wrong.err


# --- plans ----------------------------------------------------------------------------------------------------------


def test_a_plan_lists_ranges_of_windows_with_reasons_and_runs_nothing(cli: RunCli, installation: Installation) -> None:
    installation.run(PAGE, DAYS[1])

    result = cli("backfill", "plan", PAGE, "diary.sum", *RANGE)

    assert (result.code, result.err) == (0, "")
    *lines, total, last = result.out.splitlines()
    assert lines == [
        "plan 1: 2025-01-10 to 2025-01-13, missing windows",
        "diary.page: 3 to run, 1 to skip",
        "  run   2025-01-10: missing",
        "  skip  2025-01-11: fresh",
        "  run   2025-01-12 to 2025-01-13: 2 windows, all missing",
        "diary.sum: 4 to run, 0 to skip",
        "  run   2025-01-10 to 2025-01-13: 4 windows, all missing",
    ]
    assert total == "7 to run, 1 to skip; 14 items; duration unknown; overwrites nothing"
    assert last == "apply it with `opsconsole backfill apply 1`"
    assert pages(installation) == {DAYS[1]: 1}


def test_the_json_of_a_plan_has_every_window(cli: RunCli, installation: Installation) -> None:
    installation.run(PAGE, DAYS[1])

    result = cli("backfill", "plan", PAGE, *RANGE, "--only", "all", "--stop-on-failure", "--json").json

    assert (result["id"], result["state"], result["jobs"], result["only"]) == (1, "planned", [PAGE], "all")
    assert (result["from"], result["to"], result["stop_on_failure"]) == ("2025-01-10", "2025-01-13", True)
    assert (result["to_run"], result["to_skip"], result["items"], result["overwrites"]) == (4, 0, 8, 1)
    assert result["estimated_seconds"] > 0, "from the run before"
    assert [(each["window"], each["action"], each["reason"], each["overwrites"]) for each in result["windows"]] == [
        (day, "run", "fresh" if day == DAYS[1] else "missing", day == DAYS[1]) for day in DAYS
    ]
    assert (result["windows"][0]["start"], result["windows"][0]["end"]) == (
        "2025-01-10T00:00:00Z",
        "2025-01-11T00:00:00Z",
    )


def test_a_plan_lists_each_window_on_request(cli: RunCli, installation: Installation) -> None:
    result = cli("backfill", "plan", PAGE, *RANGE, "--windows")

    assert [line.split()[:4] for line in result.out.splitlines()[2:6]] == [[PAGE, day, "pending", "2"] for day in DAYS]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((PAGE, "--from", "soon", "--to", "2025-01-13"), "'soon' is not a date; write it as 2026-01-19"),
        ((PAGE, "--from", "2025-01-13", "--to", "2025-01-10"), "swap the dates"),
        ((PAGE, "--from", "2025-01-13", "--to", "2999-01-10"), "choose a shorter range"),
        ((PAGE, "--from", "2998-01-01", "--to", "2998-01-02"), "2998-01-02 has not started in UTC"),
        (("diary.now", *RANGE), "diary.now always processes the current moment: there is nothing to backfill"),
        (("diary.pag", *RANGE), "unknown job 'diary.pag'"),
        ((PAGE, *RANGE, "--only", "some"), "Invalid value for '--only'"),
        (RANGE, "Missing argument 'JOB...'"),
        ((PAGE, "--from", "2025-01-13"), "Missing option '--to'"),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_invalid_input_is_refused_in_one_line(
    cli: RunCli, installation: Installation, verb: str, arguments: tuple[str, ...], message: str
) -> None:
    result = cli("backfill", verb, *arguments)

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert installation.service.backfills.newest(limit=1) == []


# --- running ------------------------------------------------------------------------------------------------------


def test_a_range_runs_once_to_its_end_without_another_leader(cli: RunCli, installation: Installation) -> None:
    first = cli(*RUN, "--yes", "--wait", "--json")
    again = cli(*RUN, "--yes", "--wait", "--json")

    assert (first.code, again.code) == (0, 0)
    assert pages(installation) == dict.fromkeys(DAYS, 1)
    result = first.json
    assert (result["state"], result["to_run"], result["counts"]) == ("done", 4, {"done": 4})
    assert [(each["window"], each["state"]) for each in result["windows"]] == [(day, "done") for day in DAYS]
    assert all(each["run"] for each in result["windows"])
    assert result["seconds"] > 0
    assert (again.json["state"], again.json["to_run"], again.json["to_skip"]) == ("done", 0, 4)
    assert installation.service.queries.leader() is None, "the lease was released"


def test_the_plan_and_the_result_are_printed(cli: RunCli, installation: Installation) -> None:
    result = cli(*RUN, "--yes", "--wait")

    assert result.out.startswith("plan 1: 2025-01-10 to 2025-01-13, missing windows\n")
    assert "backfill 1 diary.page 2025-01-10 to 2025-01-13: done, 4 of 4 windows in " in result.out.splitlines()[-1]


def test_failed_windows_are_listed_and_run_again_on_resume(cli: RunCli, installation: Installation) -> None:
    diary.spoil(installation.data, DAYS[1])
    diary.spoil(installation.data, DAYS[2])

    result = cli(*RUN, "--yes", "--wait")
    failed = installation.service.backfills.steps(1)[1].run
    repair(installation)
    again = cli("backfill", "resume", "1", "--wait")

    assert (result.code, again.code) == (3, 0)
    *_, summary, failed_range, hint = result.out.splitlines()
    assert ": done, 2 of 4 windows, 2 failed in " in summary
    assert failed_range == "  diary.page  2025-01-11 to 2025-01-12: 2 windows, all failed"
    assert hint.startswith(f"`opsconsole show {failed}` shows the cause, and `opsconsole backfill resume 1 --wait`")
    assert pages(installation) == dict.fromkeys(DAYS, 1)


@pytest.mark.parametrize("stops", [(), ("--stop-on-failure",)])
def test_the_exit_code_is_1_when_every_window_failed_or_the_backfill_was_paused(
    cli: RunCli, installation: Installation, stops: tuple[str, ...]
) -> None:
    for day in DAYS:
        diary.spoil(installation.data, day)

    result = cli(*RUN, *stops, "--yes", "--wait", "--json")

    assert result.code == 1
    counts = {"failed": 1, "pending": 3} if stops else {"failed": 4}
    assert (result.json["state"], result.json["counts"]) == ("paused" if stops else "done", counts)


def test_an_outdated_plan_is_refused_with_the_changes(cli: RunCli, installation: Installation) -> None:
    cli("backfill", "plan", PAGE, *RANGE)
    run = installation.run(PAGE, DAYS[2]).id

    result = cli("backfill", "apply", "1", "--wait", "--json")

    assert (result.code, result.out) == (4, "")
    message = f"backfill 1 is out of date: run {run} of diary.page {DAYS[2]} has ended since; create a new plan"
    assert result.err == f"opsconsole: {message}\n"
    assert pages(installation) == {DAYS[2]: 1}


def test_without_a_leader_and_without_wait_the_next_leader_runs_it(cli: RunCli, installation: Installation) -> None:
    result = cli(*RUN, "--yes")

    assert result.code == 0
    assert "no process is leading" in result.err
    assert pages(installation) == {}
    with installation.leading():
        eventually(lambda: installation.service.backfills.get(1).state is BackfillState.DONE, "the next leader does it")
    assert pages(installation) == dict.fromkeys(DAYS, 1)


def test_another_leader_runs_it_and_resume_follows_it(cli: RunCli, installation: Installation) -> None:
    for day in DAYS:
        diary.spoil(installation.data, day, "0.2")
    with installation.leading() as engine:
        eventually(lambda: is_at_work(engine), "the engine leads")
        start_slow_backfill = cli(*RUN, "--yes")
        followed = cli("backfill", "resume", "1", "--wait")
        assert engine.is_leading

    assert start_slow_backfill.out.endswith(
        "started backfill 1: 4 windows; `opsconsole backfill show 1` shows its progress\n"
    )
    assert followed.code == 0
    assert pages(installation) == dict.fromkeys(DAYS, 1)


# --- confirmation -------------------------------------------------------------------------------------------------


def test_run_asks_for_confirmation_after_the_plan(cli: RunCli, installation: Installation) -> None:
    no = cli(*RUN, "--wait", answers="n")
    yes = cli(*RUN, "--wait", answers="y")

    assert no.code == 1
    assert "Run 4 windows of diary.page, 2025-01-10 to 2025-01-13? [y/N]" in no.err
    assert no.err.endswith("not confirmed; nothing was changed\n")
    assert installation.service.backfills.get(1).state is BackfillState.PLANNED
    assert yes.code == 0
    assert installation.service.backfills.get(2).state is BackfillState.DONE


def test_without_a_terminal_yes_is_required(cli: RunCli, installation: Installation) -> None:
    result = cli(*RUN, "--wait")

    assert result.code == 2
    assert "Confirm with --yes" in result.err
    assert pages(installation) == {}


@pytest.fixture
def in_production(installing: Installing, tmp_path: Path, cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setenv("OPSCONSOLE_CONSOLE__ENVIRONMENT", "production")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'prod' / 'ops.db'}")
    (tmp_path / "prod").mkdir()
    return install(installing, tmp_path / "prod", OPSCONSOLE_CONSOLE__ENVIRONMENT="production")


def test_in_production_apply_requires_yes(cli: RunCli, in_production: Installation) -> None:
    cli("backfill", "plan", PAGE, *RANGE)

    refused = cli("backfill", "apply", "1", "--wait")
    confirmed = cli("backfill", "apply", "1", "--wait", answers="y")

    assert (refused.code, confirmed.code) == (2, 0)
    assert "2025-01-10 to 2025-01-13 in production?" in refused.err
    assert pages(in_production) == dict.fromkeys(DAYS, 1)


def test_a_viewer_can_neither_plan_nor_apply(cli: RunCli, installation: Installation) -> None:
    assert cli("--read-only", "backfill", "plan", PAGE, *RANGE).code == 77
    assert cli("backfill", "plan", PAGE, *RANGE).code == 0

    for verb in (("apply",), ("pause",), ("resume",), ("cancel",)):
        result = cli("--read-only", "backfill", *verb, "1")
        assert (result.code, result.out) == (77, "")
    assert installation.service.backfills.get(1).state is BackfillState.PLANNED


# --- pausing, cancelling and listing ------------------------------------------------------------------------------


def start_slow_backfill(cli: RunCli, installation: Installation) -> None:
    """Starts a backfill whose first window is done and whose other windows are slow."""
    for day in DAYS[1:]:
        diary.spoil(installation.data, day, "0.5")
    cli(*RUN, "--yes")
    eventually(lambda: installation.service.backfills.get(1).counts.get(StepState.DONE) == 1, "one is done")


def test_a_paused_backfill_is_resumed(cli: RunCli, installation: Installation) -> None:
    with installation.leading():
        start_slow_backfill(cli, installation)
        paused = cli("backfill", "pause", "1", "--note", "nightly maintenance")
        stop = installation.service.backfills.get(1).stop
        resumed = cli("backfill", "resume", "1", "--wait", "--json")

    assert (paused.code, paused.out) == (0, "paused backfill 1; running windows finish\n")
    assert stop is not None
    assert (stop.reason, stop.note) == (BackfillStopReason.PAUSED, "nightly maintenance")
    assert (resumed.code, resumed.json["counts"]) == (0, {"done": 4})
    assert pages(installation) == dict.fromkeys(DAYS, 1)


def test_cancel_ends_active_runs_and_resume_runs_the_rest(cli: RunCli, installation: Installation) -> None:
    with installation.leading():
        start_slow_backfill(cli, installation)
        no = cli("backfill", "cancel", "1", answers="n")
        cancelled = cli("backfill", "cancel", "1", "--wait", "--json", "--note", "too much")
        ended = installation.service.backfills.get(1)
        done_then = pages(installation)
    resumed = cli("backfill", "resume", "1", "--wait")

    assert no.code == 1
    assert "Cancel backfill 1? 1 of 4 windows are finished." in no.err
    assert cancelled.code == 0
    assert cancelled.json["state"] == "cancelled"
    assert set(cancelled.json["counts"]) == {"done", "cancelled"}
    assert (ended.state, StepState.RUNNING in ended.counts) == (BackfillState.CANCELLED, False)
    assert resumed.code == 0
    assert pages(installation) == dict.fromkeys(DAYS, 1)
    assert len(done_then) < 4


def test_pause_and_cancel_work_without_another_leader(cli: RunCli, installation: Installation) -> None:
    with installation.leading():
        start_slow_backfill(cli, installation)
    paused = cli("backfill", "pause", "1")
    cancelled = cli("backfill", "cancel", "1")

    assert (paused.code, cancelled.code) == (0, 0)
    assert cancelled.out.startswith("cancelled backfill 1: ")
    ended = installation.service.backfills.get(1)
    assert (ended.state, set(ended.counts)) == (BackfillState.CANCELLED, {StepState.DONE, StepState.CANCELLED})
    assert installation.service.queries.leader() is None


def refused(result: Result) -> str:
    assert (result.code, result.out) == (4, "")
    return result.err


def test_actions_that_the_state_does_not_allow_are_refused(cli: RunCli, installation: Installation) -> None:
    cli(*RUN, "--yes", "--wait")

    with installation.leading() as engine:
        eventually(lambda: is_at_work(engine), "the engine leads")
        assert "backfill 1 has already been applied: it is done" in refused(cli("backfill", "apply", "1"))
        assert "backfill 1 is not running: it is done" in refused(cli("backfill", "pause", "1"))
        assert "backfill 1 has no windows left" in refused(cli("backfill", "resume", "1"))
        assert "backfill 1 is already done" in refused(cli("backfill", "cancel", "1"))
    unknown = cli("backfill", "show", "7")
    assert (unknown.code, unknown.err) == (
        2,
        "opsconsole: backfill 7 does not exist; `opsconsole backfill list` lists the newest\n",
    )


def test_backfills_are_listed_and_shown(cli: RunCli, installation: Installation) -> None:
    assert "no backfills yet" in cli("backfill", "list").out
    diary.spoil(installation.data, DAYS[3])
    cli(*RUN, "--yes", "--wait")
    cli("backfill", "plan", PAGE, *RANGE)

    listed = cli("backfill", "list").out.splitlines()
    facts = cli("backfill", "list", "-n", "1", "--json").json
    shown = cli("backfill", "show", "1").out.splitlines()
    each = cli("backfill", "show", "1", "--windows").out.splitlines()

    assert [line.split()[:6] for line in listed[1:]] == [
        ["2", "planned", PAGE, "2025-01-10", "2025-01-13", "missing"],
        ["1", "done", PAGE, "2025-01-10", "2025-01-13", "missing"],
    ]
    assert "3 of 4, 1 failed" in listed[2]
    assert [(each["id"], each["to_run"], each["to_skip"]) for each in facts] == [(2, 0, 4)]
    assert "windows" not in facts[0]
    assert shown[0].startswith("backfill 1 diary.page 2025-01-10 to 2025-01-13: done, 3 of 4 windows, 1 failed in ")
    assert shown[-3:] == [
        "diary.page:",
        "  2025-01-10 to 2025-01-12: 3 windows, all done",
        "  2025-01-13: failed",
    ]
    assert [line.split()[1:3] for line in each[-4:]] == [[day, "done"] for day in DAYS[:3]] + [[DAYS[3], "failed"]]


def test_windows_lists_states_in_ranges(cli: RunCli, installation: Installation) -> None:
    diary.spoil(installation.data, DAYS[2])
    cli(*RUN, "--yes", "--wait")
    windows = ("backfill", "windows", PAGE, "--from", "2025-01-08", "--to", "2025-01-13")

    result = cli(*windows)
    facts = cli(*windows, "--json").json
    year = cli("backfill", "windows", PAGE, "--json").json

    assert result.out.splitlines() == [
        "diary.page (UTC): 3 fresh, 2 missing, 1 failed",
        "  2025-01-08 to 2025-01-09: 2 windows, all missing",
        "  2025-01-10 to 2025-01-11: 2 windows, all fresh",
        "  2025-01-12: failed",
        "  2025-01-13: fresh",
    ]
    assert (facts["job"], facts["tz"], facts["counts"]) == (PAGE, "UTC", {"fresh": 3, "missing": 2, "failed": 1})
    assert [(each["window"], each["state"]) for each in facts["windows"]][2:4] == [(day, "fresh") for day in DAYS[:2]]
    assert facts["windows"][2] | {"run": 0, "seconds": 0} == {
        "window": "2025-01-10",
        "start": "2025-01-10T00:00:00Z",
        "end": "2025-01-11T00:00:00Z",
        "state": "fresh",
        "run": 0,
        "items": 2,
        "seconds": 0,
        "stale": None,
        "checked_at": None,
    }
    assert len(year["windows"]) == 53 * 7 + 1
    assert cli("why", PAGE, "--window", "2025-01-08").out.endswith("\n2025-01-08: missing, no run covered it\n")
    assert cli("why", PAGE, "--window", "2025-01-08", "--json").json["state"] == "missing"
    assert cli("backfill", "windows", "diary.now").code == 2
