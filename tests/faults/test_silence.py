"""A leader whose connections to the store or the data are silent: they are open, and nothing comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from opsconsole import store as stores
from opsconsole.authoring.run import RunState
from opsconsole.core import breaker, postgres
from tests.conftest import Installing
from tests.faults.sql_installation import NO_REDIS, ended, put_slow, token_of
from tests.installation import Installation, is_at_work
from tests.packs import counting
from tests.services import PrivatePostgres
from tests.waiting import eventually
from tests.wire import Wire

DAY = "2025-01-19"


@pytest.fixture
def wire(postgres_server: PrivatePostgres) -> Iterator[Wire]:
    with Wire(postgres_server.port) as made:
        yield made


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "STATEMENT_SECONDS", 2.0)
    monkeypatch.setattr(postgres, "PROBE_SECONDS", 1.0)


def make(installing: Installing, store: str | None, data: str | None) -> Installation:
    environ = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline", "OPSCONSOLE_ENGINE__LEASE_SECONDS": "4"}
    if data is not None:
        environ["OPSCONSOLE_DATA__URL"] = data
    return installing(database_url=store, redis_url=NO_REDIS, packs="tests.packs.counting", environ=environ)


def causes(place: Installation) -> list[str]:
    with place.store.reading() as db:
        return [cause for cause in db.execute(text("SELECT cause FROM ops_batches")).scalars() if cause]


def test_a_leader_whose_sessions_fall_silent_leads_on_with_others(
    wire: Wire, postgres_url: str, installing: Installing, tmp_path: object
) -> None:
    place = make(installing, wire.url(postgres_url), f"sqlite:///{tmp_path}/data.db")
    expected = put_slow(place, fast=10, slow=30)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch is under way")
        wire.stall()
        place.store.engine.dispose()  # the test's own sessions, which nobody would wait for
        found = ended(place, number)
        eventually(lambda: is_at_work(engine) and engine.problem is None, "it leads")

    assert (found.state, found.counts.ok, found.counts.planned) == (RunState.SUCCEEDED, 40, 40)
    assert set(counting.marks(place.data)) == expected


@pytest.mark.soak
def test_a_leader_without_answers_says_so_and_leads_again_when_they_come(
    wire: Wire, postgres_url: str, installing: Installing, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SLOW_SECONDS", 0.5)
    place = make(installing, wire.url(postgres_url) + "?connect_timeout=2", f"sqlite:///{tmp_path}/data.db")
    expected = put_slow(place, fast=10, slow=30)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch is under way")
        wire.silence()
        eventually(lambda: "has not answered" in (engine.problem or ""), "it reports what it waits for")
        eventually(lambda: not engine.is_leading, "it concedes")
        eventually(lambda: (engine.problem or "").startswith("the store is unreachable: "), "it has ended its work")
        wire.restore()
        eventually(lambda: is_at_work(engine) and engine.problem is None, "it leads again")
        found = ended(place, number)
        token = token_of(place)

    assert (found.state, found.counts.ok, found.counts.planned) == (RunState.SUCCEEDED, 40, 40)
    assert token >= 2
    assert set(counting.marks(place.data)) == expected


def test_silent_data_is_waited_for_like_an_unreachable_database(
    wire: Wire, postgres_url: str, installing: Installing, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(breaker.WAIT_SECONDS, "data", 20.0)
    place = make(installing, f"sqlite:///{tmp_path}/store.db", wire.url(postgres_url) + "?connect_timeout=2")
    put_slow(place, fast=10, slow=30)

    with place.leading() as engine:
        number = place.begin("counting.count", DAY)
        eventually(lambda: place.service.queries.run(number).counts.ok >= 10, "some are done")
        wire.silence()
        eventually(lambda: any("has not answered" in cause for cause in causes(place)), "a batch is given up")
        wire.restore()
        found = ended(place, number)
        leads = engine.is_leading

    assert (found.state, found.counts.ok, found.counts.planned) == (RunState.SUCCEEDED, 40, 40)
    assert leads
