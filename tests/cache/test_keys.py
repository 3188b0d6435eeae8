"""One key of a family: found by its parts, and its value as a person reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis

from opsconsole.cache.compression import compress
from opsconsole.cache.connection import connect
from opsconsole.cache.families import BadKey, Family
from opsconsole.cache.keys import MAX_ELEMENTS, MAX_KEYS, MAX_LINE, MAX_LINES, KeysFound, KeyValue, as_lines, find, look

DAYS = Family("attempts.day", "date:user:{date}:{user}", timedelta(hours=2), of=("user",))


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as client:
        yield client


def looked(client: redis.Redis, key: str) -> KeyValue:
    found = look(client, key)
    assert found is not None
    return found


def test_a_key_with_all_its_parts_is_not_searched() -> None:
    nowhere = connect("redis://127.0.0.1:1/0")

    assert list(find(nowhere, DAYS, {"date": "2026-01-19", "user": "asha"})) == [
        KeysFound(("date:user:2026-01-19:asha",), 1, more=False, done=True)
    ]
    with pytest.raises(BadKey):
        next(find(nowhere, DAYS, {"user": "a*"}))


def test_the_keys_of_a_part_are_found_in_steps(client: redis.Redis) -> None:
    client.mset({f"date:user:2026-01-{day:02}:asha": 1 for day in range(1, 32)})
    client.mset({f"date:user:2026-01-19:ben{n}": 1 for n in range(1500)} | {"date:user:x:y:asha": 1})

    steps = list(find(client, DAYS, {"user": "asha"}))

    assert len(steps) > 1
    assert sorted(steps[-1].keys) == [f"date:user:2026-01-{day:02}:asha" for day in range(1, 32)]
    assert (steps[-1].done, steps[-1].more, steps[0].done) == (True, False, False)
    last = list(find(client, DAYS, {}))[-1]
    assert (len(last.keys), last.more, last.done) == (MAX_KEYS, True, True)


def test_a_value_is_decompressed_and_indented(client: redis.Redis) -> None:
    value = {"user": "asha", "days": list(range(200))}
    client.set("date:user:d:asha", compress(json.dumps(value).encode(), 10), ex=60)

    found = looked(client, "date:user:d:asha")

    assert json.loads("".join(found.lines)) == value
    assert found.lines[:2] == ("{", '  "user": "asha",')
    assert (found.type, found.compressed, found.cut, found.elements) == ("string", True, False, None)
    assert found.ttl_seconds is not None
    assert 0 < found.ttl_seconds <= 60
    assert found.memory is not None
    assert found.length is not None
    assert found.memory > found.length


def test_collections_show_their_first_elements_and_how_many_there_are(client: redis.Redis) -> None:
    client.zadd("z", {f"u{n:04}": n for n in range(500)})
    client.hset("h", mapping={"name": "asha", "xp": 7})
    client.rpush("l", *range(500))
    client.sadd("s", "b", "a")
    client.xadd("x", {"event": "solved"}, id="1-1")

    ranking = looked(client, "z")
    assert (ranking.elements, len(ranking.lines), ranking.cut) == (500, MAX_ELEMENTS, True)
    assert ranking.lines[0].split() == ["499", "u0499"]
    assert ranking.ttl_seconds is None
    assert looked(client, "h").lines == ("name: asha", "xp: 7")
    assert looked(client, "l").lines[:2] == ("0", "1")
    assert looked(client, "s").lines == ("a", "b")
    assert looked(client, "x").lines == ("1-1  event: solved",)


def test_no_value_is_long_wide_or_dangerous(client: redis.Redis) -> None:
    client.set("long", "\n".join("x" * 1000 for _ in range(2000)))
    client.set("evil", b"\x1b]52;c;aGk=\x07\n\xe2\x80\xae[@click=x]")
    client.rpush("large", "x" * (3 << 20))

    long, evil, large = (looked(client, key) for key in ("long", "evil", "large"))

    assert (len(long.lines), max(map(len, long.lines)), long.cut) == (MAX_LINES, MAX_LINE, True)
    assert evil.lines == ("\\x1b]52;c;aGk=\\x07", "\\u202e[@click=x]")
    assert (large.lines, large.elements) == (("its elements are too large to be shown",), 1)


def test_a_key_that_does_not_exist_has_no_value(client: redis.Redis) -> None:
    assert look(client, "nothing") is None


def test_bytes_that_are_no_text_are_shown_in_hexadecimal_digits() -> None:
    assert as_lines(b"\xff\x00\x01") == ["000000  ff 00 01"]
    assert as_lines("abé".encode()[:-1]) == ["ab"]
    assert as_lines(b"plain\ntext") == ["plain", "text"]
    assert as_lines(b"") == [""]
