"""Redis and a database that fail, become slow or full are alerts of a leader while that lasts; what passes is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from opsconsole.core.errors import NAMES
from opsconsole.core.problems import Work
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.rules.findings import FindingKind as K, Severity
from opsconsole.rules.storage_health import MB
from opsconsole.rules.system_health import RECENTLY, SLOW_SECONDS, TRIED_AGAIN
from tests import redis_servers, templates
from tests.conftest import Installing
from tests.installation import is_at_work
from tests.leader.alert_rows import NOON, Watched
from tests.services import PrivatePostgres
from tests.waiting import eventually, finished
from tests.wire import Wire

REDIS, DATA, STORE = NAMES["redis"], NAMES["data"], NAMES["store"]
INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
SLOW_AFTER, DELAY = 0.3, 0.4


@pytest.mark.parametrize(("service", "probe"), [(REDIS, Work.REDIS_PROBE), (DATA, Work.DATA_PROBE)])
def test_a_service_is_slow_and_then_cut_off(
    service: str, probe: Work, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wired(service, request, tmp_path, monkeypatch) as (watched, wire), watched.leading() as engine:
        monkeypatch.setitem(SLOW_SECONDS, service, SLOW_AFTER)
        watched.looks(engine, probe)
        watched.has_just(engine, probe)  # a probe that is cut off itself fails
        wire.cut()
        with delayed(wire, times=1):
            watched.looks(engine, probe)
        assert watched.rows == [], "a connection that was cut is replaced, and one slow answer is no slow service"

        with delayed(wire):
            slow = watched.fires(K.SLOW, service)
        watched.clocks.let_pass(timedelta(seconds=40))
        was_slow = watched.resolves(K.SLOW, service)

        wire.port, port = 1, wire.port  # where nothing listens
        wire.cut()
        gone = watched.fires(K.UNREACHABLE, service)
        wire.port = port
        watched.resolves(K.UNREACHABLE, service)

    assert (slow.severity, slow.since) == (Severity.WARNING, NOON)
    assert was_slow.resolved_at == watched.clocks.wall
    assert (gone.severity, gone.since) == (Severity.CRITICAL, watched.clocks.wall)
    assert watched.rows == [(K.SLOW, service), (K.UNREACHABLE, service)], "and nothing that follows from them"


def test_a_store_that_was_cut_off_is_what_an_observer_finds_and_leaves_no_alert(
    installing: Installing,
    postgres_server: PrivatePostgres,
    postgres_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Wire(postgres_server.port) as wire:
        environ = {**INLINE, "OPSCONSOLE_DATA__URL": templates.copy_sqlite(tmp_path / "data.db")}
        place = installing(
            database_url=wire.url(postgres_url), redis_url=redis_url, packs="tests.packs.counting", environ=environ
        )
        watched = Watched(place, monkeypatch)

        def observed() -> list[tuple[K, str]]:
            return [finding.key for finding in place.service.snapshot().findings]

        with watched.leading() as engine:
            watched.looks(engine, Work.STORE_PROBE)
            wire.port, port = 1, wire.port
            wire.cut()
            eventually(lambda: observed() == [(K.UNREACHABLE, STORE)], "the store is unreachable")
            time.sleep(1)  # the leader's loops fail meanwhile
            wire.port = port
            eventually(lambda: observed() == [], "it is reachable again")
            eventually(lambda: is_at_work(engine), "it leads")
            watched.looks(engine, Work.STORE_PROBE)
            watched.clocks.let_pass(TRIED_AGAIN)
            watched.looks(engine, Work.STORE_PROBE)
        assert watched.rows == []


@contextmanager
def wired(
    service: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Watched, Wire]]:
    """An installation with a wire to its Redis, or to its data database on PostgreSQL."""
    installing: Installing = request.getfixturevalue("installing")
    urls = {"database_url": templates.copy_sqlite(tmp_path / "store.db")}
    if service == REDIS:
        with redis_servers.server(tmp_path / "redis") as server, Wire(server.port) as wire:
            place = installing(**urls, redis_url=wire.url(server.url), packs="tests.packs.counting", environ=INLINE)
            yield Watched(place, monkeypatch), wire
        return
    postgres: PrivatePostgres = request.getfixturevalue("postgres_server")
    with Wire(postgres.port) as wire:
        environ = {**INLINE, "OPSCONSOLE_DATA__URL": wire.url(request.getfixturevalue("postgres_url"))}
        redis_url = request.getfixturevalue("redis_url")
        place = installing(**urls, redis_url=redis_url, packs="tests.packs.counting", environ=environ)
        yield Watched(place, monkeypatch), wire


@contextmanager
def delayed(wire: Wire, times: int | None = None) -> Iterator[None]:
    """Delays what passes the wire, until the end of the block or `times` times."""
    ended = threading.Event()

    def delay() -> None:
        done = 0
        while not ended.is_set() and done != times:
            wire.silence()
            time.sleep(DELAY)
            wire.restore()
            time.sleep(0.01)  # for what has waited
            done += 1

    thread = threading.Thread(target=delay)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        finished(thread)


def test_redis_has_no_memory_left(
    installing: Installing, own_redis: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = installing(
        database_url=templates.copy_sqlite(tmp_path / "database.db"),
        redis_url=own_redis.url,
        packs="tests.packs.counting",
        environ=INLINE,
    )
    watched = Watched(place, monkeypatch)
    with watched.leading() as engine, redis.Redis.from_url(own_redis.url) as client:
        fill(client, 300)
        client.set("short", 1, px=1)
        eventually(lambda: client.get("short") is None, "it expires, which is no eviction")
        watched.looks(engine, Work.REDIS_PROBE)
        client.config_set("maxmemory", 2 * int(client.info()["used_memory"]))
        watched.looks(engine, Work.REDIS_PROBE)
        assert watched.rows == [], "without a limit, and with room below it"

        client.config_set("maxmemory-policy", "volatile-lru")
        client.config_set("maxmemory", int(client.info()["used_memory"]) + MB)
        fill(client, 600)
        full, evicting = watched.fires(K.MEMORY_NEARLY_FULL, REDIS), watched.fires(K.EVICTING, REDIS)
        client.config_set("maxmemory", 0)
        watched.resolves(K.MEMORY_NEARLY_FULL, REDIS)
        assert watched.is_open(K.EVICTING, REDIS), "it is shown for a while"
        watched.clocks.let_pass(RECENTLY + timedelta(seconds=1))
        watched.resolves(K.EVICTING, REDIS)

        own_redis.stop()
        own_redis.ensure()
        watched.looks(engine, Work.REDIS_PROBE)

    assert full.evidence["numbers"]["percent"] >= 90
    assert evicting.evidence["count"] > 0
    assert watched.rows.count((K.EVICTING, REDIS)) == 1, "a restart, which sets the counters to zero, is no eviction"
    assert set(watched.rows) <= {(K.EVICTING, REDIS), (K.MEMORY_NEARLY_FULL, REDIS), (K.UNREACHABLE, REDIS)}


def fill(client: redis.Redis, keys: int) -> None:
    for n in range(keys):
        client.set(f"key:{n}", "x" * 10_000, ex=3600)
