"""`pause` and `resume`, with another leader and without."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.core import clock
from opsconsole.rules.pauses import Pause
from opsconsole.store import pauses
from tests.cli.conftest import RunCli
from tests.cli.seeds import NOON, paused, queued
from tests.installation import Installation, is_at_work
from tests.waiting import eventually


def active_pauses(installation: Installation) -> list[Pause]:
    with installation.store.reading() as db:
        return pauses.in_force(db, clock.now())


def test_a_pause_takes_effect_without_another_leader(cli: RunCli, installation: Installation) -> None:
    result = cli("pause", "clockwork.hourly", "--note", "the printer is moved")

    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("paused clockwork.hourly until ")
    (pause,) = active_pauses(installation)
    assert (pause.target, pause.note) == ("clockwork.hourly", "the printer is moved")
    assert pause.until is not None
    assert timedelta(hours=11, minutes=59) < pause.until - clock.now() <= timedelta(hours=12)
    assert installation.service.queries.leader() is None, "the lease was released"


def test_another_leader_executes_a_pause(cli: RunCli, installation: Installation) -> None:
    with installation.leading() as engine:
        eventually(lambda: is_at_work(engine), "the engine leads")
        result = cli("pause", "clockwork", "--for", "90m", "--json").json

        assert result == {"command": result["command"], "state": "done", "message": result["message"]}
        assert engine.is_leading
    (pause,) = active_pauses(installation)
    assert pause.target == "clockwork"
    assert pause.until is not None
    assert timedelta(minutes=89) < pause.until - clock.now() <= timedelta(minutes=90)


def test_a_pause_lasts_until_a_time_in_the_jobs_zone_or_until_resumed(cli: RunCli, installation: Installation) -> None:
    nightly = cli("pause", "clockwork.nightly", "--until", "2099-01-19 23:50")
    assert cli("pause", "all", "--until-resumed").out == "paused all until it is resumed\n"

    assert nightly.out == "paused clockwork.nightly until 2099-01-19 23:50 UTC+05:30\n"
    assert {pause.target: pause.until for pause in active_pauses(installation)} == {
        "clockwork.nightly": datetime(2099, 1, 19, 18, 20, tzinfo=UTC),
        "all": None,
    }


def test_a_second_pause_extends_the_first_but_never_shortens_it(cli: RunCli, installation: Installation) -> None:
    first = cli("pause", "clockwork.nightly", "--until", "2099-01-19 23:50", "--note", "the database moves")
    shorter = cli("pause", "clockwork.nightly", "--for", "2h")
    longer = cli("pause", "clockwork.nightly", "--until-resumed")
    ended = cli("pause", "clockwork.nightly", "--until", "2099-01-19 23:50")
    other = cli("pause", "clockwork", "--for", "2h")

    assert first.code == 0
    assert (shorter.code, shorter.out) == (4, "")
    assert "is paused by" in shorter.err
    assert "until 2099-01-19 18:20 UTC (the database moves); to shorten that, resume it first" in shorter.err
    assert longer.out == "paused clockwork.nightly until it is resumed; this extends an earlier pause\n"
    assert "until it is resumed; to shorten that, resume it first" in ended.err
    assert other.code == 0, "a pause of the pack is another pause"
    assert {pause.target: pause.until is None for pause in active_pauses(installation)} == {
        "clockwork.nightly": True,
        "clockwork": False,
    }


def test_resume_ends_a_pause_and_a_refusal_lists_active_pauses(cli: RunCli, installation: Installation) -> None:
    paused(installation, "clockwork", NOON, None)

    refused = cli("resume", "all")
    done = cli("resume", "clockwork", "--note", "the printer is back")

    assert (refused.code, refused.out) == (4, "")
    assert refused.err == "opsconsole: there is no pause of all jobs; paused now: clockwork\n"
    assert (done.code, done.out) == (0, "resumed clockwork\n")
    assert active_pauses(installation) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--for", "2h", "--until-resumed"), "--for, --until and --until-resumed exclude each other"),
        (("--for", "long"), "'long' is not a duration; write it as 45m, 2h or 1d12h"),
        (("--until", "soon"), "'soon' is not a time"),
        (("--until", "2h ago"), "'2h ago' is not a time"),
    ],
)
def test_an_invalid_pause_is_refused_before_it_is_requested(
    cli: RunCli, installation: Installation, arguments: tuple[str, ...], message: str
) -> None:
    result = cli("pause", "clockwork", *arguments)

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert installation.service.audit.newest(limit=1) == []


def test_a_pause_in_the_past_and_an_unknown_job_are_refused(cli: RunCli, installation: Installation) -> None:
    over = cli("pause", "clockwork", "--until", "2020-01-01T00:00:00Z")
    unknown = cli("pause", "clockwork.hourley")

    assert (over.code, over.err) == (
        4,
        "opsconsole: the pause would end at 2020-01-01 00:00 UTC, which is in the past; choose a later time\n",
    )
    assert unknown.code == 2
    assert "unknown job or pack 'clockwork.hourley'; did you mean clockwork.hourly" in unknown.err


def test_a_viewer_changes_nothing(cli: RunCli, installation: Installation) -> None:
    run = queued(installation, "counting.count", NOON)

    for arguments in (("pause", "all"), ("resume", "all"), ("cancel", str(run)), ("run", "counting.count")):
        result = cli("--read-only", *arguments)
        assert (result.code, result.out) == (77, "")
        assert "not allowed in read-only mode" in result.err
    assert active_pauses(installation) == []
    assert installation.service.queries.run(run).stop is None


def test_jobs_shows_active_pauses(cli: RunCli, installation: Installation) -> None:
    paused(installation, "clockwork", NOON, None, "the printer is moved")
    paused(installation, "clockwork.hourly", NOON, datetime(2099, 1, 1, tzinfo=UTC))

    lines = {line.split()[0]: line for line in cli("jobs").out.splitlines()}
    result = {each["job"]: each["pauses"] for each in cli("jobs", "--json").json}

    assert "by asha until resumed" in lines["clockwork.hourly"]
    assert "paused" not in lines["counting.count"]
    assert [each["target"] for each in result["clockwork.hourly"]] == ["clockwork", "clockwork.hourly"]
    assert result["clockwork.patient"] == [
        {
            "target": "clockwork",
            "since": "2026-01-19T12:00:00Z",
            "until": None,
            "requested_by": "asha",
            "note": "the printer is moved",
        }
    ]
    assert result["counting.count"] == []
