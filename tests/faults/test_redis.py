"""Rows 25 to 29: Redis that hangs, evicts, may not be written to, refuses commands, or is not ready yet.

Rows 24 and 26, and a wrong password, are in `engine/test_away.py`. Row 30 has no test: nothing reads cached values.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import redis
from sqlalchemy import insert

from jobs.attempts.tables import attempts, questions, subjects, topics
from jobs.common import users
from opsconsole.authoring.batch import Batch
from opsconsole.authoring.context import Resources
from opsconsole.authoring.run import Run, RunState
from opsconsole.calendar.windows import Window
from opsconsole.core import breaker
from opsconsole.embedded.redis import EmbeddedRedis, find_server
from opsconsole.store import runs
from opsconsole.worker.work import work
from tests.conftest import Installing
from tests.installation import Installation
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2025-01-19"
NOON = datetime(2025, 1, 19, 6, 30, tzinfo=UTC)
BORN = datetime(2024, 6, 1, tzinfo=UTC)
SECRET = "swordfish"
JOB = "attempts.cache_day"


def installed(installing: Installing, redis_url: str, people: int, *, answer: str = "A") -> Installation:
    """`people` who each answered one question that day."""
    place = installing(database_url=None, redis_url=redis_url, environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"})
    names = [f"user{i:04}" for i in range(people)]
    one = {"question_id": "q1", "status": "correct", "solved_at": NOON, "answer": answer}
    with place.data.writing() as db:
        db.execute(insert(subjects).values(id="math", name="Mathematics"))
        db.execute(insert(topics).values(id="alg", subject_id="math", name="Algebra"))
        db.execute(insert(questions).values(id="q1", subject_id="math", topic_id="alg", categories=[]))
        db.execute(insert(users), [{"id": id_, "name": id_, "active": True, "created_at": BORN} for id_ in names])
        db.execute(insert(attempts), [{"id": f"of-{name}", "user_id": name, **one} for name in names])
    return place


@contextmanager
def connected(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as client:
        yield client


def everything_shown(place: Installation, run: Run) -> str:
    """All that an operator can read about a run."""
    with place.store.reading() as db:
        lines = runs.log_lines(db, run.id, limit=1000)
        failures = runs.failures_of(db, run.id)
    return repr((run, lines, failures))


def writes(client: redis.Redis) -> tuple[int, int]:
    """How many SETs the server carried out, and how many it refused."""
    statistics = client.info("commandstats").get("cmdstat_set", {})
    refused = int(statistics.get("rejected_calls", 0)) + int(statistics.get("failed_calls", 0))
    return int(statistics.get("calls", 0)), refused


def allow(client: redis.Redis, *rules: str) -> None:
    """Adds to what the user `ops` may do."""
    client.execute_command("ACL", "SETUSER", "ops", "on", *rules)  # type: ignore[no-untyped-call]


@contextmanager
def hanging(server: EmbeddedRedis) -> Iterator[None]:
    with connected(server) as client:
        pid = int(client.info()["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("was_connected", [True, False])
def test_row_25_a_hung_redis_fails_no_user(
    was_connected: bool, own_redis: EmbeddedRedis, installing: Installing
) -> None:
    place = installed(installing, own_redis.url, 50)
    tools = Resources(place.settings.data_url.reveal(), own_redis.url)
    day = Window(datetime(2025, 1, 18, 18, 30, tzinfo=UTC), datetime(2025, 1, 19, 18, 30, tzinfo=UTC), DAY)
    keys = [f"user{i:04}" for i in range(50)]
    batch = Batch(1, 1, 1, JOB, day, day.end, keys, {}, 300.0)
    if was_connected:
        assert work(batch, place.catalog.find(JOB), tools).ok == 50

    with hanging(own_redis):
        result = work(batch, place.catalog.find(JOB), tools)
    tools.close()

    assert (result.broken, result.ok, result.failed) == ("redis", 0, [])
    assert sorted(result.again) == keys, "no user is failed by it, all are retried"


def test_row_27_what_redis_evicts_is_counted_and_stops_no_run(own_redis: EmbeddedRedis, installing: Installing) -> None:
    place = installed(installing, own_redis.url, 500, answer="x" * 4000)
    with connected(own_redis) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", int(client.info()["used_memory"]) + 500_000)

        first = place.run(JOB, DAY)
        after_first = place.service.cache.statistics()
        again = place.run(JOB, DAY)
        after_second = place.service.cache.statistics()
        reads = [client.get(f"date:user:{DAY}:user{i:04}") for i in range(500)]
        after_reads = place.service.cache.statistics()

    assert [(run.state, run.counts.ok, run.metrics["keys"]) for run in (first, again)] == [
        (RunState.SUCCEEDED, 500, 500),
        (RunState.SUCCEEDED, 500, 500),
    ]
    assert 0 < (after_first.evicted or 0) < (after_second.evicted or 0)
    assert (after_second.keys or 500) < 500
    assert 0 < (after_second.memory or 0) < (after_second.max_memory or 0) * 1.2
    assert after_reads.hit_rate is not None
    assert after_reads.hit_rate < 1, "readers miss what is gone"
    assert {read for read in reads if read is not None} != set()


def test_row_28_a_replica_is_reported_and_tried_at_most_four_times(
    own_redis: EmbeddedRedis, installing: Installing
) -> None:
    place = installed(installing, own_redis.url, 50)
    with connected(own_redis) as client:
        client.replicaof("127.0.0.1", 1)

        found = place.run(JOB, DAY)
        done, refused = writes(client)
        client.replicaof("NO", "ONE")
        retried = place.retry(found.id)

    assert (found.state, found.counts.failed) == (RunState.FAILED, 50)
    assert found.error == "Redis is unreachable: it is a read-only replica"
    assert found.kinds == {"redis_unreachable": 50}
    assert done == 0
    assert 50 <= refused <= 4 * 50, "three batches open the breaker, one tries whether it is better"
    assert (retried.state, retried.counts.ok) == (RunState.SUCCEEDED, 50)


def test_row_28_a_replica_that_is_promoted_in_time_costs_no_user(
    own_redis: EmbeddedRedis, installing: Installing
) -> None:
    place = installed(installing, own_redis.url, 50)
    with connected(own_redis) as client, place.leading():
        client.replicaof("127.0.0.1", 1)
        number = place.begin(JOB, DAY)
        eventually(lambda: writes(client)[1] >= 3 * 50, "three batches were refused")
        client.replicaof("NO", "ONE")
        found = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)

    assert found is not None
    assert (found.state, found.counts.ok, found.error) == (RunState.SUCCEEDED, 50, None)


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ("~other:* +@all", "Redis is unreachable: the Redis user may not access these keys"),
        ("~* +@all -set", "Redis is unreachable: the Redis user may not run SET"),
        ("~* +ping +get", "Redis is unreachable: the Redis user may not run SET"),
    ],
)
def test_row_29_what_the_acl_denies_is_reported_once_and_not_retried(
    rules: str, error: str, own_redis: EmbeddedRedis, installing: Installing
) -> None:
    place = installed(installing, own_redis.url.replace("unix://", f"unix://ops:{SECRET}@"), 60)
    with connected(own_redis) as client:
        allow(client, f">{SECRET}", *rules.split())

        found = place.run(JOB, DAY)
        done, refused = writes(client)
        allow(client, "~*", "+@all")
        retried = place.retry(found.id)

    assert (found.state, found.counts.failed) == (RunState.FAILED, 60)
    assert len(found.kinds) == 1, "one cause, however many users"
    assert error in everything_shown(place, found)
    assert SECRET not in everything_shown(place, found)
    assert done == 0
    assert refused <= 60, "no user is retried"
    assert (retried.state, retried.counts.ok) == (RunState.SUCCEEDED, 60)


def test_row_29_a_password_that_is_refused_is_not_shown(own_redis: EmbeddedRedis, installing: Installing) -> None:
    place = installed(installing, own_redis.url.replace("unix://", f"unix://ops:{SECRET}@"), 30)
    with connected(own_redis) as client:
        allow(client, ">another", "~*", "+@all")

        found = place.run(JOB, DAY)

    assert (found.state, found.counts.failed) == (RunState.FAILED, 30)
    assert found.error == "Redis is unreachable: it refused the user name or password"
    assert SECRET not in everything_shown(place, found)


def test_row_29_redis_that_cannot_save_is_reported_and_not_retried(
    own_redis: EmbeddedRedis, installing: Installing
) -> None:
    place = installed(installing, own_redis.url, 60)
    (own_redis.folder / "dump.rdb").mkdir()  # what is saved cannot take that name
    with connected(own_redis) as client:
        client.config_set("save", "3600 1")
        client.config_set("stop-writes-on-bgsave-error", "yes")
        client.bgsave()
        eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "saving has failed")

        found = place.run(JOB, DAY)
        done, refused = writes(client)
        client.config_set("stop-writes-on-bgsave-error", "no")
        client.config_set("save", "")  # else its end would wait for it
        retried = place.retry(found.id)

    assert (found.state, found.counts.failed) == (RunState.FAILED, 60)
    assert found.error == "Redis is unreachable: it refuses writes because it cannot save them to disk"
    assert found.kinds == {"redis_unreachable": 60}
    assert (done, refused) == (0, 60)
    assert (retried.state, retried.counts.ok) == (RunState.SUCCEEDED, 60)


@contextmanager
def loading_slowly(server: EmbeddedRedis) -> Iterator[None]:
    """The server, restarted with its data: it takes a second and a half to load, and reports that to clients."""
    with connected(server) as client:
        client.mset({f"ballast:{i}": "x" * 100 for i in range(1000)})
        client.save()
        os.kill(int(client.info()["process_id"]), signal.SIGKILL)
    eventually(lambda: not server.is_up(), "it is gone")
    server.socket.unlink(missing_ok=True)
    options = {
        "--port": "0",
        "--unixsocket": str(server.socket),
        "--dir": str(server.folder),
        "--key-load-delay": "1500",  # microseconds a key
        "--loading-process-events-interval-bytes": "1024",
        "--logfile": str(server.folder / "slow.log"),
    }
    process = subprocess.Popen([find_server(), *(word for option in options.items() for word in option)])
    try:
        eventually(lambda: _is_loading(server), "it loads")
        yield
    finally:
        process.kill()
        process.wait()


def _is_loading(server: EmbeddedRedis) -> bool:
    try:
        with redis.Redis.from_url(server.url) as client:
            client.ping()
    except redis.BusyLoadingError:
        return True
    except (redis.ConnectionError, OSError):
        return False
    raise AssertionError("it has loaded already")


def test_row_29_redis_that_still_loads_is_waited_for(
    own_redis: EmbeddedRedis, installing: Installing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(breaker.WAIT_SECONDS, "redis", 40.0)  # on a busy machine it loads for longer than 4 s
    monkeypatch.setitem(breaker.PROBES, "redis", breaker.PROBES["data"])
    place = installed(installing, own_redis.url, 50)
    with loading_slowly(own_redis):
        found = place.run(JOB, DAY)

    assert (found.state, found.counts.ok, found.error) == (RunState.SUCCEEDED, 50, None)
