"""Compression by configuration: of every family, for every way to write, and read back by every way to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import redis

from opsconsole.cache.client import Cache
from opsconsole.cache.families import Family
from opsconsole.core import configuration
from opsconsole.core.errors import BadConfiguration
from opsconsole.worker.messages import Wiring

DAY = Family("shelf.day", "shelf:day:{user}", timedelta(hours=2), of=("user",))
LEVEL = Family("shelf.level", "shelf:level:{user}", timedelta(hours=2), of=("user",))
LONG = ["algebra"] * 500
TEXT = msgspec.json.encode(LONG)


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def test_every_way_to_write_compresses_and_every_way_to_read_detects_it(redis_url: str, server: redis.Redis) -> None:
    plain, compressing = Cache(redis_url, [DAY, LEVEL]), Cache(redis_url, [replace(DAY, compress_over=2000), LEVEL])
    for cache, name in ((plain, "plain"), (compressing, "small")):
        for family in (DAY, LEVEL):
            cache.replace(family, {f"replace-{name}": TEXT, f"short-{name}": b"[]"}, by="user")
            cache.fill([(family, {"user": f"fill-{name}"}, TEXT)])
            cache.reader.put(family, LONG, user=f"put-{name}")
            cache.reader.get(family, list[str], lambda: LONG, user=f"get-{name}")

    stored = [key.decode() for key in server.scan_iter()]

    for key in stored:
        is_small = key.startswith("shelf:day:") and key.endswith("-small") and "short" not in key
        assert (server.getrange(key, 0, 0) == b"\x78" and server.strlen(key) < 200) is is_small, key
    for cache in (plain, compressing):
        for family in (DAY, LEVEL):
            users = [key.rpartition(":")[2] for key in stored if key.startswith(family.pattern.partition("{")[0])]
            for user, value in cache.read(family, users, by="user").items():
                assert value == (b"[]" if user.startswith("short") else TEXT)
                found = cache.reader.get(family, list[str], lambda: ["computed"], user=user)
                assert found == ([] if user.startswith("short") else LONG)
        cache.close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("[cache]\ncompress_over = 2000", 2000),
        ('[cache.compress_over]\n"practice.session" = 500', {"practice.session": 500}),
        ("", None),
    ],
)
def test_the_setting_reaches_the_workers(tmp_path: Path, given: str, expected: object) -> None:
    folder = tmp_path
    file = folder / "opsconsole.toml"
    file.write_text(given)

    settings = configuration.load(file, folder=folder, environ={})

    wiring = {"parent": 1, "answers": 1, "path": [], **settings.for_workers(), "redis_url": ""}
    assert msgspec.convert(msgspec.to_builtins(wiring), Wiring).compress_over == settings.compress_over == expected


def test_the_environment_sets_it_for_all_families(tmp_path: Path) -> None:
    folder = tmp_path
    environ = {"OPSCONSOLE_CACHE__COMPRESS_OVER": "1000"}

    assert configuration.load(folder=folder, environ=environ, search=False).compress_over == 1000
    with pytest.raises(BadConfiguration, match=r"compress_over must be a whole number, or a section"):
        configuration.load(folder=folder, environ={"OPSCONSOLE_CACHE__COMPRESS_OVER": "much"}, search=False)
