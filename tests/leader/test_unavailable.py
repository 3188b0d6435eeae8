"""Runs while Redis or the data database is unreachable: real servers, killed, stopped and filled."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import redis
from sqlalchemy import insert

from jobs.attempts.tables import attempts, questions, subjects, topics
from jobs.common import users
from opsconsole.authoring.run import Run, RunState
from opsconsole.core import breaker
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.leader import run_planner
from opsconsole.store import runs
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting
from tests.private_server import running
from tests.services import PrivatePostgres
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2025-01-19"
NOON = datetime(2025, 1, 19, 6, 30, tzinfo=UTC)
BORN = datetime(2024, 6, 1, tzinfo=UTC)
UNREACHABLE = "Redis is unreachable: the connection was refused or closed"
USERS = 10_000


def enrol(place: Installation, names: list[str]) -> None:
    with place.data.writing() as db:
        db.execute(insert(users), [{"id": id_, "name": id_, "active": True, "created_at": BORN} for id_ in names])


def solve(place: Installation, names: list[str]) -> None:
    """Adds one answered question for each user in `names`."""
    with place.data.writing() as db:
        db.execute(insert(subjects).values(id="math", name="Mathematics"))
        db.execute(insert(topics).values(id="alg", subject_id="math", name="Algebra"))
        db.execute(insert(questions).values(id="q1", subject_id="math", topic_id="alg", categories=[]))
        one = {"question_id": "q1", "status": "correct", "solved_at": NOON}
        db.execute(insert(attempts), [{"id": f"of-{name}", "user_id": name, **one} for name in names])


def installed(installing: Installing, redis_url: str, executor: str = "inline") -> Installation:
    """An installation with ten thousand users without attempts on DAY."""
    place = installing(
        database_url=None,
        redis_url=redis_url,
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": executor, "OPSCONSOLE_ENGINE__WORKERS": "2"},
    )
    enrol(place, [f"user{i:05}" for i in range(USERS)])
    return place


def pid_of(server: EmbeddedRedis) -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.info()["process_id"])


@contextmanager
def under_way(place: Installation) -> Iterator[int]:
    """Leads, and yields a run that has completed a few hundred users."""
    with place.leading():
        number = place.begin("attempts.cache_day", DAY)
        eventually(lambda: place.service.queries.run(number).counts.ok >= 200, "a few hundred users are done")
        yield number


def ended(place: Installation, number: int) -> Run:
    found = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
    assert found is not None
    return found


def failure_rows(place: Installation, number: int) -> list[tuple[str, str, str]]:
    with place.store.reading() as db:
        return runs.failures_of(db, number)


def test_without_redis_the_run_ends_and_a_retry_does_the_rest(own_redis: EmbeddedRedis, installing: Installing) -> None:
    place = installed(installing, own_redis.url, "processes")

    with under_way(place) as number:
        os.kill(pid_of(own_redis), signal.SIGKILL)
        first = ended(place, number)
        rows = failure_rows(place, number)
        own_redis.ensure()
        with redis.Redis.from_url(own_redis.url) as cache:
            cache.mset({f"date:user:{DAY}:user{i:05}": "[old]" for i in range(USERS)})
            retried = place.retry(number)
            untouched = len(cache.keys("date:user:*"))

    assert first.state is RunState.PARTIAL
    assert first.error == UNREACHABLE
    assert first.counts.ok + first.counts.failed == first.counts.planned == USERS
    assert first.kinds == {"redis_unreachable": first.counts.failed}
    assert 0 < len(rows) <= 100
    assert {message for _, _, message in rows} == {UNREACHABLE}
    assert (retried.state, retried.counts.ok) == (RunState.SUCCEEDED, first.counts.failed)
    assert untouched == first.counts.ok, "completed users are not processed again"


def test_a_redis_outage_of_two_seconds_fails_no_user(own_redis: EmbeddedRedis, installing: Installing) -> None:
    place = installed(installing, own_redis.url)

    with under_way(place) as number:
        os.kill(pid_of(own_redis), signal.SIGKILL)
        time.sleep(1)
        own_redis.ensure()
        found = ended(place, number)

    assert (found.state, found.counts.ok, found.error) == (RunState.SUCCEEDED, USERS, None)
    assert failure_rows(place, number) == []


@pytest.mark.soak
def test_a_hanging_redis_ends_the_run(own_redis: EmbeddedRedis, installing: Installing) -> None:
    place = installed(installing, own_redis.url)
    pid = pid_of(own_redis)

    with under_way(place) as number:
        os.kill(pid, signal.SIGSTOP)
        try:
            found = ended(place, number)
        finally:
            os.kill(pid, signal.SIGCONT)

    assert found.state is RunState.PARTIAL
    assert found.kinds == {"redis_unreachable": found.counts.failed}
    assert found.counts.ok + found.counts.failed == USERS


def test_redis_out_of_memory_fails_users_with_something_to_write(
    own_redis: EmbeddedRedis, installing: Installing
) -> None:
    place = installing(database_url=None, redis_url=own_redis.url, environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"})
    enrol(place, ["asha", "ben", "chen"])
    solve(place, ["asha", "chen"])
    with redis.Redis.from_url(own_redis.url) as cache:
        cache.set(f"date:user:{DAY}:ben", "[old]")
        cache.config_set("maxmemory-policy", "noeviction")
        cache.config_set("maxmemory", 1)

        full = place.run("attempts.cache_day", DAY)
        left = cache.keys()
        cache.config_set("maxmemory", 0)
        retried = place.retry(full.id)

    assert (full.state, full.counts.ok, full.counts.failed) == (RunState.PARTIAL, 1, 2)
    assert full.kinds == {"redis_refused_the_write_out_of_memory": 2}
    assert left == [], "removing a key needs no memory"
    assert (retried.state, retried.counts.planned, retried.metrics["keys"]) == (RunState.SUCCEEDED, 2, 2)


def test_a_wrong_password_is_reported_but_not_shown(own_redis: EmbeddedRedis, installing: Installing) -> None:
    wrong = own_redis.url.replace("unix://", "unix://:swordfish@")
    with redis.Redis.from_url(own_redis.url) as cache:
        cache.config_set("requirepass", "s3same")
        place = installing(database_url=None, redis_url=wrong, environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"})
        enrol(place, ["asha", "ben"])

        found = place.run("attempts.cache_day", DAY)
        cache.config_set("requirepass", "swordfish")
        retried = place.retry(found.id, everything=True)

    assert (found.state, found.counts.failed) == (RunState.FAILED, 2)
    assert found.error == "Redis is unreachable: it refused the user name or password"
    assert "swordfish" not in repr(found) + repr(failure_rows(place, found.id))
    assert (retried.state, retried.counts.planned) == (RunState.SUCCEEDED, 2), (
        "each user is planned once, however often it was tried"
    )


@pytest.fixture
def own_postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL server that only this test uses, and may stop."""
    with running(PrivatePostgres()) as server:
        yield server


