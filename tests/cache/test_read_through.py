"""Reading through the cache: one round trip when it is there, the database's answer in time when it is not."""

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
from opsconsole.cache.read_through import AWAY_SECONDS, Reader, Reads
from opsconsole.embedded.redis import EmbeddedRedis

TOPICS = Family("topics", "current:topics:{user}", timedelta(minutes=30), of=("user",))
LEVEL = Family("level", "user:level:{user}", timedelta(hours=1), of=("user",))
NOWHERE = "unix:///nowhere/redis.sock"


class Database:
    """Answers, and counts how often it was asked."""

    def __init__(self, answer: Any = ("algebra", "geometry"), *, takes: float = 0.0) -> None:
        self.answer = list(answer) if isinstance(answer, tuple) else answer
        self.takes = takes
        self.asked = 0
        self._lock = threading.Lock()

    def __call__(self) -> Any:
        with self._lock:
            self.asked += 1
        time.sleep(self.takes)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def reading() -> Iterator[Callable[[str], Reader]]:
    """Makes readers, and closes them after the test."""
    made: list[Reader] = []

    def read(url: str) -> Reader:
        made.append(Reader(url))
        return made[-1]

    yield read
    for reader in made:
        reader.close()


@pytest.fixture
def reader(reading: Callable[[str], Reader], redis_url: str) -> Reader:
    return reading(redis_url)


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def test_a_value_is_worked_out_once_and_read_from_then_on(reader: Reader, server: redis.Redis) -> None:
    database = Database()

    first = reader.get(TOPICS, list[str], database, user="asha")
    second = reader.get(TOPICS, list[str], database, user="asha")

    assert first == second == ["algebra", "geometry"]
    assert database.asked == 1
    assert server.get("current:topics:asha") == b'["algebra","geometry"]'
    assert 1790 < server.ttl("current:topics:asha") <= 1800
    assert reader.reads() == {"topics": Reads(hits=1, misses=1)}
    assert reader.reads()["topics"].hit_rate == 0.5


def test_that_there_is_nothing_is_worth_remembering_too(reader: Reader) -> None:
    nobody, nothing = Database(None), Database(())

    for _ in range(3):
        assert reader.get(LEVEL, int | None, nobody, user="asha") is None
        assert reader.get(TOPICS, list[str], nothing, user="asha") == []

    assert (nobody.asked, nothing.asked) == (1, 1)


def test_several_values_are_read_in_one_round_trip_and_written_in_another(reader: Reader, server: redis.Redis) -> None:
    topics, level = Database(), Database(3)
    asks = [
        CacheRequest(TOPICS, {"user": "asha"}, list[str], topics),
        CacheRequest(LEVEL, {"user": "asha"}, int, level),
    ]
    reader.get_all(asks[:1])
    before = server.info("commandstats")["cmdstat_mget"]["calls"]

    assert [reader.get_all(asks) for _ in range(2)] == [[["algebra", "geometry"], 3]] * 2

    assert (topics.asked, level.asked) == (1, 1)
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


@pytest.mark.parametrize("kept", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_a_miss_that_is_counted_and_put_right(reader: Reader, server: redis.Redis, kept: bytes) -> None:
    server.set("current:topics:asha", kept)
    database = Database()

    assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]
    assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]

    assert database.asked == 1
    assert reader.reads() == {"topics": Reads(hits=1, misses=1, garbage=1)}


def test_nesting_without_end_is_garbage_for_any_shape(reader: Reader, server: redis.Redis) -> None:
    server.set("current:topics:asha", b"[" * 100_000)

    assert reader.get(TOPICS, Any, Database(), user="asha") == ["algebra", "geometry"]


def test_a_key_that_holds_something_else_is_put_right(reader: Reader, server: redis.Redis) -> None:
    server.hset("current:topics:asha", "a", "b")

    assert reader.get(TOPICS, list[str], Database(), user="asha") == ["algebra", "geometry"]
    assert server.get("current:topics:asha") == b'["algebra","geometry"]'


def test_an_id_that_no_key_can_hold_is_answered_by_the_database(reader: Reader, server: redis.Redis) -> None:
    database = Database()

    for _ in range(2):
        assert reader.get(TOPICS, list[str], database, user="a*") == ["algebra", "geometry"]

    assert database.asked == 2
    assert server.dbsize() == 0


def test_long_values_are_compressed_where_the_family_says_so(reader: Reader, server: redis.Redis) -> None:
    family, database = replace(TOPICS, compress_over=100), Database(("algebra",) * 100)

    for _ in range(2):
        assert reader.get(family, list[str], database, user="asha") == ["algebra"] * 100

    assert database.asked == 1
    assert server.strlen("current:topics:asha") < 100


# --- many at once -------------------------------------------------------------------------------------------------


def at_once(many: int, does: Callable[[], Any]) -> list[Any]:
    """What so many threads get that begin together."""
    together = threading.Barrier(many)

    def one(_: int) -> Any:
        together.wait()
        return does()

    with ThreadPoolExecutor(many) as threads:
        return list(threads.map(one, range(many)))


@pytest.mark.parametrize("takes", [0.0, 0.05])
def test_thirty_who_miss_one_key_together_cost_one_query(reader: Reader, takes: float) -> None:
    database = Database(takes=takes)

    got = at_once(30, lambda: reader.get(TOPICS, list[str], database, user="asha"))

    assert got == [["algebra", "geometry"]] * 30
    assert database.asked == 1


def test_without_redis_too_those_who_come_together_cost_one_query(reading: Callable[[str], Reader]) -> None:
    reader, database = reading(NOWHERE), Database(takes=0.1)

    got = at_once(20, lambda: reader.get(TOPICS, list[str], database, user="asha"))

    assert got == [["algebra", "geometry"]] * 20
    assert database.asked <= 2  # a thread that is put to sleep for the whole tenth of a second comes late


