"""Cache keys: made in one place, and never another key than the one that was meant."""

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


# --- keys are told apart ------------------------------------------------------------------------------------------

WEAK = Family("weak", "weak:{user}:{subject}", ttl=timedelta(hours=1), of=("user", "subject"), made_from=("mastery",))
LEVEL = Family("level", "user:level:{user}", ttl=timedelta(hours=1), of=("user",), made_from=("mastery", "lives"))
ALL = Families((DAYS, LONG, WEAK, LEVEL))


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_a_key_tells_its_parts_and_its_family(user: str, subject: str) -> None:
    try:
        key = WEAK.key(user=user, subject=subject)
    except BadKey:
        return
    assert WEAK.parse(key) == WEAK.parse(key.encode()) == {"user": user, "subject": subject}
    assert ALL.owning(key.encode()) is WEAK
    assert [family for family in ALL if family.parse(key)] == [WEAK]


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode(errors="surrogateescape")))
def test_a_key_of_another_program_is_in_no_family_unless_it_could_be_ours(key: bytes) -> None:
    owner = ALL.owning(key)

    assert [family for family in ALL if family.parse(key) is not None] == ([] if owner is None else [owner])
    if owner is not None:
        assert owner.key(**(owner.parse(key) or {})).encode() == key


@pytest.mark.parametrize(
    "key",
    ["weak:a", "weak:a:b:c", "weak:a:b\n", "weak::b", "xweak:a:b", "weak:a:*", "weak:" + "a" * 101 + ":b", "weak"],
)
def test_what_only_looks_like_a_familys_key_is_not(key: str) -> None:
    assert WEAK.parse(key) is None
    assert ALL.owning(key.encode()) is None


def test_a_family_knows_its_parts_and_what_finds_its_keys() -> None:
    assert WEAK.parts == ("user", "subject")
    assert WEAK.glob() == "weak:*:*"
    assert WEAK.glob(subject="math", date="2025-01-19") == "weak:*:math"
    with pytest.raises(BadKey):
        WEAK.glob(user="*")


@pytest.mark.parametrize("pattern", ["{user}:x", "a*:{user}", "a b:{user}", "a:{user}:{user}", "a:{}", "a:[{user}]"])
def test_a_pattern_that_could_match_other_keys_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="family bad: "):
        Family("bad", pattern, ttl=timedelta(hours=1))


def test_a_family_belongs_only_to_what_its_pattern_names() -> None:
    with pytest.raises(ValueError, match="has no part user"):
        Family("bad", "a:{subject}", ttl=timedelta(hours=1), of=("user",))


def test_families_that_could_own_one_key_are_named() -> None:
    twin = Family("twin", "user:{kind}:{user}", ttl=timedelta(hours=1))
    namesake = Family("weak", "other:{user}", ttl=timedelta(hours=1))

    assert list(clashes(ALL)) == []
    assert list(clashes((*ALL, twin, namesake))) == [
        "two families are named weak",
        "a key could belong to both level (user:level:{user}) and twin (user:{kind}:{user})",
    ]


# --- reading, compressing, forgetting -----------------------------------------------------------------------------


@pytest.fixture
def cache(redis_url: str) -> Iterator[Cache]:
    made = Cache(redis_url)
    yield made
    made.close()


def test_what_was_written_is_read_in_one_round_trip(cache: Cache) -> None:
    cache.replace(DAYS, {"asha": b"[1]", "ben": b"[2]"}, by="user", date="2025-01-19")
    cache.client.lpush("date:user:2025-01-19:chen", "no text")
    before = cache.client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]

    found = cache.read(DAYS, ["ben", "asha", "chen", "dora", "a:b"], by="user", date="2025-01-19")

    assert found == {"ben": b"[2]", "asha": b"[1]", "chen": None, "dora": None, "a:b": None}
    assert cache.client.info("commandstats")["cmdstat_mget"]["calls"] - before == 1


def test_a_class_of_two_thousand_is_read_and_forgotten(cache: Cache) -> None:
    values: dict[str, bytes | None] = {f"u{n}": b"[%d]" % n for n in range(2000)}
    cache.replace(LEVEL, values, by="user")

    assert cache.read(LEVEL, values, by="user") == values
    assert cache.forget([LEVEL], "lives", user=values) == 2000


