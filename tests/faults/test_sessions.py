"""Sessions that end one by one, logins that are refused for a while, and restarts between any two durable steps."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from opsconsole.authoring.run import RunState
from opsconsole.core import breaker
from opsconsole.core.failpoints import Point
from tests.conftest import Installing
from tests.faults.conftest import Start
from tests.faults.servers import FAST, Restartable
from tests.faults.sql_installation import NO_REDIS, ended, make, put_slow
from tests.faults.test_boundaries import BY_A_RUN, IN_A_WORKER, PEOPLE, as_if_nothing_had_happened
from tests.installation import is_at_work
from tests.packs import counting
from tests.private_server import running
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2025-01-19"


@pytest.fixture(scope="module")
def _own_postgres() -> Iterator[Restartable]:
    with running(Restartable()) as server:
        yield server


@pytest.fixture
def own_postgres(_own_postgres: Restartable) -> Iterator[Restartable]:
    """A PostgreSQL server of these tests' own; it runs again after the test."""
    yield _own_postgres
    _own_postgres.revive()


def test_each_session_may_be_ended_in_turn(
    own_postgres: Restartable, installing: Installing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(breaker.WAIT_SECONDS, "data", 20.0)
    store, data = own_postgres.new_database(), own_postgres.new_database()
    place = make(installing, store, data, lease_seconds=2.0)
    expected = put_slow(place, fast=10, slow=60)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) >= 2, "the second batch is under way")
        sessions = own_postgres.sessions(store, data)
        for session in sessions:
            own_postgres.execute(f"SELECT pg_terminate_backend({session})")
            eventually(lambda: is_at_work(engine) and engine.problem is None, "it leads, still or again")
        found = ended(place, number)

    assert len(sessions) >= 5
    assert (found.state, found.counts.ok, found.counts.planned) == (RunState.SUCCEEDED, 70, 70)
    assert set(counting.marks(place.data)) == expected


def test_a_password_that_is_changed_is_reported_and_the_leader_leads_again_with_it(
    own_postgres: Restartable, installing: Installing, tmp_path: Path
) -> None:
    store = own_postgres.new_database()
    place = make(installing, store, f"sqlite:///{tmp_path / 'data.db'}", lease_seconds=2.0)
    expected = put_slow(place, fast=10, slow=30)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch is under way")
        with own_postgres.locking_out(store):
            eventually(lambda: "password authentication failed" in (engine.problem or ""), "it reports why")
            problem = engine.problem or ""
        eventually(lambda: is_at_work(engine) and engine.problem is None, "it leads again")
        found = ended(place, number)

    assert str(make_url(store).password) not in problem
    assert (found.state, found.counts.ok) == (RunState.SUCCEEDED, 40)
    assert set(counting.marks(place.data)) == expected


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.soak
@pytest.mark.parametrize("point", [point for point in BY_A_RUN if point not in IN_A_WORKER])
def test_a_restart_of_the_server_between_two_steps_changes_nothing(
    point: Point, own_postgres: Restartable, installing: Installing, start: Start
) -> None:
    passing, executor = BY_A_RUN[point]
    place = installing(
        database_url=own_postgres.new_database(),
        redis_url=NO_REDIS,
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(place.data, PEOPLE)
    command = place.service.commands.trigger("counting.count", DAY)

    leader = start(place, "headless", point=f"{point}:{passing}:stop", executor=executor)
    eventually(lambda: is_stopped(leader.pid), "it stopped at the point")
    own_postgres.halt(FAST)
    own_postgres.resume()
    os.kill(leader.pid, signal.SIGCONT)
    outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
    assert outcome is not None
    assert outcome.run is not None
    found = place.service.commands.wait_for_run(outcome.run, PATIENCE_SECONDS)
    leader.terminate()
    leader.wait(timeout=PATIENCE_SECONDS)

    assert found is not None
    as_if_nothing_had_happened(place, found)
