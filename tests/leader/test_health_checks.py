"""The states of all jobs, recorded every five minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.core.errors import Fenced
from opsconsole.leader.health_checks import HealthChecks
from opsconsole.rules.leadership import Identity
from opsconsole.store import health_checks, lease, pauses, registrations
from tests.conftest import Installing
from tests.installation import Installation

NOW = datetime(2026, 3, 1, 12, 3, 20, tzinfo=UTC)
ME = Identity("uuid", "web1", 812, "1", "boot", "asha")


@pytest.fixture
def place(database_url: str, installing: Installing) -> Installation:
    return installing(database_url=database_url, redis_url="redis://127.0.0.1:1", packs="tests.packs.clockwork")


def take(place: Installation) -> int:
    with place.store.writing() as db:
        token = lease.take(db, lease.read(db), ME, NOW)
    assert token is not None
    return token


def recorded(place: Installation) -> list[tuple[str, dict[str, str]]]:
    with place.store.reading() as db:
        return [
            (f"{each.at:%H:%M}", dict(each.states)) for each in health_checks.since(db, NOW - timedelta(1), limit=9)
        ]


def test_the_states_of_all_jobs_are_recorded_every_five_minutes(place: Installation) -> None:
    token, at = take(place), NOW
    with place.store.writing() as db:
        for job in place.catalog:
            registrations.register(db, job, NOW)
        pauses.add(db, "clockwork.nightly", since=NOW, until=None, who="asha", note="")
    checks = HealthChecks(place.store, place.catalog, token, may_start_work=lambda: True, now=lambda: at)
    for minutes in (0, 1, 2, 4):
        at = NOW + timedelta(minutes=minutes)
        checks.check()
    HealthChecks(place.store, place.catalog, token, may_start_work=lambda: True, now=lambda: at).check()

    states = {job.name: "new" for job in place.catalog} | {"clockwork.nightly": "paused"}
    assert recorded(place) == [("12:00", states), ("12:05", states)]


def test_a_former_leader_records_nothing(place: Installation) -> None:
    token = take(place)
    take(place)

    with pytest.raises(Fenced):
        HealthChecks(place.store, place.catalog, token, may_start_work=lambda: True, now=lambda: NOW).check()

    assert recorded(place) == []