def test_an_unreachable_data_database_fails_only_the_remaining_items(
    own_postgres: PrivatePostgres, installing: Installing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(breaker.WAIT_SECONDS, "data", 2.0)  # a minute outside the tests
    monkeypatch.setattr(run_planner, "RETRY_SECONDS", 2.0)
    place = installing(
        database_url=None,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline", "OPSCONSOLE_DATA__URL": own_postgres.new_database()},
    )
    counting.put(place.data, {f"a{i}": "fine" for i in range(10)} | {f"c{i:02}": "fine" for i in range(30)})
    counting.put(place.data, {"b": "dawdles"}, score=800)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch is running")
        own_postgres.stop()
        found = ended(place, number)
        still_leading, problem = engine.is_leading, engine.problem
        after = ended(place, place.begin("counting.count", DAY))

    assert found.state is RunState.PARTIAL
    assert (found.counts.planned, found.counts.ok, found.counts.failed) == (41, 10, 31)
    assert found.error is not None
    assert found.error.startswith("the data database is unreachable: ")
    assert found.kinds == {"data_unreachable": 31}
    assert found.metrics == {"marks": 10, "weight": 5.0}
    assert (still_leading, problem) == (True, None)
    assert after.state is RunState.FAILED
    assert after.error is not None
    assert after.error.startswith("its population could not be read: ")
