"""The documented Redis ACL: sufficient for everything the cache does, and nothing beyond its own keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from redis.exceptions import NoPermissionError

from jobs.attempts.cached_day import DAY_ATTEMPTS
from jobs.practice.families import CURRENT, FAMILIES, PERFORMANCE
from opsconsole.cache.client import Cache
from opsconsole.embedded.redis import EmbeddedRedis

COMMANDS = (
    "-@all +@read +set +unlink +scan +ping +zadd +hset +xadd +rename +expire +watch +multi +exec +client|setname "
    "-@dangerous -@scripting -@admin +info"
)
"""The order matters: removing a category after +info would remove INFO as well."""


@pytest.fixture
def owner(own_redis: EmbeddedRedis) -> Iterator[redis.Redis]:
    """A client with all permissions, on a server with a key of another application."""
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("cart:asha", "another application's")
        patterns = [f"~{family.glob()}" for family in (DAY_ATTEMPTS, *FAMILIES)]
        client.execute_command("ACL", "SETUSER", "cache", "on", ">secret", *patterns, *COMMANDS.split())
        yield client


@pytest.fixture
def cache(own_redis: EmbeddedRedis, owner: redis.Redis) -> Iterator[Cache]:
    made = Cache(f"{own_redis.url.replace('unix://', 'unix://cache:secret@')}")
    yield made
    made.close()


def test_a_user_with_these_permissions_can_do_all_that_the_cache_does(cache: Cache, owner: redis.Redis) -> None:
    assert cache.replace(DAY_ATTEMPTS, {"asha": b"[]", "ben": None}, by="user", date="2026-01-19") == {}
    assert cache.fill([(PERFORMANCE, {"user": "asha"}, b"1")]) == [None]
    assert cache.read(PERFORMANCE, ["asha", "ben"], by="user") == {"asha": b"1", "ben": None}
    assert cache.reader.get(CURRENT, list[str], lambda: ["alg"], user="asha", subject="math") == ["alg"]
    assert cache.reader.get(CURRENT, list[str], list, user="asha", subject="math") == ["alg"]
    stats, _ = cache.statistics()
    usage = cache.survey(FAMILIES, seconds=5)

    assert stats.keys == 4
    assert usage.families[CURRENT.name].keys == 1
    assert 1700 < (usage.families[PERFORMANCE.name].ttl or (0,))[0] <= 1800
    assert usage.families[CURRENT.name].memory is not None
    assert cache.forget(FAMILIES, "topic_mastery", user=["asha"], subject=["math"]) == 1
    assert cache.clear((DAY_ATTEMPTS, *FAMILIES), user="asha").total == 2
    assert owner.keys() == [b"cart:asha"]


@pytest.mark.parametrize(
    "tries",
    [
        lambda client: client.flushall(),
        lambda client: client.flushdb(),
        lambda client: client.keys(),
        lambda client: client.config_get("*"),
        lambda client: client.eval("return 1", 0),
        lambda client: client.set("cart:asha", "mine"),
        lambda client: client.unlink("cart:asha"),
        lambda client: client.get("cart:asha"),
        lambda client: client.acl_setuser("cache", keys=["*"]),
    ],
    ids=("flushall", "flushdb", "keys", "config", "eval", "set", "unlink", "get", "acl"),
)
def test_a_user_with_these_permissions_cannot_touch_other_keys(
    cache: Cache, owner: redis.Redis, tries: Callable[[redis.Redis], object]
) -> None:
    with pytest.raises(NoPermissionError):
        tries(cache.client)

    assert owner.get("cart:asha") == b"another application's"
