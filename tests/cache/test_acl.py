"""The Redis user in docs/operations.md: enough for everything opsconsole does, and for nothing beyond its own keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from jobs.attempts.cached_day import DAY_ATTEMPTS
from jobs.game.leaderboards import BOARD, NAMES
from jobs.practice.families import CURRENT, FAMILIES, PERFORMANCE
from opsconsole.authoring import catalog
from opsconsole.cache import swap_ranking
from opsconsole.cache.clearing import sweep
from opsconsole.cache.client import Cache
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.inspection import ServerKind, inspect
from opsconsole.cache.stream import append
from opsconsole.core.errors import NotPermitted, Unavailable
from opsconsole.core.installed_packs import DEFAULT_PACKS
from opsconsole.embedded.redis import EmbeddedRedis

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
PASSWORD, VIEWER_PASSWORD = "a-long-password", "another-long-password"


def documented_rule(user: str = "opsconsole") -> list[str]:
    """The words of a user's rule in the docs."""
    found = re.search(rf"```text\n(ACL SETUSER {user} .*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1).split()


def url_of(server: EmbeddedRedis, user: str = "opsconsole", password: str = PASSWORD) -> str:
    """The second database as this user."""
    return server.url.replace("unix://", f"unix://{user}:{password}@").replace("db=0", "db=1")


@pytest.fixture
def owner(own_redis: EmbeddedRedis) -> Iterator[redis.Redis]:
    """A client with all permissions, on a server with a key of another application."""
    with redis.Redis.from_url(own_redis.url.replace("db=0", "db=1")) as client:
        client.set("cart:asha", "another application's")
        client.execute_command(*documented_rule())
        yield client


@pytest.fixture
def cache(own_redis: EmbeddedRedis, owner: redis.Redis) -> Iterator[Cache]:
    made = Cache(url_of(own_redis))
    yield made
    made.close()


def test_the_rule_has_the_keys_of_every_pack() -> None:
    patterns = [re.escape(word[1:]).replace(r"\*", ".*") for word in documented_rule() if word.startswith("~")]
    families = catalog.load(DEFAULT_PACKS, {}, {}).families
    keys = [family.key(**dict.fromkeys(family.parts, "x")) for family in families]

    assert [key for key in [*keys, "events"] if not any(re.fullmatch(pattern, key) for pattern in patterns)] == []


def test_a_user_with_these_permissions_can_do_all_that_opsconsole_does(
    cache: Cache, owner: redis.Redis, own_redis: EmbeddedRedis
) -> None:
    assert cache.replace(DAY_ATTEMPTS, {"asha": b"[]", "ben": None}, by="user", date="2026-01-19") == {}
    assert cache.fill([(PERFORMANCE, {"user": "asha"}, b"1")]) == [None]
    assert cache.read(PERFORMANCE, ["asha", "ben"], by="user") == {"asha": b"1", "ben": None}
    assert cache.reader.get(CURRENT, list[str], lambda: ["alg"], user="asha", subject="math") == ["alg"]
    assert cache.reader.get(CURRENT, list[str], list, user="asha", subject="math") == ["alg"]
    stats, _ = cache.statistics()
    usage = cache.survey(FAMILIES, seconds=5)
    for entries in ([("asha", 2.0, "Asha")], [("asha", 3.0, "Asha"), ("ben", 1.0, None)], []):
        assert swap_ranking(cache, BOARD.key(board="b"), NAMES.key(board="b"), entries.copy) == len(entries)
    append(cache.client, "events", [{"id": "1", "name": "exam_made"}], max_length=10)
    server = inspect(url_of(own_redis))

    assert (stats.keys, stats.denied) == (4, ())
    assert stats.memory is not None
    assert usage.families[CURRENT.name].keys == 1
    assert 1700 < (usage.families[PERFORMANCE.name].ttl or (0,))[0] <= 1800
    assert usage.families[CURRENT.name].memory is not None
    assert (server.kind, server.policy, server.denied) == (ServerKind.STANDALONE, "volatile-lru", ())
    assert cache.forget(FAMILIES, "topic_mastery", user=["asha"], subject=["math"]) == 1
    assert cache.clear((DAY_ATTEMPTS, *FAMILIES), user="asha").total == 2
    assert sorted(owner.keys()) == [b"cart:asha", b"events"]


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
        lambda client: client.rename("cart:asha", "events"),
        lambda client: client.get("cart:asha"),
        lambda client: client.acl_setuser("opsconsole", keys=["*"]),
    ],
    ids=("flushall", "flushdb", "keys", "config", "eval", "set", "unlink", "rename", "get", "acl"),
)
def test_a_user_with_these_permissions_cannot_touch_other_keys(
    cache: Cache, owner: redis.Redis, tries: Callable[[redis.Redis], object]
) -> None:
    with pytest.raises(NoPermissionError):
        tries(cache.client)

    assert owner.get("cart:asha") == b"another application's"


