"""Pausing, resuming and cancelling from the command line, with somebody who leads and without."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.authoring.run import RunState
from opsconsole.core import clock
from opsconsole.rules.pauses import Pause
from opsconsole.store import pauses
from tests.cli.conftest import Typing
from tests.cli.seeds import HOUR, NOON, paused, queued, ran
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually


def held(place: Installation) -> list[Pause]:
    with place.store.reading() as db:
        return pauses.in_force(db, clock.now())


# --- pause and resume ---------------------------------------------------------------------------------------------


def test_a_pause_takes_effect_though_nobody_leads(typing: Typing, place: Installation) -> None:
    told = typing("pause", "clockwork.hourly", "--note", "the printer is moved")

    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("clockwork.hourly is paused until ")
    (pause,) = held(place)
    assert (pause.target, pause.note) == ("clockwork.hourly", "the printer is moved")
    assert pause.until is not None
    assert timedelta(hours=11, minutes=59) < pause.until - clock.now() <= timedelta(hours=12)
    assert place.service.queries.leader() is None, "the lease was given back"


def test_a_leader_is_asked_and_answers(typing: Typing, place: Installation) -> None:
    with place.leading() as engine:
        eventually(lambda: engine.is_leading, "it leads")
        told = typing("pause", "clockwork", "--for", "90m", "--json").json

        assert told == {"command": told["command"], "state": "done", "message": told["message"]}
        assert engine.is_leading
    (pause,) = held(place)
    assert pause.target == "clockwork"
    assert pause.until is not None
    assert timedelta(minutes=89) < pause.until - clock.now() <= timedelta(minutes=90)


def test_a_pause_may_last_until_a_time_of_the_jobs_zone_or_until_it_is_resumed(
    typing: Typing, place: Installation
) -> None:
    assert typing("pause", "clockwork.nightly", "--until", "2099-01-19 23:50").code == 0
    assert typing("pause", "all", "--until-resumed").out == "all is paused until somebody resumes it\n"

    assert {pause.target: pause.until for pause in held(place)} == {
        "clockwork.nightly": datetime(2099, 1, 19, 18, 20, tzinfo=UTC),
        "all": None,
    }


def test_resuming_ends_it_and_says_what_is_still_paused(typing: Typing, place: Installation) -> None:
    paused(place, "clockwork", NOON, None)

    refused = typing("resume", "all")
    done = typing("resume", "clockwork", "--note", "it stands")

    assert (refused.code, refused.out) == (4, "")
    assert refused.err == "opsconsole: all is not paused; paused now: clockwork\n"
    assert (done.code, done.out) == (0, "clockwork goes on\n")
    assert held(place) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--for", "2h", "--until-resumed"), "--for, --until and --until-resumed exclude each other"),
        (("--for", "long"), "'long' is not a duration; write it as 45m, 2h or 1d12h"),
        (("--until", "soon"), "'soon' is not a time"),
        (("--until", "2h ago"), "'2h ago' is not a time"),
    ],
)
def test_a_pause_that_cannot_be_meant_is_refused_before_it_is_asked_for(
    typing: Typing, place: Installation, arguments: tuple[str, ...], says: str
) -> None:
    told = typing("pause", "clockwork", *arguments)

    assert (told.code, told.out) == (2, "")
    assert says in told.err
    assert told.err.count("\n") == 1
    assert place.service.queries.audit_entries(limit=1) == []


def test_a_pause_that_is_over_and_a_job_that_is_not_there_are_refused(typing: Typing, place: Installation) -> None:
    over = typing("pause", "clockwork", "--until", "2020-01-01T00:00:00Z")
    unknown = typing("pause", "clockwork.hourley")

    assert (over.code, over.err) == (
        4,
        "opsconsole: the pause would end at 2020-01-01 00:00 UTC, which is in the past\n",
    )
    assert unknown.code == 2
    assert "unknown job 'clockwork.hourley'; available jobs: clockwork.hourly" in unknown.err


def test_whoever_may_only_look_changes_nothing(typing: Typing, place: Installation) -> None:
    run = queued(place, "counting.count", NOON)

    for arguments in (("pause", "all"), ("resume", "all"), ("cancel", str(run)), ("run", "counting.count")):
        told = typing("--read-only", *arguments)
        assert (told.code, told.out) == (77, "")
        assert "not allowed in read-only mode" in told.err
    assert held(place) == []
    assert place.service.queries.run(run).stop is None


def test_jobs_tell_who_paused_them_and_until_when(typing: Typing, place: Installation) -> None:
    paused(place, "clockwork", NOON, None, "the printer is moved")
    paused(place, "clockwork.hourly", NOON, datetime(2099, 1, 1, tzinfo=UTC))

    lines = {line.split()[0]: line for line in typing("jobs").out.splitlines()}
    told = {each["job"]: each["pauses"] for each in typing("jobs", "--json").json}

    assert "until resumed by asha" in lines["clockwork.hourly"]
    assert "paused" not in lines["counting.count"]
    assert [each["target"] for each in told["clockwork.hourly"]] == ["clockwork", "clockwork.hourly"]
    assert told["clockwork.patient"] == [
        {
            "target": "clockwork",
            "since": "2026-01-19T12:00:00Z",
            "until": None,
            "requested_by": "asha",
            "note": "the printer is moved",
        }
    ]
    assert told["counting.count"] == []


# --- cancel -------------------------------------------------------------------------------------------------------


def test_a_run_that_goes_on_is_cancelled_by_who_leads(typing: Typing, place: Installation) -> None:
    counting.put(place.data, {f"slow{n:03}": "dawdles" for n in range(200)}, score=20)
    with place.leading():
        run = place.begin("counting.count")
        eventually(lambda: place.service.queries.run(run).counts.ok > 0, "it has begun")

        told = typing("cancel", str(run), "--wait", "--note", "wrong day")

    ended = place.service.queries.run(run)
    assert told.code == 0
    assert f"run {run} counting.count" in told.out
    assert ended.state is RunState.CANCELLED
    assert ended.error is not None
    assert ended.error.endswith("wrong day")
    assert ended.counts.planned == ended.counts.ok + ended.counts.not_reached


def test_a_run_that_waits_is_to_end_though_nobody_leads(typing: Typing, place: Installation) -> None:
    run = queued(place, "counting.count", NOON)

    told = typing("cancel", str(run), "--force", "--json").json

    assert (told["id"], told["message"]) == (run, f"run {run} of counting.count ends at once")
    with place.leading():
        ended = place.service.commands.wait_for_run(run, PATIENCE_SECONDS)
    assert ended is not None
    assert (ended.state, ended.started_at) == (RunState.CANCELLED, None)


def test_on_a_terminal_it_asks_first(typing: Typing, place: Installation) -> None:
    run = queued(place, "counting.count", NOON)

    told = typing("cancel", str(run), answers="n")

    assert (told.code, told.out) == (1, "")
    assert (
        f"Cancel run {run} of counting.count for 2026-01-19T12:00:00Z when its batches in flight are done?" in told.err
    )
    assert "not confirmed; nothing was changed" in told.err
    assert place.service.queries.run(run).stop is None
    assert typing("cancel", str(run), answers="y").code == 0
    assert place.service.queries.run(run).stop is not None


def test_what_has_ended_cannot_be_cancelled(typing: Typing, place: Installation) -> None:
    run = ran(place, "counting.count", NOON - HOUR, scheduled=False)

    ended, unknown = typing("cancel", str(run)), typing("cancel", "99")

    assert (ended.code, ended.err) == (4, f"opsconsole: run {run} has already ended: it is succeeded\n")
    assert (unknown.code, unknown.err) == (2, "opsconsole: run 99 does not exist; `opsconsole runs` lists the newest\n")
