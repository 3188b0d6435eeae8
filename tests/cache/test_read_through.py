"""Read-through: one round trip on a hit, the computed value within the time budget otherwise."""

from __future__ import annotations

import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import redis

from opsconsole.cache.client import Cache
from opsconsole.cache.families import CacheRequest, Family
from opsconsole.cache.read_through import Reads, ReadThroughCache
from opsconsole.embedded.redis import EmbeddedRedis
from tests.waiting import eventually, finished

TOPICS = Family("topics", "current:topics:{user}", timedelta(minutes=30), of=("user",))
LEVEL = Family("level", "user:level:{user}", timedelta(hours=1), of=("user",))
NOWHERE = "unix:///nowhere/redis.sock"


class Database:
    """Returns a value, and counts its queries."""

    def __init__(self, answer: Any = ("algebra", "geometry"), *, takes: float = 0.0) -> None:
        self.answer = list(answer) if isinstance(answer, tuple) else answer
        self.takes = takes
        self.queries = 0
        self._lock = threading.Lock()

    def __call__(self) -> Any:
        with self._lock:
            self.queries += 1
        time.sleep(self.takes)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def open_reader() -> Iterator[Callable[[str], ReadThroughCache]]:
    """Creates readers, and closes them after the test."""
    made: list[ReadThroughCache] = []

    def read(url: str) -> ReadThroughCache:
        made.append(ReadThroughCache(url))
        return made[-1]

    yield read
    for reader in made:
        reader.close()


@pytest.fixture
def reader(open_reader: Callable[[str], ReadThroughCache], redis_url: str) -> ReadThroughCache:
    return open_reader(redis_url)


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def test_a_value_is_computed_once_and_read_from_then_on(reader: ReadThroughCache, server: redis.Redis) -> None:
    database = Database()

    first = reader.get(TOPICS, list[str], database, user="asha")
    second = reader.get(TOPICS, list[str], database, user="asha")

    assert first == second == ["algebra", "geometry"]
    assert database.queries == 1
    assert server.get("current:topics:asha") == b'["algebra","geometry"]'
    assert 1790 < server.ttl("current:topics:asha") <= 1800
    assert reader.reads() == {"topics": Reads(hits=1, misses=1)}
    assert reader.reads()["topics"].hit_rate == 0.5


def test_none_and_empty_results_are_cached_too(reader: ReadThroughCache) -> None:
    none, empty = Database(None), Database(())

    for _ in range(3):
        assert reader.get(LEVEL, int | None, none, user="asha") is None
        assert reader.get(TOPICS, list[str], empty, user="asha") == []

    assert (none.queries, empty.queries) == (1, 1)


def test_what_is_missing_is_kept_for_a_minute_at_most(reader: ReadThroughCache, server: redis.Redis) -> None:
    for name, ttl in (("long", timedelta(hours=2)), ("short", timedelta(seconds=20)), ("endless", None)):
        family = Family(name, f"{name}:{{user}}", ttl, of=("user",))
        for user, value in (("asha", None), ("ben", 3)):
            reader.get(family, int | None, Database(value), user=user)
            reader.put(family, value, user=f"{user}-put")

    kept = {key.decode(): server.ttl(key) for key in server.scan_iter()}

    for user in ("asha", "asha-put"):
        assert 55 < kept[f"long:{user}"] <= 60
        assert 15 < kept[f"short:{user}"] <= 20
        assert 55 < kept[f"endless:{user}"] <= 60
    for user in ("ben", "ben-put"):
        assert kept[f"long:{user}"] > 7190
        assert 15 < kept[f"short:{user}"] <= 20
        assert kept[f"endless:{user}"] == -1


def test_several_values_are_read_in_one_round_trip_and_written_in_another(
    reader: ReadThroughCache, server: redis.Redis
) -> None:
    topics, level = Database(), Database(3)
    requests = [
        CacheRequest(TOPICS, {"user": "asha"}, list[str], topics),
        CacheRequest(LEVEL, {"user": "asha"}, int, level),
    ]
    reader.get_all(requests[:1])
    before = server.info("commandstats")["cmdstat_mget"]["calls"]

    assert [reader.get_all(requests) for _ in range(2)] == [[["algebra", "geometry"], 3]] * 2

    assert (topics.queries, level.queries) == (1, 1)
    assert server.info("commandstats")["cmdstat_mget"]["calls"] - before == 2