@pytest.mark.parametrize(
    "tries",
    [
        lambda client: client.set(DAY_ATTEMPTS.key(user="asha", date="2026-01-19"), "mine"),
        lambda client: client.unlink(DAY_ATTEMPTS.key(user="asha", date="2026-01-19")),
        lambda client: client.flushall(),
        lambda client: client.keys(),
        lambda client: client.get("cart:asha"),
    ],
    ids=("set", "unlink", "flushall", "keys", "get"),
)
def test_the_user_of_a_viewer_may_only_read(
    own_redis: EmbeddedRedis, owner: redis.Redis, tries: Callable[[redis.Redis], object]
) -> None:
    execute: Any = owner.execute_command
    execute(*documented_rule("opsconsole-viewer"))
    owner.set(DAY_ATTEMPTS.key(user="asha", date="2026-01-19"), b"[]")
    viewing = Cache(url_of(own_redis, "opsconsole-viewer", VIEWER_PASSWORD))
    try:
        assert viewing.read(DAY_ATTEMPTS, ["asha"], by="user", date="2026-01-19") == {"asha": b"[]"}
        assert viewing.statistics()[0].denied == ()
        with pytest.raises(NoPermissionError):
            tries(viewing.client)
    finally:
        viewing.close()


@pytest.fixture
def limited(own_redis: EmbeddedRedis, owner: redis.Redis) -> Iterator[Callable[..., Cache]]:
    """Makes caches whose user may do what is documented, less some commands."""
    made: list[Cache] = []

    def make(*without: str) -> Cache:
        execute: Any = owner.execute_command
        execute(*documented_rule(), *(f"-{command}" for command in without))
        made.append(Cache(url_of(own_redis)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize(
    ("without", "denied"),
    [
        (["info"], ("INFO",)),
        (["client"], ()),
        (["client", "info"], ("INFO",)),
        (["dbsize"], ("DBSIZE",)),
        (["ping"], ("PING",)),
        (["memory"], ()),
        (["client", "info", "dbsize", "ping", "memory", "ttl", "scan"], ("PING", "INFO", "DBSIZE")),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, list) else "",
)
def test_without_a_command_all_else_works(
    limited: Callable[..., Cache], without: list[str], denied: tuple[str, ...], own_redis: EmbeddedRedis
) -> None:
    cache = limited(*without)

    assert cache.replace(DAY_ATTEMPTS, {"asha": b"[]"}, by="user", date="2026-01-19") == {}
    assert cache.read(DAY_ATTEMPTS, ["asha"], by="user", date="2026-01-19") == {"asha": b"[]"}
    assert swap_ranking(cache, BOARD.key(board="b"), NAMES.key(board="b"), lambda: [("asha", 1.0, "Asha")]) == 1
    stats, hit_rate = cache.statistics()
    cleared = cache.clear([DAY_ATTEMPTS], user="asha", date="2026-01-19", family=DAY_ATTEMPTS.name)

    assert stats.denied == denied
    assert (stats.memory is None, stats.keys is None) == ("INFO" in denied, "DBSIZE" in denied)
    assert hit_rate is None
    assert (cleared.total, cleared.done) == (1, True)
    assert inspect(url_of(own_redis)).kind is ServerKind.STANDALONE, "known without INFO"
    if "scan" not in without:
        usage = cache.survey([DAY_ATTEMPTS, BOARD, NAMES], seconds=5)
        assert (usage.done, usage.families[BOARD.name].keys) == (True, 1)
        assert (usage.families[BOARD.name].memory is None) == ("memory" in without)


def test_what_needs_a_command_that_is_denied_names_it(limited: Callable[..., Cache]) -> None:
    cache = limited("scan", "set", "unlink", "mget", "exists")

    operations: dict[str, Callable[[], object]] = {
        "SCAN": lambda: cache.survey([BOARD], seconds=1),
        "SET": lambda: cache.replace(PERFORMANCE, {"asha": b"1"}, by="user"),
        "UNLINK": lambda: cache.unlink(["events"]),
        "MGET": lambda: cache.read(PERFORMANCE, ["asha"], by="user"),
        "EXISTS": lambda: cache.clear([PERFORMANCE], user="asha"),
    }
    for command, act in operations.items():
        with pytest.raises(NotPermitted) as caught:
            act()
        assert (caught.value.command, caught.value.permanent) == (command, True)
        assert caught.value.reason == f"the Redis user may not run {command}"


def test_keys_that_are_not_allowed_are_named_as_such(limited: Callable[..., Cache]) -> None:
    cache = limited()

    with pytest.raises(Unavailable, match="the Redis user may not access these keys"):
        cache.unlink(["cart:asha"])


def test_a_count_without_dbsize_grows_with_what_was_scanned(limited: Callable[..., Cache]) -> None:
    cache = limited("dbsize")
    assert cache.fill([(PERFORMANCE, {"user": f"u{n}"}, b"1") for n in range(1500)]) == [None] * 1500

    steps = list(sweep(cache.client, [PERFORMANCE], ClearFilter(family=PERFORMANCE.name), remove=False))

    assert steps[-1].total == 1500
    assert all(step.scanned <= step.of for step in steps)
