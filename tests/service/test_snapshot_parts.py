"""Each part of a Snapshot is read on its own: a table that is broken hides what comes from it, and nothing else."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from opsconsole.core.problems import Fault, Work
from opsconsole.rules.findings import FindingKind
from opsconsole.store import pauses
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting
from tests.soak import postgresql_in_soak

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)
HIDDEN = {
    "ops_lease": {Work.LEADER},
    "ops_jobs": {Work.JOBS, Work.HEALTH},
    "ops_runs": {Work.JOBS, Work.LIVE_RUNS, Work.RECENT_RUNS, Work.HISTORIES, Work.HEALTH},
    "ops_occurrences": {Work.JOBS, Work.HEALTH},
    "ops_pauses": {Work.HEALTH, Work.PAUSES},
    "ops_presence": {Work.ATTACHED},
    "ops_set_aside": {Work.SET_ASIDE},
}
"""The parts that read each table."""

pytestmark = postgresql_in_soak


@pytest.fixture
def place(installing: Installing, database_url: str, redis_url: str) -> Installation:
    packs, environ = "tests.packs.counting", {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    made = installing(database_url=database_url, redis_url=redis_url, packs=packs, environ=environ)
    counting.put(made.data, {"asha": "fine"})
    made.run("counting.count", "2025-01-19")
    with made.store.writing() as db:
        pauses.add(db, "counting.gross", since=NOON, until=None, who="asha", note="")
    return made


@pytest.mark.parametrize("table", HIDDEN)
def test_a_broken_table_hides_what_comes_from_it_and_nothing_else(
    table: str, place: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with place.store.writing() as db:
        db.execute(text(f"ALTER TABLE {table} RENAME TO elsewhere"))

    first = place.service.snapshot()
    unknown = {problem.work for problem in first.unknown}
    degraded = {finding.subject for finding in first.findings if finding.kind is FindingKind.DEGRADED}
    known = len(caplog.records)
    again = place.service.snapshot()
    with place.store.writing() as db:
        db.execute(text(f"ALTER TABLE elsewhere RENAME TO {table}"))
    healed = place.service.snapshot()

    assert unknown == HIDDEN[table]
    assert {problem.fault for problem in first.unknown} == {Fault.UNKNOWN}
    assert all(table in problem.reason for problem in first.unknown)
    assert degraded >= unknown
    assert first.store_outage is None
    assert (len(first.jobs) > 0) is (Work.JOBS not in unknown)
    assert len(first.recent) == (0 if Work.RECENT_RUNS in unknown else 1)
    assert len(first.pauses) == (0 if Work.PAUSES in unknown else 1)
    assert [problem.since for problem in again.unknown] == [problem.since for problem in first.unknown]
    assert len(caplog.records) == known, "one problem is logged once"
    assert healed.unknown == ()
    assert (len(healed.recent), len(healed.pauses)) == (1, 1)