GARBAGE = [
    b"",
    b"[",
    b'["algebra"',
    b"null",
    b'{"old": "schema"}',
    b"[1, 2]",
    b"\xff\xfe",
    b'["\xff"]',
    b"x",
    b"[" * 100_000,
    zlib.compress(b'["algebra"]')[:-2],
    zlib.compress(b"[" * 1000),
]


@pytest.mark.parametrize("stored", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_a_counted_miss_and_overwritten(
    reader: ReadThroughCache, server: redis.Redis, stored: bytes
) -> None:
    server.set("current:topics:asha", stored)
    database = Database()

    assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]
    assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]

    assert database.queries == 1
    assert reader.reads() == {"topics": Reads(hits=1, misses=1, garbage=1)}


def test_too_deep_nesting_is_garbage_for_any_type(reader: ReadThroughCache, server: redis.Redis) -> None:
    server.set("current:topics:asha", b"[" * 100_000)

    assert reader.get(TOPICS, Any, Database(), user="asha") == ["algebra", "geometry"]


def test_a_key_of_another_redis_type_is_overwritten(reader: ReadThroughCache, server: redis.Redis) -> None:
    server.hset("current:topics:asha", "a", "b")

    assert reader.get(TOPICS, list[str], Database(), user="asha") == ["algebra", "geometry"]
    assert server.get("current:topics:asha") == b'["algebra","geometry"]'


def test_an_id_that_cannot_be_in_a_key_is_computed_each_time(reader: ReadThroughCache, server: redis.Redis) -> None:
    database = Database()

    for _ in range(2):
        assert reader.get(TOPICS, list[str], database, user="a*") == ["algebra", "geometry"]

    assert database.queries == 2
    assert server.dbsize() == 0


def test_long_values_are_compressed_when_the_family_does_so(reader: ReadThroughCache, server: redis.Redis) -> None:
    family, database = replace(TOPICS, compress_over=100), Database(("algebra",) * 100)

    for _ in range(2):
        assert reader.get(family, list[str], database, user="asha") == ["algebra"] * 100

    assert database.queries == 1
    assert server.strlen("current:topics:asha") < 100


# --- concurrency --------------------------------------------------------------------------------------------------


def concurrently(threads: int, call: Callable[[], Any]) -> list[Any]:
    """The results of a call made by several threads at the same time."""
    barrier = threading.Barrier(threads)

    def one(_: int) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


@pytest.mark.parametrize("takes", [0.0, 0.05])
def test_thirty_concurrent_misses_of_one_key_cost_one_query(reader: ReadThroughCache, takes: float) -> None:
    database = Database(takes=takes)

    got = concurrently(30, lambda: reader.get(TOPICS, list[str], database, user="asha"))

    assert got == [["algebra", "geometry"]] * 30
    assert database.queries == 1


def test_without_redis_concurrent_reads_share_one_query(open_reader: Callable[[str], ReadThroughCache]) -> None:
    reader, database = open_reader(NOWHERE), Database(takes=0.1)

    got = concurrently(20, lambda: reader.get(TOPICS, list[str], database, user="asha"))

    assert got == [["algebra", "geometry"]] * 20
    assert database.queries <= 2  # a thread that is not scheduled for 100 ms arrives late


def test_readers_of_the_same_keys_in_different_order_do_not_deadlock(reader: ReadThroughCache) -> None:
    topics, level = Database(takes=0.02), Database(3, takes=0.02)
    requests = [
        CacheRequest(TOPICS, {"user": "asha"}, list[str], topics),
        CacheRequest(LEVEL, {"user": "asha"}, int, level),
    ]
    turn = iter([requests, requests[::-1]] * 10)
    lock = threading.Lock()

    def read() -> list[Any]:
        with lock:
            own = next(turn)
        return sorted(map(str, reader.get_all(own)))

    assert concurrently(20, read) == [["3", "['algebra', 'geometry']"]] * 20
    assert (topics.queries, level.queries) == (1, 1)


def test_a_database_error_reaches_all_waiters_and_the_next_read_retries(reader: ReadThroughCache) -> None:
    database = Database(ValueError("no such table"), takes=0.05)

    def read() -> str:
        try:
            return str(reader.get(TOPICS, list[str], database, user="asha"))
        except ValueError as error:
            return str(error)

    assert concurrently(10, read) == ["no such table"] * 10
    database.answer = ["algebra"]
    assert read() == "['algebra']"
    assert database.queries <= 4


