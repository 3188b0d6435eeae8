"""Cache keys: made in one place, and never another key than the one that was meant."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from opsconsole.cache.client import Cache
from opsconsole.cache.families import BadKey, Family
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.errors import Unavailable

DAYS = Family("days", "date:user:{date}:{user}", ttl=timedelta(hours=2), of=("user",))
LONG = Family("long", "long:{a}:{b}:{c}", ttl=timedelta(minutes=1))


@given(st.text(max_size=120))
def test_a_key_is_refused_or_has_exactly_the_parts_it_was_made_of(user: str) -> None:
    try:
        key = DAYS.key(date="2025-01-19", user=user)
    except BadKey:
        return
    assert key.split(":") == ["date", "user", "2025-01-19", user]
    assert not set("*?[]\\") & set(key)
    assert key.split() == [key]
    assert all(character.isprintable() or ord(character) > 0x9F for character in key)


@pytest.mark.parametrize(
    "part", ["", "a:b", "*", "a?", "[", "]", "\\", "a b", "a\u00a0b", "\n", "\x7f", "\x85", "x" * 101]
)
def test_what_cannot_stand_in_a_key_is_refused_in_a_sentence(part: str) -> None:
    with pytest.raises(BadKey, match="cannot be part of a cache key: it ") as refused:
        DAYS.key(date="2025-01-19", user=part)

    assert refused.value.sentence.isprintable()


def test_a_key_is_shorter_than_two_hundred_and_fifty_characters() -> None:
    assert len(LONG.key(a="x" * 100, b="x" * 100, c="x" * 42)) == 249

    with pytest.raises(BadKey, match="the key would be longer than 249 characters"):
        LONG.key(a="x" * 100, b="x" * 100, c="x" * 43)


def test_braces_in_a_part_are_only_braces() -> None:
    assert DAYS.key(date="2025-01-19", user="{date}") == "date:user:2025-01-19:{date}"


def test_values_are_written_removed_and_refused_in_one_go(redis_url: str) -> None:
    cache = Cache(redis_url)
    cache.client.set("date:user:2025-01-19:ben", "old")

    refused = cache.replace(DAYS, {"asha": b"[1]", "ben": None, "c:d": b"[2]"}, by="user", date="2025-01-19")

    assert list(refused) == ["c:d"]
    assert cache.client.keys() == [b"date:user:2025-01-19:asha"]
    assert cache.client.get("date:user:2025-01-19:asha") == b"[1]"
    assert 7190 < cache.client.ttl("date:user:2025-01-19:asha") <= 7200
    cache.close()


def test_a_key_that_holds_something_else_is_replaced(redis_url: str) -> None:
    cache = Cache(redis_url)
    cache.client.lpush("date:user:2025-01-19:asha", "1")

    assert cache.replace(DAYS, {"asha": b"[1]"}, by="user", date="2025-01-19") == {}
    assert cache.client.get("date:user:2025-01-19:asha") == b"[1]"
    cache.close()


def test_nothing_at_all_is_nothing_to_do() -> None:
    cache = Cache("unix:///nowhere/redis.sock")

    assert cache.replace(DAYS, {}, by="user", date="2025-01-19") == {}
    cache.close()


def test_a_server_that_is_not_there_is_one_error() -> None:
    cache = Cache("unix:///nowhere/redis.sock")

    with pytest.raises(Unavailable, match="Redis is away: the connection was refused or cut"):
        cache.replace(DAYS, {"asha": b"[1]"}, by="user", date="2025-01-19")
    cache.close()


def test_a_server_that_only_reads_is_away_for_writing(own_redis: EmbeddedRedis) -> None:
    cache = Cache(own_redis.url)
    cache.client.replicaof("127.0.0.1", "1")

    with pytest.raises(Unavailable, match="it is a read-only replica"):
        cache.replace(DAYS, {"asha": b"[1]"}, by="user", date="2025-01-19")
    cache.close()