def test_readers_of_the_same_keys_in_another_order_do_not_wait_for_each_other(reader: Reader) -> None:
    topics, level = Database(takes=0.02), Database(3, takes=0.02)
    asks = [
        CacheRequest(TOPICS, {"user": "asha"}, list[str], topics),
        CacheRequest(LEVEL, {"user": "asha"}, int, level),
    ]
    turn = iter([asks, asks[::-1]] * 10)
    lock = threading.Lock()

    def read() -> list[Any]:
        with lock:
            mine = next(turn)
        return sorted(map(str, reader.get_all(mine)))

    assert at_once(20, read) == [["3", "['algebra', 'geometry']"]] * 20
    assert (topics.asked, level.asked) == (1, 1)


def test_an_error_of_the_database_reaches_all_who_wait_and_the_next_one_tries_again(reader: Reader) -> None:
    database = Database(ValueError("no such table"), takes=0.05)

    def read() -> str:
        try:
            return str(reader.get(TOPICS, list[str], database, user="asha"))
        except ValueError as error:
            return str(error)

    assert at_once(10, read) == ["no such table"] * 10
    database.answer = ["algebra"]
    assert read() == "['algebra']"
    assert database.asked <= 4


def test_an_error_with_one_value_does_not_reach_those_who_wait_for_another(reader: Reader) -> None:
    broken, level = Database(ValueError("broken"), takes=0.1), Database(3)
    both = [
        CacheRequest(TOPICS, {"user": "asha"}, list[str], broken),
        CacheRequest(LEVEL, {"user": "asha"}, int, level),
    ]

    with ThreadPoolExecutor(1) as thread:
        failing = thread.submit(reader.get_all, both)
        while not broken.asked:
            time.sleep(0.001)
        assert reader.get(LEVEL, int, level, user="asha") == 3
        with pytest.raises(ValueError, match="broken"):
            failing.result()


# --- when Redis is away -------------------------------------------------------------------------------------------


def test_without_a_server_the_database_answers_and_the_failure_is_counted(reading: Callable[[str], Reader]) -> None:
    reader, database = reading(NOWHERE), Database()

    for _ in range(5):
        assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]

    assert database.asked == 5
    assert reader.reads() == {"topics": Reads(failed=5)}
    assert reader.reads()["topics"].hit_rate is None


@contextmanager
def listening(answer: bytes | None) -> Iterator[str]:
    """A server that takes connections and says `answer` to all that it hears; nothing when None. Its URL."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(0.05)
        over = threading.Event()
        lines: list[socket.socket] = []

        def serve() -> None:
            while not over.is_set():
                try:
                    lines.append(door.accept()[0])
                except TimeoutError:
                    continue
                if answer is not None:
                    with suppress(OSError):
                        lines[-1].sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"redis://127.0.0.1:{door.getsockname()[1]}/0"
        finally:
            over.set()
            thread.join()
            for line in lines:
                line.close()


@pytest.mark.parametrize(
    "answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff" * 50, b"$-7\r\n", b"+OK\r\n"]
)
def test_a_server_that_hangs_or_talks_nonsense_costs_its_budget_and_soon_nothing(
    reading: Callable[[str], Reader], answer: bytes | None
) -> None:
    database = Database()
    with listening(answer) as url:
        reader = reading(url)
        began = time.perf_counter()
        for _ in range(50):
            assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]
        seconds = time.perf_counter() - began

    # Three tries of 50 ms each, and then none: 50 of them would take 2.5 s.
    assert seconds < 1.5
    assert database.asked == 50
    assert reader.reads() == {"topics": Reads(failed=50)}


def test_a_server_that_comes_back_is_used_again(own_redis: EmbeddedRedis, reading: Callable[[str], Reader]) -> None:
    reader, database = reading(own_redis.url), Database()
    reader.get(TOPICS, list[str], database, user="asha")
    own_redis.stop()
    for _ in range(10):
        assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]
    own_redis.ensure()
    deadline = time.monotonic() + AWAY_SECONDS + 5

    while reader.reads()["topics"].hits == 0 and time.monotonic() < deadline:
        assert reader.get(TOPICS, list[str], database, user="asha") == ["algebra", "geometry"]
        time.sleep(0.05)

    assert reader.reads()["topics"].hits > 0


def test_a_server_that_takes_no_writes_is_read_all_the_same(
    own_redis: EmbeddedRedis, reading: Callable[[str], Reader]
) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("user:level:asha", "3")
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        reader, topics, level = reading(own_redis.url), Database(), Database()

        assert reader.get(LEVEL, int, level, user="asha") == 3
        assert reader.get(TOPICS, list[str], topics, user="asha") == ["algebra", "geometry"]
        assert reader.get(LEVEL, int, level, user="asha") == 3


def test_a_cache_has_one_reader_for_all_its_threads(redis_url: str) -> None:
    cache = Cache(redis_url)

    assert cache.reader is cache.reader
    assert cache.reader.get(LEVEL, int, Database(3), user="asha") == 3
    assert msgspec.json.decode(cache.client.get("user:level:asha") or b"") == 3
    cache.close()


def test_what_is_put_there_is_found_and_what_cannot_be_put_is_let_be(
    reader: Reader, reading: Callable[[str], Reader]
) -> None:
    database = Database()

    reader.put(TOPICS, ["waves"], user="asha")
    reader.put(TOPICS, ["waves"], user="a*")
    reading(NOWHERE).put(TOPICS, ["waves"], user="asha")

    assert reader.get(TOPICS, list[str], database, user="asha") == ["waves"]
    assert database.asked == 0
