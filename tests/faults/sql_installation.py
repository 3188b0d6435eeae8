"""Installations on databases that fail, and what their tests read from the store."""

from __future__ import annotations

from sqlalchemy import select

from opsconsole.authoring.run import Run
from opsconsole.store import lease
from opsconsole.store.tables import lease as lease_table
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS

DAY = "2025-01-19"
NO_REDIS = "unix:///nowhere/redis.sock"


def make(
    installing: Installing,
    store: str | None,
    data: str | None = None,
    *,
    lease_seconds: float = 10.0,
    packs: str = "tests.packs.counting",
) -> Installation:
    environ = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline", "OPSCONSOLE_ENGINE__LEASE_SECONDS": str(lease_seconds)}
    if data is not None:
        environ["OPSCONSOLE_DATA__URL"] = data
    return installing(database_url=store, redis_url=NO_REDIS, packs=packs, environ=environ)


def ended(place: Installation, number: int) -> Run:
    found = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
    assert found is not None, place.service.queries.run(number)
    return found


def token_of(place: Installation) -> int:
    with place.store.reading() as db:
        held = lease.read(db)
    assert held is not None
    return held.token


def beat_of(place: Installation) -> int:
    with place.store.reading() as db:
        return int(db.execute(select(lease_table.c.beat)).scalar_one())


def put_slow(place: Installation, *, fast: int, slow: int) -> set[tuple[str, str]]:
    """Things of which the first ones are done at once, and the others take 50 ms each; the marks to expect."""
    counting.put(place.data, {f"a{i:02}": "fine" for i in range(fast)})
    counting.put(place.data, {f"b{i:02}": "dawdles" for i in range(slow)}, score=50)
    return {(DAY, f"a{i:02}") for i in range(fast)} | {(DAY, f"b{i:02}") for i in range(slow)}
