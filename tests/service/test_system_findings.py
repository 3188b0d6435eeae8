"""A process without a leader judges by itself what it can: services, Redis's memory, and that nobody leads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import redis
from sqlalchemy import update

from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.rules.findings import FindingKind
from opsconsole.service import sampler
from opsconsole.store import schema
from tests.conftest import Installing
from tests.installation import Installation, is_at_work
from tests.packs import counting
from tests.waiting import eventually

MB = 1 << 20


@pytest.fixture
def place(
    installing: Installing, database_url: str, own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    monkeypatch.setattr(sampler, "REDIS_SECONDS", 0.0)
    environ = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    return installing(database_url=database_url, redis_url=own_redis.url, packs="tests.packs.counting", environ=environ)


def kinds(place: Installation) -> set[FindingKind]:
    return {finding.kind for finding in place.service.snapshot().findings}


def test_redis_that_is_full_or_gone_is_found_while_it_is(place: Installation, own_redis: EmbeddedRedis) -> None:
    before = kinds(place)
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", int(int(client.info()["used_memory"]) * 1.02))
        full = kinds(place)
        client.config_set("maxmemory", 0)
    roomy = kinds(place)
    own_redis.stop()
    gone = kinds(place)
    own_redis.ensure()

    assert (before, full, roomy) == (set(), {FindingKind.MEMORY_NEARLY_FULL}, set())
    assert gone == {FindingKind.UNREACHABLE}
    assert kinds(place) == set()


def test_nobody_leads_once_a_lease_was_not_renewed_for_a_while(place: Installation) -> None:
    never = kinds(place)
    counting.put(place.data, {"asha": "fine"})
    place.run("counting.count", "2025-01-19")
    just_now = kinds(place)
    _renewed(place, timedelta(minutes=5))
    long_ago = kinds(place)
    with place.leading() as engine:
        eventually(lambda: is_at_work(engine), "it leads")
        led = kinds(place)

    assert (never, just_now) == (set(), set()), "it is starting, or restarting"
    assert long_ago == {FindingKind.NOT_LEADING}
    assert FindingKind.NOT_LEADING not in led


def _renewed(place: Installation, ago: timedelta) -> None:
    with place.store.writing() as db:
        db.execute(update(schema.lease).values(renewed_at=datetime.now(UTC) - ago))


def test_keys_that_a_restart_of_redis_has_cost_are_counted(place: Installation, own_redis: EmbeddedRedis) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.mset({f"key{n}": "value" for n in range(40)})
    before = place.service.snapshot().redis
    own_redis.stop()
    gone = place.service.snapshot().redis
    own_redis.ensure()
    after = place.service.snapshot().redis

    assert (before.lost, gone.lost) == (None, None)
    assert after.outage is None
    assert after.lost is not None
    assert after.lost.count == 40
    assert place.service.snapshot().redis.lost == after.lost, "it stays shown"
