"""Background commands: clearing keys and publishing events again, step by step in a thread of the leader."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from opsconsole.authoring import outbox
from opsconsole.authoring.outbox import Event
from opsconsole.cache.clearing import BadClearFilter
from opsconsole.cache.families import BadKey
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.reads import Reads
from opsconsole.core.errors import Exit
from opsconsole.core.settings import Actor, Role
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.leader import background_tasks
from opsconsole.rules.actions import NoClearing
from opsconsole.store import cache_days, commands
from tests.conftest import Installing
from tests.event_records import unpublished
from tests.installation import Installation
from tests.soak import postgresql_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = postgresql_in_soak

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as made:
        yield made


@pytest.fixture
def place(installing: Installing, database_url: str, redis_url: str) -> Installation:
    return installing(database_url=database_url, redis_url=redis_url)


def fill(client: redis.Redis, *users: str, day: str = "2025-01-19") -> None:
    client.mset({f"date:user:{day}:{user}": "[]" for user in users})


def test_matching_keys_are_counted_cleared_and_recorded(place: Installation, client: redis.Redis) -> None:
    fill(client, *(f"u{i}" for i in range(1500)))
    fill(client, "u1", day="2025-01-20")
    client.set("another:key", "1")
    selected = ClearFilter(date="2025-01-19")
    *_, counted = place.service.cache.count_keys(selected)

    with place.leading():
        command = place.service.commands.clear_cache(selected, counted=counted.total)
        outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)

    assert counted.total == 1500
    assert outcome is not None
    assert outcome.done == "cleared 1,500 keys of 1 family"
    assert outcome.facts["families"] == {"attempts.day": 1500}
    assert set(client.keys()) == {"date:user:2025-01-20:u1", "another:key"}
    came_of_it, requested = place.audited_commands()
    assert (requested.verb, requested.target, requested.outcome) == ("clear", "date 2025-01-19", "requested")
    assert came_of_it.after is not None
    assert came_of_it.after["cleared"] == 1500


def test_a_cancelled_clearing_reports_what_it_has_cleared(place: Installation, client: redis.Redis) -> None:
    fill(client, *(f"u{i}" for i in range(30)))
    command = place.service.commands.clear_cache(ClearFilter(family="attempts.day"))
    assert place.service.cache.is_clearing()
    with place.store.writing() as db:  # as an earlier leader has left it
        commands.record_progress(db, commands.get(db, command), {"step": "clearing", "families": {"attempts.day": 70}})
        assert commands.request_stop(db, commands.get(db, command), "asha")

    with place.leading():
        outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)

    assert outcome is not None
    assert outcome.done == "cleared 70 keys of 1 family, then asha cancelled it"
    assert len(client.keys()) == 30


def test_a_clearing_that_runs_stops_at_its_next_step(
    place: Installation, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_tasks, "PROGRESS_SECONDS", -1.0)
    total = 60_000
    fill(client, *(f"u{i}" for i in range(total)))

    with place.leading():
        command = place.service.commands.clear_cache(ClearFilter(family="attempts.day"))
        eventually(lambda: place.service.commands.progress(command) is not None, "it has begun")
        place.service.commands.cancel_clearing(command)
        outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)

    assert outcome is not None
    assert outcome.facts["cleared"] + len(client.keys()) == total


def test_only_a_clearing_that_runs_can_be_cancelled(place: Installation) -> None:
    assert not place.service.cache.is_clearing()
    with pytest.raises(NoClearing, match="no clearing is running"):
        place.service.commands.cancel_clearing()

    with place.leading():
        outcome = place.service.commands.outcome(place.service.commands.cancel_clearing(7), PATIENCE_SECONDS)

    assert outcome is not None
    assert (outcome.refused, outcome.exit_code) == ("command 7 is not a running clearing", Exit.REFUSED)


def test_a_clearing_is_compared_with_the_reads_of_its_families(place: Installation, client: redis.Redis) -> None:
    fill(client, "u1", "u2")
    today = place.service.now().date()

    def read(hits: int, misses: int, family: str = "attempts.day") -> None:
        with place.store.writing() as db:
            cache_days.add_reads(db, today, {family: Reads(hits, misses)})

    read(90, 10)
    read(1, 1, "practice.session")
    with place.leading():
        command = place.service.commands.clear_cache(ClearFilter(user="u1"))
        assert place.service.commands.outcome(command, PATIENCE_SECONDS) is not None
    read(5, 5)

    (clearing,) = place.service.cache.clearings(limit=9)

    assert (clearing.command, clearing.target, clearing.cleared) == (command, "user u1", 1)
    assert (clearing.before.hit_rate, clearing.after) == (0.9, Reads(5, 5))


def test_a_clear_is_refused_when_many_more_keys_match_than_were_counted(
    place: Installation, client: redis.Redis
) -> None:
    fill(client, *(f"u{i}" for i in range(200)))

    with place.leading():
        outcome = place.service.commands.outcome(
            place.service.commands.clear_cache(ClearFilter(family="attempts.day"), counted=100), PATIENCE_SECONDS
        )

    assert outcome is not None
    assert outcome.refused == "200 keys match now, not 100; count them again before clearing"
    assert outcome.exit_code == Exit.REFUSED
    assert client.dbsize() == 200


@pytest.mark.parametrize("selected", [ClearFilter(), ClearFilter(family="attempts.dya"), ClearFilter(date="19.1.2025")])
def test_an_invalid_filter_is_refused_before_it_is_requested(place: Installation, selected: ClearFilter) -> None:
    with pytest.raises(BadClearFilter):
        place.service.commands.clear_cache(selected)

    assert place.service.audit.newest(limit=9) == []


@pytest.mark.parametrize("user", ["*", "u?", "[a]", "a b", "u:1", "\\", ""])
def test_an_id_with_a_wildcard_is_refused(place: Installation, user: str) -> None:
    with pytest.raises(BadKey):
        place.service.commands.clear_cache(ClearFilter(user=user))


def test_the_leader_refuses_a_clear_by_a_viewer(place: Installation, client: redis.Redis) -> None:
    fill(client, "u1")
    viewer = Actor("vera", "local", Role.VIEWER)
    with place.store.writing() as db:
        number = commands.request(db, "clear", "user u1", {"user": "u1"}, viewer, NOON)

    with place.leading():
        outcome = place.service.commands.outcome(number, PATIENCE_SECONDS)

    assert outcome is not None
    assert outcome.exit_code == Exit.NOT_ALLOWED
    assert client.dbsize() == 1


def test_a_clear_without_redis_reports_the_outage(installing: Installing, own_redis: EmbeddedRedis) -> None:
    place = installing(database_url=None, redis_url=own_redis.url)
    own_redis.stop()

    with place.leading():
        outcome = place.service.commands.outcome(
            place.service.commands.clear_cache(ClearFilter(user="u1")), PATIENCE_SECONDS
        )

    assert outcome is not None
    assert outcome.refused is not None
    assert "0 keys cleared so far" in outcome.refused
    assert outcome.exit_code == Exit.FAILED


def test_an_interrupted_clear_is_finished_by_the_next_leader(place: Installation, client: redis.Redis) -> None:
    fill(client, "u1", "u2")
    number = place.service.commands.clear_cache(ClearFilter(family="attempts.day"))
    with place.store.writing() as db:
        commands.record_progress(
            db, commands.get(db, number), {"step": "clearing", "scanned": 1, "of": 2, "cleared": 1}
        )
    so_far = place.service.commands.progress(number)

    with place.leading():
        outcome = place.service.commands.outcome(number, PATIENCE_SECONDS)

    assert so_far is not None
    assert (so_far.step, so_far.scanned, so_far.of, so_far.cleared) == ("clearing", 1, 2, 1)
    assert outcome is not None
    assert outcome.facts["cleared"] == 2
    assert place.service.commands.progress(number) is None


def test_events_are_published_again(place: Installation, client: redis.Redis) -> None:
    with place.data.writing() as db:
        outbox.append(db, [Event("Noted", "old", {})], NOON - timedelta(hours=1))
        outbox.append(db, [Event("Noted", "new", {})], NOON)

    with place.leading():
        eventually(lambda: unpublished(place.data) == 0, "both are published")
        outcome = place.service.commands.outcome(place.service.commands.replay_events(NOON), PATIENCE_SECONDS)
        eventually(lambda: client.xlen("events") == 3, "the new one is published again")

    assert outcome is not None
    assert outcome.done == "queued 1 event to be published again"
    streamed: Any = client.xrange("events")
    assert [fields["key"] for _, fields in streamed] == ["old", "new", "new"]
