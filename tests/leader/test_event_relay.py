"""Events reach the Redis stream in order and at least once, also after faults of Redis or of the relay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from opsconsole.authoring import outbox
from opsconsole.authoring.context import Resources
from opsconsole.authoring.outbox import Event
from opsconsole.core.database import Database
from opsconsole.core.errors import Unavailable
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.leader import event_relay as relay
from opsconsole.store import data_tables as datatables, events
from tests.conftest import Installing
from tests.event_records import unpublished
from tests.packs.notes import notes
from tests.waiting import eventually

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)
INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}


@pytest.fixture
def tools(database_url: str, redis_url: str) -> Iterator[Resources]:
    made = Resources(database_url, redis_url, now=lambda: NOON)
    datatables.create_missing(made.data, ())
    yield made
    made.close()


def emit(data: Database, *keys: str, at: datetime = NOON) -> None:
    with data.writing() as db:
        outbox.append(db, [Event("Noted", key, {"n": key}) for key in keys], at)


def streamed(url: str) -> list[dict[str, str]]:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return [fields for _, fields in client.xrange(relay.STREAM)]


def test_events_are_published_once_in_order(tools: Resources, redis_url: str) -> None:
    keys = [f"k{i:04}" for i in range(relay.PAGE + 20)]
    emit(tools.data, *keys)

    assert relay.publish(tools) == len(keys)
    assert relay.publish(tools) == 0

    found = streamed(redis_url)
    assert [fields["key"] for fields in found] == keys
    first = {name: value for name, value in found[0].items() if name != "id"}
    assert first == {
        "name": "Noted",
        "key": "k0000",
        "payload": '{"n":"k0000"}',
        "occurred_at": "2025-01-19T12:00:00.000+00:00",
    }
    assert [int(fields["id"]) for fields in found] == sorted(int(fields["id"]) for fields in found)


def test_an_outage_delays_events_but_loses_none(database_url: str, own_redis: EmbeddedRedis) -> None:
    tools = Resources(database_url, own_redis.url)
    datatables.create_missing(tools.data, ())
    emit(tools.data, "before")
    relay.publish(tools)
    own_redis.stop()
    emit(tools.data, "during 1", "during 2")

    with pytest.raises(Unavailable):
        relay.publish(tools)
    assert unpublished(tools.data) == 2
    own_redis.ensure()
    relay.publish(tools)

    assert [fields["key"] for fields in streamed(own_redis.url)] == ["during 1", "during 2"]
    assert unpublished(tools.data) == 0
    tools.close()


def test_events_wait_while_redis_is_out_of_memory(tools: Resources, redis_url: str) -> None:
    emit(tools.data, "one", "two")
    with redis.Redis.from_url(redis_url) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(Unavailable, match="out of memory"):
                relay.publish(tools)
        finally:
            client.config_set("maxmemory", before)

    assert unpublished(tools.data) == 2
    assert streamed(redis_url) == []
    assert relay.publish(tools) == 2


def test_a_process_that_lost_the_lease_publishes_nothing(tools: Resources, redis_url: str) -> None:
    emit(tools.data, "one")

    assert relay.publish(tools, may_continue=lambda: False) == 0

    assert streamed(redis_url) == []


def test_events_since_a_time_are_published_again(tools: Resources, redis_url: str) -> None:
    emit(tools.data, "old", at=NOON - timedelta(hours=1))
    emit(tools.data, "new 1", "new 2", at=NOON)
    relay.publish(tools)

    with tools.data.writing() as db:
        again = events.publish_again(db, NOON)
    relay.publish(tools)

    assert again == 2
    assert [fields["key"] for fields in streamed(redis_url)] == ["old", "new 1", "new 2", "new 1", "new 2"]


def test_the_leader_publishes_what_jobs_emit(installing: Installing, database_url: str, redis_url: str) -> None:
    place = installing(database_url=database_url, redis_url=redis_url, packs="tests.packs.notes", environ=INLINE)
    with place.data.writing() as db:
        db.execute(notes.insert(), [{"id": "n1", "text": "good"}, {"id": "n2", "text": "good"}])

    with place.leading():
        place.run("notes.copy", "2025-01-19")
        eventually(lambda: len(streamed(redis_url)) == 2, "both are published")

    assert sorted(fields["key"] for fields in streamed(redis_url)) == ["n1:good", "n2:good"]


def test_a_single_command_publishes_before_it_ends(installing: Installing, database_url: str, redis_url: str) -> None:
    place = installing(database_url=database_url, redis_url=redis_url, packs="tests.packs.notes", environ=INLINE)
    with place.data.writing() as db:
        db.execute(notes.insert(), [{"id": "n1", "text": "good"}])

    place.run("notes.copy", "2025-01-19")

    assert [fields["key"] for fields in streamed(redis_url)] == ["n1:good"]
