"""What a console shows first, of many jobs: an outline, and their histories a moment later."""

from __future__ import annotations

from typing import NoReturn

import pytest
from sqlalchemy.exc import OperationalError

from opsconsole.core.problems import Work
from opsconsole.service import parts, sampler
from opsconsole.service.snapshot import Snapshot
from tests.conftest import Installing
from tests.packs import counting
from tests.soak import postgresql_in_soak
from tests.waiting import eventually

pytestmark = postgresql_in_soak


@pytest.mark.parametrize("many", [True, False])
def test_the_jobs_are_shown_before_their_histories_where_there_are_many(
    many: bool, installing: Installing, monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
) -> None:
    monkeypatch.setattr(sampler, "MANY_JOBS", 1 if many else 1000)
    environ = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    place = installing(database_url=database_url, redis_url=redis_url, packs="tests.packs.counting", environ=environ)
    counting.put(place.data, {"asha": "fine"})
    run = place.run("counting.count", "2025-01-19")
    found: list[Snapshot] = []

    place.service.watch(found.append)
    eventually(lambda: len(found) >= 2, "two Snapshots")

    first, second = found[:2]
    newest = {card.name: card.last for card in first.jobs}["counting.count"]
    assert newest is not None
    assert newest.id == run.id
    assert first.unread == ((Work.HISTORIES, Work.HEALTH) if many else ())
    assert (first.histories == ()) is many
    assert (second.unread, [card.name for card in second.jobs]) == ((), [card.name for card in first.jobs])
    assert {each.job for each in second.histories if each.newest} == {"counting.count"}
    assert (first.redis.stats, second.redis.stats is not None) == (None, True)


def is_unreachable(*_: object) -> NoReturn:
    raise OperationalError(None, None, ConnectionRefusedError("refused"))


def test_an_outage_after_the_outline_is_no_reason_to_hurry(
    installing: Installing, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    monkeypatch.setattr(sampler, "MANY_JOBS", 1)
    place = installing(database_url=None, redis_url=redis_url, packs="tests.packs.counting")
    taken = place.service._sampler

    assert taken._step() == 0.0, "the histories are missing"
    monkeypatch.setattr(parts, "read", is_unreachable)
    waits = taken._step(), taken._step()

    assert waits == (sampler.QUIET_SECONDS, sampler.QUIET_SECONDS)