def test_long_values_are_compressed_only_where_that_is_asked_for(cache: Cache) -> None:
    long, short = b"[" + b"1," * 5000 + b"1]", b"[1]"
    packing = replace(DAYS, compress_over=100)

    cache.replace(DAYS, {"asha": long}, by="user", date="d1")
    cache.replace(packing, {"asha": long, "ben": short}, by="user", date="d2")
    cache.replace(DAYS, {"asha": long}, by="user", date="d3", compress_over=100)

    assert cache.client.get("date:user:d1:asha") == long
    assert cache.client.get("date:user:d2:ben") == short
    for day in ("d2", "d3"):
        kept = cache.client.get(f"date:user:{day}:asha")
        assert isinstance(kept, bytes)
        assert len(kept) < 200
        assert zlib.decompress(kept) == long
    assert [cache.read(DAYS, ["asha"], by="user", date=day) for day in ("d1", "d2", "d3")] == [{"asha": long}] * 3


@pytest.mark.parametrize("kept", [b"x", b"xyz", zlib.compress(b"[1, 2, 3]")[:-1], zlib.compress(b"\0" * 70_000_000)])
def test_what_cannot_be_unpacked_is_no_value(cache: Cache, kept: bytes) -> None:
    cache.client.set("date:user:d1:asha", kept)

    assert cache.read(DAYS, ["asha"], by="user", date="d1") == {"asha": None}


def test_a_value_may_live_as_long_as_its_writer_says(cache: Cache) -> None:
    cache.replace(DAYS, {"asha": b"[]", "ben": b"[]"}, by="user", date="d1", ttl_seconds={"asha": 50})
    cache.replace(DAYS, {"chen": b"[]"}, by="user", date="d1", ttl_seconds=70)

    lives = [cache.client.ttl(f"date:user:d1:{name}") for name in ("asha", "ben", "chen")]
    assert [round(seconds, -1) for seconds in lives] == [50, 7200, 70]


def test_what_was_made_from_a_table_is_forgotten_for_whom_it_changed(cache: Cache) -> None:
    for user in ("asha", "ben"):
        cache.replace(LEVEL, {user: b"1"}, by="user")
        cache.replace(WEAK, {"math": b"1", "art": b"1"}, by="subject", user=user)
        cache.replace(DAYS, {user: b"1"}, by="user", date="2025-01-19")

    by_user_only = cache.forget(ALL, "mastery", user=["asha", "*", "a:b"])
    by_both = cache.forget(ALL, "mastery", user=["asha", "ben"], subject=["math"])
    of_nothing = cache.forget(ALL, "unheard of", user=["ben"])

    assert (by_user_only, by_both, of_nothing) == (1, 3, 0)
    assert {key.decode() for key in cache.client.scan_iter()} == {
        "weak:asha:art",
        "weak:ben:art",
        "date:user:2025-01-19:asha",
        "date:user:2025-01-19:ben",
    }


def test_a_server_that_is_not_there_can_neither_be_read_nor_forget() -> None:
    cache = Cache("unix:///nowhere/redis.sock")

    with pytest.raises(Unavailable):
        cache.read(DAYS, ["asha"], by="user", date="d1")
    with pytest.raises(Unavailable):
        cache.forget(ALL, "lives", user=["asha"])
    assert cache.read(DAYS, ["a:b"], by="user", date="d1") == {"a:b": None}
    assert cache.forget(ALL, "mastery", user=[]) == 0
    cache.close()


def test_values_of_several_families_are_written_in_one_go(cache: Cache) -> None:
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


def test_a_full_server_refuses_some_and_says_so(own_redis: EmbeddedRedis) -> None:
    cache = Cache(own_redis.url)
    cache.client.config_set("maxmemory-policy", "noeviction")
    cache.client.config_set("maxmemory", 1)

    refused = cache.fill([(LEVEL, {"user": "asha"}, b"3")])

    assert refused == ["Redis refused the write: out of memory"]
    cache.close()
