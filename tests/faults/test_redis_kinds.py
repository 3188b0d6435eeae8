"""Runs against a Redis of the wrong kind, or with the wrong permissions: no user is failed one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.authoring.run import RunState
from opsconsole.cache.filters import ClearFilter
from opsconsole.embedded.redis import EmbeddedRedis
from tests.conftest import Installing
from tests.faults.test_redis import DAY, JOB, connected, installed
from tests.redis_servers import cluster, proxy, server
from tests.waiting import PATIENCE_SECONDS, eventually

CLUSTER = "Redis is unreachable: it is a Redis Cluster, which is not supported"


def test_a_cluster_ends_a_run_at_once_with_one_cause(installing: Installing, tmp_path: Path) -> None:
    with cluster(tmp_path / "cluster") as nodes:
        place = installed(installing, nodes[0].url, 189)
        found = place.run(JOB, DAY)
        boards = place.service.cache.statistics()

    assert (found.state, found.counts.failed + found.counts.ok) == (RunState.FAILED, 189)
    assert found.counts.ok == 0
    assert found.kinds == {"redis_unreachable": 189}
    assert found.error is not None
    assert found.error.startswith(CLUSTER)
    assert boards.memory is not None


@pytest.mark.parametrize(
    ("suffix", "cause"),
    [
        ("?db=99", "it has no database with this number"),
        ("?db=0&password=wrong", "it has no password, but the URL has"),
    ],
)
def test_what_stays_wrong_ends_a_run_with_its_cause(
    suffix: str, cause: str, own_redis: EmbeddedRedis, installing: Installing
) -> None:
    place = installed(installing, own_redis.url.replace("?db=0", suffix), 120)

    found = place.run(JOB, DAY)

    assert (found.state, found.counts.failed) == (RunState.FAILED, 120)
    assert found.error == f"Redis is unreachable: {cause}"
    assert found.kinds == {"redis_unreachable": 120}


def test_a_user_without_info_client_and_dbsize_disturbs_nothing(
    own_redis: EmbeddedRedis, installing: Installing
) -> None:
    place = installed(installing, own_redis.url.replace("unix://", "unix://ops:word@"), 60)
    with connected(own_redis) as client:
        client.acl_setuser(
            "ops", enabled=True, passwords=["+word"], keys=["*"], commands=["+@all", "-info", "-client", "-dbsize"]
        )

        found = place.run(JOB, DAY)
        with place.leading():
            eventually(lambda: place.service.snapshot().leader is not None, "the snapshot shows the leader")
            snapshot = place.service.snapshot()
            cleared = place.service.commands.clear_cache(ClearFilter(user="user0001"), counted=1)
            outcome = place.service.commands.outcome(cleared, PATIENCE_SECONDS)

    assert (found.state, found.counts.ok) == (RunState.SUCCEEDED, 60)
    assert snapshot.redis.outage is None
    assert snapshot.redis.stats is not None
    assert snapshot.redis.stats.denied == ("INFO", "DBSIZE")
    assert outcome is not None
    assert outcome.facts["cleared"] == 1


def test_a_silent_connection_fails_no_user_when_it_speaks_again(installing: Installing, tmp_path: Path) -> None:
    with server(tmp_path / "redis") as real, proxy(real.port) as between:
        place = installed(installing, f"redis://127.0.0.1:{between.port}/0", 200)
        with place.leading():
            assert place.service.snapshot().redis.outage is None
            between.silent = True
            number = place.begin(JOB, DAY)
            eventually(lambda: place.service.queries.run(number).state is RunState.RUNNING, "it runs")
            between.silent = False
            found = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)

    assert found is not None
    assert (found.state, found.counts.ok, found.error) == (RunState.SUCCEEDED, 200, None)


@pytest.mark.soak
def test_a_silent_connection_ends_the_run_with_its_cause(installing: Installing, tmp_path: Path) -> None:
    with server(tmp_path / "redis") as real, proxy(real.port) as between:
        place = installed(installing, f"redis://127.0.0.1:{between.port}/0", 200)
        between.silent = True
        found = place.run(JOB, DAY)
        between.silent = False
        retried = place.retry(found.id)

    assert (found.state, found.counts.failed) == (RunState.FAILED, 200)
    assert found.error == "Redis is unreachable: no answer in time"
    assert (retried.state, retried.counts.ok) == (RunState.SUCCEEDED, 200)


def test_a_fail_over_behind_one_address_fails_no_user(installing: Installing, tmp_path: Path) -> None:
    with (
        server(tmp_path / "first") as first,
        server(tmp_path / "second", "--replicaof", f"127.0.0.1 {first.port}") as second,
        proxy(first.port) as between,
        first.client() as former,
        second.client() as successor,
    ):
        place = installed(installing, f"redis://127.0.0.1:{between.port}/0", 200)
        before = place.run(JOB, DAY)
        between.target = second.port
        successor.replicaof("NO", "ONE")
        former.replicaof("127.0.0.1", second.port)
        after = place.retry(before.id, everything=True)
        keys = successor.dbsize()

    assert (after.state, after.counts.ok, after.error) == (RunState.SUCCEEDED, 200, None)
    assert keys == 200
