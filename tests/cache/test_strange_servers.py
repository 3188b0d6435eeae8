"""Servers that answer what Redis never answers: each operation ends with a value or with Unavailable, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress

import pytest

from jobs.attempts.cached_day import DAY_ATTEMPTS
from jobs.game.leaderboards import BOARD, NAMES
from opsconsole.cache import swap_ranking
from opsconsole.cache.clearing import sweep
from opsconsole.cache.client import Cache
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.inspection import inspect
from opsconsole.cache.stream import append
from opsconsole.core.errors import Unavailable
from tests.redis_servers import StrangeServer

HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
ANSWERS: dict[str, bytes | None] = {
    "http": HTTP,
    "garbage": b"\x00\xff\xfe garbage \x80\r\n",
    "tls_alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "ok": b"+OK\r\n",
    "nothing": b"$-1\r\n",
    "no_list": b"*-1\r\n",
    "empty_list": b"*0\r\n",
    "number": b":7\r\n",
    "text": b"$3\r\nabc\r\n",
    "list_of_numbers": b"*2\r\n:1\r\n:2\r\n",
    "deep_list": b"*1\r\n" * 12 + b":1\r\n",
    "long_text": b"$536870\r\nabc",
    "push": b">2\r\n$6\r\nmoving\r\n$1\r\nx\r\n",
    "map": b"%1\r\n+a\r\n:1\r\n",
    "error": b"-ERR no\r\n",
    "error_without_utf8": b"-ERR \xff\xfe\r\n",
    "error_without_words": b"-\r\n",
    "moved_without_address": b"-MOVED\r\n",
    "moved_to_nonsense": b"-MOVED x y z\r\n",
    "ask_to_nonsense": b"-ASK 12 nowhere\r\n",
    "busy": b"-BUSY Redis is busy running a script\r\n",
    "closes": None,
}


@pytest.fixture
def served() -> Iterator[Callable[[Callable[[Sequence[bytes]], bytes | None]], str]]:
    """Starts servers, and returns their URLs."""
    servers: list[StrangeServer] = []

    def serve(answer: Callable[[Sequence[bytes]], bytes | None]) -> str:
        servers.append(StrangeServer(answer))
        return servers[-1].url

    yield serve
    for each in servers:
        each.close()


def every_operation(cache: Cache, url: str) -> dict[str, Callable[[], object]]:
    return {
        "replace": lambda: cache.replace(DAY_ATTEMPTS, {"asha": b"[]", "ben": None}, by="user", date="2026-01-19"),
        "fill": lambda: cache.fill([(DAY_ATTEMPTS, {"user": "asha", "date": "2026-01-19"}, b"[]")]),
        "read": lambda: cache.read(DAY_ATTEMPTS, ["asha", "ben"], by="user", date="2026-01-19"),
        "forget": lambda: cache.forget([DAY_ATTEMPTS], "attempts", user=["asha"], date=["2026-01-19"]),
        "unlink": lambda: cache.unlink(["a", "b"]),
        "statistics": cache.statistics,
        "survey": lambda: cache.survey([DAY_ATTEMPTS], seconds=1),
        "count": lambda: list(sweep(cache.client, [DAY_ATTEMPTS], ClearFilter(user="asha"), remove=False)),
        "clear": lambda: cache.clear([DAY_ATTEMPTS], user="asha"),
        "clear_one": lambda: cache.clear([DAY_ATTEMPTS], user="asha", date="2026-01-19"),
        "rank": lambda: swap_ranking(cache, BOARD.key(board="b"), NAMES.key(board="b"), lambda: [("asha", 1.0, "A")]),
        "publish": lambda: append(cache.client, "events", [{"id": "1"}], max_length=10),
        "inspect": lambda: inspect(url),
    }


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_whatever_a_server_answers_ends_as_a_value_or_as_unavailable(
    answer: bytes | None, served: Callable[..., str]
) -> None:
    url = served(lambda command: answer) + "?socket_timeout=0.2"
    with closing(Cache(url)) as cache:
        for act in every_operation(cache, url).values():
            with suppress(Unavailable):
                act()

        assert cache.reader.get(DAY_ATTEMPTS, list[str], lambda: ["own"], user="asha", date="2026-01-19") == ["own"]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_strange_answers_after_a_proper_handshake_end_likewise(
    answer: bytes | None, served: Callable[..., str]
) -> None:
    url = served(lambda command: b"+OK\r\n" if command[0] in (b"CLIENT", b"AUTH") else answer) + "?socket_timeout=0.2"
    with closing(Cache(url)) as cache:
        for act in every_operation(cache, url).values():
            with suppress(Unavailable):
                act()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (HTTP, "its answers are not those of a Redis server"),
        (b"$-1\r\n", "its answers are not those of a Redis server"),
        (None, "the connection was refused or closed"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "it is still loading its data"),
        (b"-BUSY Redis is busy running a script\r\n", "it is busy with a script"),
        (b"-NOREPLICAS Not enough good replicas to write.\r\n", "it refuses writes because it has too few replicas"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", "it is a replica without a primary"),
        (b"-ERR max number of clients reached\r\n", "it has no connection left for another client"),
    ],
)
def test_what_may_pass_is_waited_for(answer: bytes | None, reason: str, served: Callable[..., str]) -> None:
    with closing(Cache(served(lambda command: answer))) as cache, pytest.raises(Unavailable) as caught:
        cache.replace(DAY_ATTEMPTS, {"asha": b"[]"}, by="user", date="2026-01-19")

    assert (caught.value.reason, caught.value.permanent) == (reason, False)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"-NOAUTH Authentication required.\r\n", "it requires a password"),
        (b"-WRONGPASS invalid username-password pair or user is disabled.\r\n", "it refused the user name or password"),
        (b"-NOPERM this user has no permissions to run the 'set' command\r\n", "the Redis user may not run SET"),
        (b"-NOPERM No permissions to access a key\r\n", "the Redis user may not access these keys"),
        (b"-MISCONF Redis is configured to save\r\n", "it refuses writes because it cannot save them to disk"),
        (b"-MOVED 1 127.0.0.1:7001\r\n", "it is a Redis Cluster"),
        (b"-ASK 1 127.0.0.1:7001\r\n", "it is a Redis Cluster"),
        (b"-CROSSSLOT Keys in request don't hash to the same slot\r\n", "it is a Redis Cluster"),
        (b"-CLUSTERDOWN Hash slot not served\r\n", "it is a Redis Cluster"),
        (b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n", "it is a Redis Cluster"),
        (
            b"-ERR unknown command 'SET', with args beginning with: 'a' 'swordfish'\r\n",
            "it does not know the command SET",
        ),
        (b"\x15\x03\x01\x00\x02\x02\x46", "it expects TLS; write rediss:// in the URL"),
        (b"-DENIED Redis is running in protected mode\r\n", "it accepts local connections only (protected mode)"),
    ],
)
def test_what_stays_ends_a_run_at_once(answer: bytes, reason: str, served: Callable[..., str]) -> None:
    url = served(lambda command: b"+OK\r\n" if command[0] == b"CLIENT" else answer)
    with closing(Cache(url)) as cache:
        for act in (
            lambda: cache.replace(DAY_ATTEMPTS, {"asha": b"[]"}, by="user", date="2026-01-19"),
            lambda: cache.read(DAY_ATTEMPTS, ["asha"], by="user", date="2026-01-19"),
        ):
            with pytest.raises(Unavailable) as caught:
                act()
            assert caught.value.reason.startswith(reason)
            assert caught.value.permanent
            assert "swordfish" not in caught.value.sentence


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"-ERR DB index is out of range\r\n", "it has no database with this number"),
        (b"-ERR SELECT is not allowed in cluster mode\r\n", "it is a Redis Cluster"),
        (b"-NOPERM this user has no permissions to run the 'select' command\r\n", "the Redis user may not run SELECT"),
    ],
)
def test_a_database_that_cannot_be_selected_is_no_users_fault(
    answer: bytes, reason: str, served: Callable[..., str]
) -> None:
    url = served(lambda command: answer if command[0] == b"SELECT" else b"+OK\r\n").replace("/0", "/99")
    with closing(Cache(url)) as cache, pytest.raises(Unavailable) as caught:
        cache.replace(DAY_ATTEMPTS, {"asha": b"[]"}, by="user", date="2026-01-19")

    assert caught.value.reason.startswith(reason)
    assert caught.value.permanent


def test_a_write_that_is_not_acknowledged_is_not_counted(served: Callable[..., str]) -> None:
    url = served(lambda command: b"+OK\r\n" if command[0] == b"CLIENT" else b"+QUEUED\r\n")
    with closing(Cache(url)) as cache, pytest.raises(Unavailable, match="its answers are not those of a Redis server"):
        cache.replace(DAY_ATTEMPTS, {"asha": b"[]"}, by="user", date="2026-01-19")


def test_a_server_that_closes_while_a_ranking_is_swapped_is_unavailable_not_contended(
    served: Callable[..., str],
) -> None:
    url = served(
        lambda command: None if command[0] in (b"ZCARD", b"EXEC") else b"+OK\r\n" if len(command) < 4 else b":1\r\n"
    )
    with closing(Cache(url)) as cache, pytest.raises(Unavailable, match="the connection was refused or closed"):
        swap_ranking(cache, BOARD.key(board="b"), NAMES.key(board="b"), lambda: [("asha", 1.0, "A")])
