"""Cache families: keys are built in one place and parsed without ambiguity; values are written, read and removed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from opsconsole.cache.client import Cache
from opsconsole.cache.families import BadKey, Families, Family, clashes
from opsconsole.core.errors import Unavailable
from opsconsole.embedded.redis import EmbeddedRedis

DAYS = Family("days", "date:user:{date}:{user}", ttl=timedelta(hours=2), of=("user",))
LONG = Family("long", "long:{a}:{b}:{c}", ttl=timedelta(minutes=1))


@given(st.text(max_size=120))
def test_a_key_is_refused_or_has_exactly_the_given_parts(user: str) -> None:
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
def test_an_invalid_part_is_refused_with_a_reason(part: str) -> None:
    with pytest.raises(BadKey, match="cannot be part of a cache key: it ") as refused:
        DAYS.key(date="2025-01-19", user=part)

    assert refused.value.sentence.isprintable()


def test_a_key_has_at_most_249_characters() -> None:
    assert len(LONG.key(a="x" * 100, b="x" * 100, c="x" * 42)) == 249

    with pytest.raises(BadKey, match="the key would be longer than 249 characters"):
        LONG.key(a="x" * 100, b="x" * 100, c="x" * 43)


def test_braces_in_a_part_are_literal() -> None:
    assert DAYS.key(date="2025-01-19", user="{date}") == "date:user:2025-01-19:{date}"


def test_replace_writes_removes_and_refuses_values_together(redis_url: str) -> None:
    cache = Cache(redis_url)
    cache.client.set("date:user:2025-01-19:ben", "old")

    refused = cache.replace(DAYS, {"asha": b"[1]", "ben": None, "c:d": b"[2]"}, by="user", date="2025-01-19")

    assert list(refused) == ["c:d"]
    assert cache.client.keys() == [b"date:user:2025-01-19:asha"]
    assert cache.client.get("date:user:2025-01-19:asha") == b"[1]"
    assert 7190 < cache.client.ttl("date:user:2025-01-19:asha") <= 7200
    cache.close()


def test_a_key_of_another_redis_type_is_replaced(redis_url: str) -> None:
    cache = Cache(redis_url)
    cache.client.lpush("date:user:2025-01-19:asha", "1")

    assert cache.replace(DAYS, {"asha": b"[1]"}, by="user", date="2025-01-19") == {}
    assert cache.client.get("date:user:2025-01-19:asha") == b"[1]"
    cache.close()


def test_replacing_no_values_needs_no_server() -> None:
    cache = Cache("unix:///nowhere/redis.sock")

    assert cache.replace(DAYS, {}, by="user", date="2025-01-19") == {}
    cache.close()


def test_an_unreachable_server_raises_unavailable() -> None:
    cache = Cache("unix:///nowhere/redis.sock")

    with pytest.raises(Unavailable, match="Redis is unreachable: the connection was refused or closed"):
        cache.replace(DAYS, {"asha": b"[1]"}, by="user", date="2025-01-19")
    cache.close()


def test_a_read_only_replica_raises_unavailable(own_redis: EmbeddedRedis) -> None:
    cache = Cache(own_redis.url)
    cache.client.replicaof("127.0.0.1", "1")

    with pytest.raises(Unavailable, match="it is a read-only replica"):
        cache.replace(DAYS, {"asha": b"[1]"}, by="user", date="2025-01-19")
    cache.close()


# --- parsing keys -------------------------------------------------------------------------------------------------

WEAK = Family(
    "weak", "weak:{user}:{subject}", ttl=timedelta(hours=1), of=("user", "subject"), computed_from=("mastery",)
)
LEVEL = Family("level", "user:level:{user}", ttl=timedelta(hours=1), of=("user",), computed_from=("mastery", "lives"))
ALL = Families((DAYS, LONG, WEAK, LEVEL))


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_a_key_is_parsed_into_its_family_and_parts(user: str, subject: str) -> None:
    try:
        key = WEAK.key(user=user, subject=subject)
    except BadKey:
        return
    assert WEAK.parse(key) == WEAK.parse(key.encode()) == {"user": user, "subject": subject}
    assert ALL.owning(key.encode()) is WEAK
    assert [family for family in ALL if family.parse(key)] == [WEAK]


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode(errors="surrogateescape")))
def test_a_key_outside_all_patterns_belongs_to_no_family(key: bytes) -> None:
    owner = ALL.owning(key)

    assert [family for family in ALL if family.parse(key) is not None] == ([] if owner is None else [owner])
    if owner is not None:
        assert owner.key(**(owner.parse(key) or {})).encode() == key


@pytest.mark.parametrize(
    "key",
    ["weak:a", "weak:a:b:c", "weak:a:b\n", "weak::b", "xweak:a:b", "weak:a:*", "weak:" + "a" * 101 + ":b", "weak"],
)
def test_a_key_that_resembles_a_family_key_is_rejected(key: str) -> None:
    assert WEAK.parse(key) is None
    assert ALL.owning(key.encode()) is None


def test_a_family_has_parts_and_a_scan_pattern() -> None:
    assert WEAK.parts == ("user", "subject")
    assert WEAK.glob() == "weak:*:*"
    assert WEAK.glob(subject="math", date="2025-01-19") == "weak:*:math"
    with pytest.raises(BadKey):
        WEAK.glob(user="*")


@pytest.mark.parametrize("pattern", ["{user}:x", "a*:{user}", "a b:{user}", "a:{user}:{user}", "a:{}", "a:[{user}]"])
def test_a_pattern_that_could_match_foreign_keys_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="family bad: "):
        Family("bad", pattern, ttl=timedelta(hours=1))


def test_the_owner_of_a_family_must_be_a_part_of_its_pattern() -> None:
    with pytest.raises(ValueError, match="has no part user"):
        Family("bad", "a:{subject}", ttl=timedelta(hours=1), of=("user",))


def test_families_that_could_share_a_key_are_reported() -> None:
    twin = Family("twin", "user:{kind}:{user}", ttl=timedelta(hours=1))
    namesake = Family("weak", "other:{user}", ttl=timedelta(hours=1))

    assert list(clashes(ALL)) == []
    assert list(clashes((*ALL, twin, namesake))) == [
        "two families are named weak",
        "a key could belong to both level (user:level:{user}) and twin (user:{kind}:{user})",
    ]


# --- reading, compressing, removing -------------------------------------------------------------------------------


@pytest.fixture
def cache(redis_url: str) -> Iterator[Cache]:
    made = Cache(redis_url)
    yield made
    made.close()


def test_values_are_read_in_one_round_trip(cache: Cache) -> None:
    cache.replace(DAYS, {"asha": b"[1]", "ben": b"[2]"}, by="user", date="2025-01-19")
    cache.client.lpush("date:user:2025-01-19:chen", "not a string")
    before = cache.client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]

    found = cache.read(DAYS, ["ben", "asha", "chen", "dora", "a:b"], by="user", date="2025-01-19")

    assert found == {"ben": b"[2]", "asha": b"[1]", "chen": None, "dora": None, "a:b": None}
    assert cache.client.info("commandstats")["cmdstat_mget"]["calls"] - before == 1


def test_two_thousand_values_are_read_and_removed(cache: Cache) -> None:
    values: dict[str, bytes | None] = {f"u{n}": b"[%d]" % n for n in range(2000)}
    cache.replace(LEVEL, values, by="user")

    assert cache.read(LEVEL, values, by="user") == values
    assert cache.forget([LEVEL], "lives", user=values) == 2000


def test_long_values_are_compressed_only_when_configured(cache: Cache) -> None:
    long, short = b"[" + b"1," * 5000 + b"1]", b"[1]"
    compressing = replace(DAYS, compress_over=100)

    cache.replace(DAYS, {"asha": long}, by="user", date="d1")
    cache.replace(compressing, {"asha": long, "ben": short}, by="user", date="d2")
    cache.replace(DAYS, {"asha": long}, by="user", date="d3", compress_over=100)

    assert cache.client.get("date:user:d1:asha") == long
    assert cache.client.get("date:user:d2:ben") == short
    for day in ("d2", "d3"):
        stored = cache.client.get(f"date:user:{day}:asha")
        assert isinstance(stored, bytes)
        assert len(stored) < 200
        assert zlib.decompress(stored) == long
    assert [cache.read(DAYS, ["asha"], by="user", date=day) for day in ("d1", "d2", "d3")] == [{"asha": long}] * 3


@pytest.mark.parametrize("stored", [b"x", b"xyz", zlib.compress(b"[1, 2, 3]")[:-1], zlib.compress(b"\0" * 70_000_000)])
def test_a_value_that_cannot_be_decompressed_reads_as_none(cache: Cache, stored: bytes) -> None:
    cache.client.set("date:user:d1:asha", stored)

    assert cache.read(DAYS, ["asha"], by="user", date="d1") == {"asha": None}


def test_a_writer_can_override_the_ttl(cache: Cache) -> None:
    cache.replace(DAYS, {"asha": b"[]", "ben": b"[]"}, by="user", date="d1", ttl_seconds={"asha": 50})
    cache.replace(DAYS, {"chen": b"[]"}, by="user", date="d1", ttl_seconds=70)

    ttls = [cache.client.ttl(f"date:user:d1:{name}") for name in ("asha", "ben", "chen")]
    assert [round(seconds, -1) for seconds in ttls] == [50, 7200, 70]


def test_forget_removes_values_made_from_a_table_for_the_given_owners(cache: Cache) -> None:
    for user in ("asha", "ben"):
        cache.replace(LEVEL, {user: b"1"}, by="user")
        cache.replace(WEAK, {"math": b"1", "art": b"1"}, by="subject", user=user)
        cache.replace(DAYS, {user: b"1"}, by="user", date="2025-01-19")

    by_user_only = cache.forget(ALL, "mastery", user=["asha", "*", "a:b"])
    by_both = cache.forget(ALL, "mastery", user=["asha", "ben"], subject=["math"])
    of_unknown_source = cache.forget(ALL, "unknown", user=["ben"])

    assert (by_user_only, by_both, of_unknown_source) == (1, 3, 0)
    assert {key.decode() for key in cache.client.scan_iter()} == {
        "weak:asha:art",
        "weak:ben:art",
        "date:user:2025-01-19:asha",
        "date:user:2025-01-19:ben",
    }


def test_read_and_forget_raise_unavailable_without_a_server() -> None:
    cache = Cache("unix:///nowhere/redis.sock")

    with pytest.raises(Unavailable):
        cache.read(DAYS, ["asha"], by="user", date="d1")
    with pytest.raises(Unavailable):
        cache.forget(ALL, "lives", user=["asha"])
    assert cache.read(DAYS, ["a:b"], by="user", date="d1") == {"a:b": None}
    assert cache.forget(ALL, "mastery", user=[]) == 0
    cache.close()


def test_fill_writes_values_of_several_families(cache: Cache) -> None:
    entries = [
        (WEAK, {"user": "asha", "subject": "math"}, b"[1]"),
        (LEVEL, {"user": "a:b"}, b"2"),
        (LEVEL, {"user": "asha"}, b"3"),
    ]

    refused = cache.fill(entries)

    assert [why is None for why in refused] == [True, False, True]
    assert (cache.client.get("weak:asha:math"), cache.client.get("user:level:asha")) == (b"[1]", b"3")
    assert 3590 < cache.client.ttl("user:level:asha") <= 3600
    assert cache.fill([]) == []


def test_a_server_out_of_memory_refuses_writes_with_a_reason(own_redis: EmbeddedRedis) -> None:
    cache = Cache(own_redis.url)
    cache.client.config_set("maxmemory-policy", "noeviction")
    cache.client.config_set("maxmemory", 1)

    refused = cache.fill([(LEVEL, {"user": "asha"}, b"3")])

    assert refused == ["Redis refused the write: out of memory"]
    cache.close()