def test_an_error_of_one_value_does_not_affect_waiters_for_another(reader: ReadThroughCache) -> None:
    broken, level = Database(ValueError("broken"), takes=0.1), Database(3)
    both = [
        CacheRequest(TOPICS, {"user": "asha"}, list[str], broken),
        CacheRequest(LEVEL, {"user": "asha"}, int, level),
    ]

    with ThreadPoolExecutor(1) as thread:
        failing = thread.submit(reader.get_all, both)
        while not broken.queries:
            time.sleep(0.001)
        assert reader.get(LEVEL, int, level, user="asha") == 3
        with pytest.raises(ValueError, match="broken"):
            failing.result()


# --- Redis unreachable --------------------------------------------------------------------------------------------


def test_without_a_server_values_are_computed_and_failures_counted(
    open_reader: Callable[[str], ReadThroughCache],
) -> None:
    reader, database = open_reader(NOWHERE), Database()

    for _ in range(5):
        assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]

    assert database.queries == 5
    assert reader.reads() == {"topics": Reads(failed=5)}
    assert reader.reads()["topics"].hit_rate is None


@contextmanager
def listening(response: bytes | None) -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that sends `response` to every connection, nothing when None. Yields its URL and
    its connections.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        over = threading.Event()
        connections: list[socket.socket] = []

        def serve() -> None:
            while not over.is_set():
                try:
                    connections.append(listener.accept()[0])
                except TimeoutError:
                    continue
                if response is not None:
                    with suppress(OSError):
                        connections[-1].sendall(response)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0", connections
        finally:
            over.set()
            finished(thread)
            for connection in connections:
                connection.close()


@pytest.mark.parametrize(
    "response", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff" * 50, b"$-7\r\n", b"+OK\r\n"]
)
def test_a_server_that_hangs_or_sends_garbage_is_skipped_after_three_failures(
    open_reader: Callable[[str], ReadThroughCache], response: bytes | None
) -> None:
    database = Database()
    with listening(response) as (url, connections):
        reader = open_reader(url)
        for _ in range(50):
            assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]
        tried = len(connections)

    assert 1 <= tried < 25  # three, and another one every two seconds on a slow machine; not all fifty
    assert database.queries == 50
    assert reader.reads() == {"topics": Reads(failed=50)}


def test_a_server_that_recovers_is_used_again(
    own_redis: EmbeddedRedis, open_reader: Callable[[str], ReadThroughCache]
) -> None:
    reader, database = open_reader(own_redis.url), Database()
    reader.get(TOPICS, list[str], database, user="asha")
    own_redis.stop()
    for _ in range(10):
        assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]
    own_redis.ensure()

    def is_used() -> bool:
        assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]
        return reader.reads()["topics"].hits > 0

    eventually(is_used, "it is read again")


def test_a_server_that_refuses_writes_is_still_read(
    own_redis: EmbeddedRedis, open_reader: Callable[[str], ReadThroughCache]
) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("user:level:asha", "3")
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        reader, topics, level = open_reader(own_redis.url), Database(), Database()

        assert reader.get(LEVEL, int, level, user="asha") == 3
        assert reader.get(TOPICS, list[str], topics, user="asha") == ["algebra", "geometry"]
        assert reader.get(LEVEL, int, level, user="asha") == 3


def test_a_cache_has_one_reader_for_all_threads(redis_url: str) -> None:
    cache = Cache(redis_url)

    assert cache.reader is cache.reader
    assert cache.reader.get(LEVEL, int, Database(3), user="asha") == 3
    assert msgspec.json.decode(cache.client.get("user:level:asha") or b"") == 3
    cache.close()


def test_a_stored_value_is_found_and_failures_to_store_are_ignored(
    reader: ReadThroughCache, open_reader: Callable[[str], ReadThroughCache]
) -> None:
    database = Database()

    reader.put(TOPICS, ["waves"], user="asha")
    reader.put(TOPICS, ["waves"], user="a*")
    open_reader(NOWHERE).put(TOPICS, ["waves"], user="asha")

    assert reader.get(TOPICS, list[str], database, user="asha") == ["waves"]
    assert database.queries == 0
