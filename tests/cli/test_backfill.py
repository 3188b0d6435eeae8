"""Backfills from the command line: planned, asked about, applied, followed, held up and ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.rules.backfill import StepState
from opsconsole.rules.backfill_status import BackfillState, BackfillStopReason
from tests.cli.conftest import NO_REDIS, Typed, Typing
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import diary
from tests.waiting import eventually

PAGE = "diary.page"
RANGE = ("--from", "2025-01-10", "--to", "2025-01-13")
DAYS = ["2025-01-10", "2025-01-11", "2025-01-12", "2025-01-13"]
RUN = ("backfill", "run", PAGE, *RANGE)
INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}


@pytest.fixture
def place(installing: Installing, tmp_path: Path) -> Installation:
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


def pages(place: Installation) -> dict[str, int]:
    """How often each day was written, for one writer."""
    with place.data.reading() as db:
        found = db.execute(diary.pages.select().where(diary.pages.c.writer == "asha")).all()
    return {row.day: row.times for row in found}


def forgive(place: Installation) -> None:
    with place.data.writing() as db:
        db.execute(diary.spoilt.delete())


# --- plans ----------------------------------------------------------------------------------------------------------


def test_a_plan_tells_stretches_of_windows_and_why_and_does_nothing(typing: Typing, place: Installation) -> None:
    place.run(PAGE, DAYS[1])

    told = typing("backfill", "plan", PAGE, "diary.sum", *RANGE)

    assert (told.code, told.err) == (0, "")
    *lines, total, last = told.out.splitlines()
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
    assert pages(place) == {DAYS[1]: 1}


def test_a_plan_for_programs_has_every_window(typing: Typing, place: Installation) -> None:
    place.run(PAGE, DAYS[1])

    told = typing("backfill", "plan", PAGE, *RANGE, "--only", "all", "--stop-on-failure", "--json").json

    assert (told["id"], told["state"], told["jobs"], told["only"]) == (1, "planned", [PAGE], "all")
    assert (told["from"], told["to"], told["stop_on_failure"]) == ("2025-01-10", "2025-01-13", True)
    assert (told["to_run"], told["to_skip"], told["items"], told["overwrites"]) == (4, 0, 8, 1)
    assert told["estimated_seconds"] > 0, "from the run before"
    assert [(each["window"], each["action"], each["reason"], each["overwrites"]) for each in told["windows"]] == [
        (day, "run", "it is fresh" if day == DAYS[1] else "it is missing", day == DAYS[1]) for day in DAYS
    ]
    assert (told["windows"][0]["start"], told["windows"][0]["end"]) == ("2025-01-10T00:00:00Z", "2025-01-11T00:00:00Z")


def test_a_plan_tells_each_window_when_asked(typing: Typing, place: Installation) -> None:
    told = typing("backfill", "plan", PAGE, *RANGE, "--windows")

    assert [line.split()[:4] for line in told.out.splitlines()[2:6]] == [[PAGE, day, "pending", "2"] for day in DAYS]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((PAGE, "--from", "soon", "--to", "2025-01-13"), "'soon' is not a date; write it as 2026-01-19"),
        ((PAGE, "--from", "2025-01-13", "--to", "2025-01-10"), "turn it around"),
        ((PAGE, "--from", "2025-01-13", "--to", "2999-01-10"), "take a shorter range"),
        ((PAGE, "--from", "2998-01-01", "--to", "2998-01-02"), "2998-01-02 has not begun in UTC"),
        (("diary.now", *RANGE), "diary.now always processes the current moment: there is nothing to backfill"),
        (("diary.pag", *RANGE), "unknown job 'diary.pag'"),
        ((PAGE, *RANGE, "--only", "some"), "Invalid value for '--only'"),
        (RANGE, "Missing argument 'JOB...'"),
        ((PAGE, "--from", "2025-01-13"), "Missing option '--to'"),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_what_cannot_be_meant_is_refused_in_one_line(
    typing: Typing, place: Installation, verb: str, arguments: tuple[str, ...], says: str
) -> None:
    told = typing("backfill", verb, *arguments)

    assert (told.code, told.out) == (2, "")
    assert says in told.err
    assert told.err.count("\n") == 1
    assert place.service.backfills.newest(limit=1) == []


# --- doing it -------------------------------------------------------------------------------------------------------


def test_a_range_is_run_to_its_end_though_nobody_leads_and_once(typing: Typing, place: Installation) -> None:
    first = typing(*RUN, "--yes", "--wait", "--json")
    again = typing(*RUN, "--yes", "--wait", "--json")

    assert (first.code, again.code) == (0, 0)
    assert pages(place) == dict.fromkeys(DAYS, 1)
    told = first.json
    assert (told["state"], told["to_run"], told["counts"]) == ("done", 4, {"done": 4})
    assert [(each["window"], each["state"]) for each in told["windows"]] == [(day, "done") for day in DAYS]
    assert all(each["run"] for each in told["windows"])
    assert told["seconds"] > 0
    assert (again.json["state"], again.json["to_run"], again.json["to_skip"]) == ("done", 0, 4)
    assert place.service.queries.leader() is None, "the lease was given back"


def test_for_people_it_tells_the_plan_and_what_came_of_it(typing: Typing, place: Installation) -> None:
    told = typing(*RUN, "--yes", "--wait")

    assert told.out.startswith("plan 1: 2025-01-10 to 2025-01-13, missing windows\n")
    assert "backfill 1 diary.page 2025-01-10 to 2025-01-13: done, 4 of 4 windows in " in told.out.splitlines()[-1]


def test_failed_windows_are_told_and_done_by_themselves(typing: Typing, place: Installation) -> None:
    diary.spoil(place.data, DAYS[1])
    diary.spoil(place.data, DAYS[2])

    told = typing(*RUN, "--yes", "--wait")
    failed = place.service.backfills.steps(1)[1].run
    forgive(place)
    again = typing("backfill", "resume", "1", "--wait")

    assert (told.code, again.code) == (3, 0)
    *_, result, stretch, hint = told.out.splitlines()
    assert ": done, 2 of 4 windows, 2 failed in " in result
    assert stretch == "  diary.page  2025-01-11 to 2025-01-12: 2 windows, all failed"
    assert hint.startswith(f"`opsconsole show {failed}` shows the cause, and `opsconsole backfill resume 1 --wait`")
    assert pages(place) == dict.fromkeys(DAYS, 1)


@pytest.mark.parametrize("stops", [(), ("--stop-on-failure",)])
def test_the_exit_code_tells_that_nothing_or_not_all_could_be_done(
    typing: Typing, place: Installation, stops: tuple[str, ...]
) -> None:
    for day in DAYS:
        diary.spoil(place.data, day)

    told = typing(*RUN, *stops, "--yes", "--wait", "--json")

    assert told.code == 1
    counts = {"failed": 1, "pending": 3} if stops else {"failed": 4}
    assert (told.json["state"], told.json["counts"]) == ("paused" if stops else "done", counts)


def test_a_plan_that_is_out_of_date_is_refused_and_says_what_changed(typing: Typing, place: Installation) -> None:
    typing("backfill", "plan", PAGE, *RANGE)
    run = place.run(PAGE, DAYS[2]).id

    told = typing("backfill", "apply", "1", "--wait", "--json")

    assert (told.code, told.out) == (4, "")
    says = f"backfill 1 is out of date: run {run} has been about diary.page {DAYS[2]} since; create a new plan"
    assert told.err == f"opsconsole: {says}\n"
    assert pages(place) == {DAYS[2]: 1}


def test_without_a_leader_and_without_waiting_it_is_left_to_the_next(typing: Typing, place: Installation) -> None:
    told = typing(*RUN, "--yes")

    assert told.code == 0
    assert "no process is leading" in told.err
    assert pages(place) == {}
    with place.leading():
        eventually(lambda: place.service.backfills.get(1).state is BackfillState.DONE, "the next leader does it")
    assert pages(place) == dict.fromkeys(DAYS, 1)


def test_whoever_leads_does_it_and_somebody_may_follow(typing: Typing, place: Installation) -> None:
    for day in DAYS:
        diary.spoil(place.data, day, "0.2")
    with place.leading() as engine:
        eventually(lambda: engine.is_leading, "it leads")
        begun = typing(*RUN, "--yes")
        followed = typing("backfill", "resume", "1", "--wait")
        assert engine.is_leading

    assert begun.out.endswith("backfill 1 begins: 4 windows; `opsconsole backfill show 1` shows its progress\n")
    assert followed.code == 0
    assert pages(place) == dict.fromkeys(DAYS, 1)


# --- asking ---------------------------------------------------------------------------------------------------------


def test_it_asks_between_plan_and_deed(typing: Typing, place: Installation) -> None:
    no = typing(*RUN, "--wait", answers="n")
    yes = typing(*RUN, "--wait", answers="y")

    assert no.code == 1
    assert "Run 4 windows of diary.page, 2025-01-10 to 2025-01-13? [y/N]" in no.err
    assert no.err.endswith("not confirmed; nothing was changed\n")
    assert place.service.backfills.get(1).state is BackfillState.PLANNED
    assert yes.code == 0
    assert place.service.backfills.get(2).state is BackfillState.DONE


def test_where_nobody_can_be_asked_a_yes_is_needed(typing: Typing, place: Installation) -> None:
    told = typing(*RUN, "--wait")

    assert told.code == 2
    assert "Confirm with --yes" in told.err
    assert pages(place) == {}


@pytest.fixture
def in_production(
    installing: Installing, tmp_path: Path, typing: Typing, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    monkeypatch.setenv("OPSCONSOLE_CONSOLE__ENVIRONMENT", "production")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'prod' / 'ops.db'}")
    (tmp_path / "prod").mkdir()
    return install(installing, tmp_path / "prod", OPSCONSOLE_CONSOLE__ENVIRONMENT="production")


def test_in_production_a_plan_is_not_applied_without_a_yes(typing: Typing, in_production: Installation) -> None:
    typing("backfill", "plan", PAGE, *RANGE)

    refused = typing("backfill", "apply", "1", "--wait")
    asked = typing("backfill", "apply", "1", "--wait", answers="y")

    assert (refused.code, asked.code) == (2, 0)
    assert "2025-01-10 to 2025-01-13 in production?" in refused.err
    assert pages(in_production) == dict.fromkeys(DAYS, 1)


def test_whoever_may_only_look_plans_and_applies_nothing(typing: Typing, place: Installation) -> None:
    assert typing("--read-only", "backfill", "plan", PAGE, *RANGE).code == 0

    for verb in (("apply",), ("pause",), ("resume",), ("cancel",)):
        told = typing("--read-only", "backfill", *verb, "1")
        assert (told.code, told.out) == (77, "")
    assert place.service.backfills.get(1).state is BackfillState.PLANNED


# --- holding up, ending and looking ---------------------------------------------------------------------------------


def begun(typing: Typing, place: Installation) -> None:
    """Its first window is done, and the others take their time."""
    for day in DAYS[1:]:
        diary.spoil(place.data, day, "0.5")
    typing(*RUN, "--yes")
    eventually(lambda: place.service.backfills.get(1).counts.get(StepState.DONE) == 1, "one is done")


def test_it_is_paused_and_goes_on(typing: Typing, place: Installation) -> None:
    with place.leading():
        begun(typing, place)
        paused = typing("backfill", "pause", "1", "--note", "the night begins")
        stop = place.service.backfills.get(1).stop
        resumed = typing("backfill", "resume", "1", "--wait", "--json")

    assert (paused.code, paused.out) == (0, "paused backfill 1; running windows finish\n")
    assert stop is not None
    assert (stop.reason, stop.note) == (BackfillStopReason.PAUSED, "the night begins")
    assert (resumed.code, resumed.json["counts"]) == (0, {"done": 4})
    assert pages(place) == dict.fromkeys(DAYS, 1)


def test_it_is_cancelled_with_what_goes_on_and_the_rest_is_done_later(typing: Typing, place: Installation) -> None:
    with place.leading():
        begun(typing, place)
        no = typing("backfill", "cancel", "1", answers="n")
        cancelled = typing("backfill", "cancel", "1", "--wait", "--json", "--note", "too much")
        ended = place.service.backfills.get(1)
        done_then = pages(place)
    resumed = typing("backfill", "resume", "1", "--wait")

    assert no.code == 1
    assert "Cancel backfill 1? 1 of 4 windows are finished." in no.err
    assert cancelled.code == 0
    assert cancelled.json["state"] == "cancelled"
    assert set(cancelled.json["counts"]) == {"done", "cancelled"}
    assert (ended.state, StepState.RUNNING in ended.counts) == (BackfillState.CANCELLED, False)
    assert resumed.code == 0
    assert pages(place) == dict.fromkeys(DAYS, 1)
    assert len(done_then) < 4


def test_it_is_held_up_and_ended_though_nobody_leads(typing: Typing, place: Installation) -> None:
    with place.leading():
        begun(typing, place)
    paused = typing("backfill", "pause", "1")
    cancelled = typing("backfill", "cancel", "1")

    assert (paused.code, cancelled.code) == (0, 0)
    assert cancelled.out.startswith("backfill 1 is cancelled: ")
    ended = place.service.backfills.get(1)
    assert (ended.state, set(ended.counts)) == (BackfillState.CANCELLED, {StepState.DONE, StepState.CANCELLED})
    assert place.service.queries.leader() is None


def refused(told: Typed) -> str:
    assert (told.code, told.out) == (4, "")
    return told.err


def test_what_makes_no_sense_now_is_refused(typing: Typing, place: Installation) -> None:
    typing(*RUN, "--yes", "--wait")

    with place.leading() as engine:
        eventually(lambda: engine.is_leading, "it leads")
        assert "backfill 1 has already been applied: it is done" in refused(typing("backfill", "apply", "1"))
        assert "backfill 1 is not running: it is done" in refused(typing("backfill", "pause", "1"))
        assert "backfill 1 has no windows left" in refused(typing("backfill", "resume", "1"))
        assert "backfill 1 has already ended: it is done" in refused(typing("backfill", "cancel", "1"))
    unknown = typing("backfill", "show", "7")
    assert (unknown.code, unknown.err) == (
        2,
        "opsconsole: backfill 7 does not exist; `opsconsole backfill list` lists the newest\n",
    )


def test_backfills_are_listed_and_shown(typing: Typing, place: Installation) -> None:
    assert "no backfills yet" in typing("backfill", "list").out
    diary.spoil(place.data, DAYS[3])
    typing(*RUN, "--yes", "--wait")
    typing("backfill", "plan", PAGE, *RANGE)

    listed = typing("backfill", "list").out.splitlines()
    facts = typing("backfill", "list", "-n", "1", "--json").json
    shown = typing("backfill", "show", "1").out.splitlines()
    each = typing("backfill", "show", "1", "--windows").out.splitlines()

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


def test_the_states_of_windows_are_told_in_stretches(typing: Typing, place: Installation) -> None:
    diary.spoil(place.data, DAYS[2])
    typing(*RUN, "--yes", "--wait")
    asked = ("backfill", "windows", PAGE, "--from", "2025-01-08", "--to", "2025-01-13")

    told = typing(*asked)
    facts = typing(*asked, "--json").json
    year = typing("backfill", "windows", PAGE, "--json").json

    assert told.out.splitlines() == [
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
    assert typing("backfill", "windows", "diary.now").code == 2
