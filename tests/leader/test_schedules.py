"""Schedules that operators change: they apply from the next time on, survive restarts, and are undone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.authoring.catalog import Catalog
from opsconsole.core.errors import BadCron
from opsconsole.rules.actions import SameSchedule
from opsconsole.service.occurrences import why
from opsconsole.store import schedules
from tests.conftest import Installing
from tests.installation import Installation
from tests.leader.test_scheduler import THURSDAY, ManualClock, all_ended, leading, occurrence_rows, plan_once
from tests.packs import clockwork
from tests.waiting import PATIENCE_SECONDS, eventually

JOB = "clockwork.hourly"


@pytest.fixture
def place(installing: Installing, tmp_path: Path) -> Installation:
    environ = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.clockwork",
        environ=environ,
    )


def done(place: Installation, command: int) -> str | None:
    outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
    assert outcome is not None
    return outcome.refused or outcome.done


def test_a_changed_schedule_applies_from_its_next_time_on_and_survives_a_restart(place: Installation) -> None:
    commands, clock = place.service.commands, ManualClock(THURSDAY)  # 12:10
    with leading(place, clock):
        change = commands.schedule(JOB, "5  * * * *", note="the source is late")
        assert done(place, change) == f"the schedule of {JOB} is '5 * * * *' (UTC) from now on"
        clock.at = THURSDAY.replace(hour=13, minute=1)
        eventually(lambda: occurrence_rows(place, "clockwork.patient") != [], "the other jobs are planned")
        assert occurrence_rows(place, JOB) == []
        clock.at = THURSDAY.replace(hour=13, minute=5, second=10)
        eventually(lambda: occurrence_rows(place, JOB) != [], "it runs by its new schedule")
        eventually(lambda: all_ended(place), "all runs have ended")
    plan_once(place, THURSDAY.replace(hour=13, minute=50), Catalog((), {JOB: clockwork.hourly}, {}))

    assert occurrence_rows(place, JOB) == [("16 13:05", "16 13:05", 1, "ran", None)]
    with place.store.reading() as db:
        explained = why(db, place.service.catalog, JOB, None, THURSDAY + timedelta(hours=1))
    assert "changed by" in explained.notes[0]
    assert "(the source is late); reset it to '0 * * * *' (UTC)" in explained.notes[0]


def test_a_reset_gives_the_schedule_of_the_code_again(place: Installation) -> None:
    commands = place.service.commands
    with place.leading():
        assert "was not changed" in str(done(place, commands.reset_schedule(JOB)))
        done(place, commands.schedule(JOB, "5 * * * *", "Asia/Kolkata"))
        (card,) = [card for card in place.service.queries.jobs() if card.name == JOB]
        assert (card.cron, card.tz, card.words.endswith("(changed)")) == ("5 * * * *", "Asia/Kolkata", True)
        with pytest.raises(SameSchedule):
            commands.schedule(JOB, "5 * * * *")
        done(place, commands.reset_schedule(JOB))

    (card,) = [card for card in place.service.queries.jobs() if card.name == JOB]
    assert (card.cron, card.tz, card.changed) == ("0 * * * *", "UTC", "")
    with place.store.reading() as db:
        assert schedules.changed(db) == {}


def test_a_schedule_that_never_fires_is_refused_at_once(place: Installation) -> None:
    with pytest.raises(BadCron):
        place.service.commands.schedule(JOB, "0 0 30 2 *")


def test_a_schedule_that_also_changed_in_code_is_shown(place: Installation) -> None:
    with place.leading():
        done(place, place.service.commands.schedule(JOB, "5 * * * *"))
    with place.store.reading() as db:
        changed = schedules.changed(db)
    catalog = Catalog((), {JOB: replace(clockwork.hourly, cron="30 * * * *")}, {})
    catalog.apply(changed)
    with place.store.reading() as db:
        (note, *_) = why(db, catalog, JOB, None, THURSDAY).notes

    assert note.endswith("reset it to '30 * * * *' (UTC), which was '0 * * * *' (UTC) when it was changed")
