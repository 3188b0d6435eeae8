"""Three days without a leader: every scheduled time is recorded and explained."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.calendar.cron import TICK
from opsconsole.leader.engine import Engine
from opsconsole.store import runs
from opsconsole.store.registrations import registrations
from tests.cli.conftest import RunCli
from tests.installation import Installation
from tests.packs import counting
from tests.schedules import cron_of
from tests.waiting import eventually

THURSDAY = datetime(2025, 1, 16, 12, 10, tzinfo=UTC)
SUNDAY = datetime(2025, 1, 19, 12, 40, tzinfo=UTC)
JOBS = ("clockwork.hourly", "clockwork.forgetful", "clockwork.nightly")
EDGES = (
    THURSDAY - timedelta(days=1),
    datetime(2025, 1, 17, 0, 0, tzinfo=UTC),
    datetime(2025, 1, 18, 19, 0, tzinfo=UTC),
    datetime(2025, 1, 19, 3, 30, 7, tzinfo=UTC),
    SUNDAY + timedelta(days=1),
)


@pytest.fixture
def downtime(installation: Installation) -> dict[str, datetime]:
    """Two leaders, three days apart; the time up to which each job's schedule is planned."""
    counting.put(installation.data, {"anna": "fine"})
    lead(installation, THURSDAY)
    lead(installation, SUNDAY)
    with installation.store.reading() as db:
        return {name: job.planned_until for name, job in registrations(db).items()}


def lead(installation: Installation, at: datetime) -> None:
    """Leads with a stopped clock until everything missed has been caught up."""
    engine = Engine(installation.settings, installation.store, installation.catalog, now=lambda: at)
    engine.start()
    eventually(lambda: is_settled(installation, at), "everything missed has been caught up")
    engine.stop(grace_seconds=1)


def is_settled(installation: Installation, at: datetime) -> bool:
    with installation.store.reading() as db:
        registered = registrations(db)
        caught_up = at == THURSDAY or bool(runs.newest(db, limit=1, job="clockwork.nightly"))
        return len(registered) == len(list(installation.catalog)) and caught_up and runs.unfinished(db) == []


def test_counts_between_any_two_times_match_the_schedules(
    cli: RunCli, installation: Installation, downtime: dict[str, datetime]
) -> None:
    for name in JOBS:
        cron, cursor = cron_of(installation.catalog.find(name)), downtime[name]
        assert cron.next(cursor) is not None
        for first in EDGES:
            for after in EDGES[EDGES.index(first) + 1 :]:
                between = ("--since", first.isoformat(), "--until", after.isoformat())
                result = cli("occurrences", "--job", name, *between, "--summary", "--json").json
                recorded = max(first - TICK, THURSDAY), min(after - TICK, cursor)
                expected = cron.count(*recorded) if recorded[0] < recorded[1] else 0
                assert result["count"] == expected, (name, first, after)
                assert all(total["exact"] for total in result["totals"])


def test_every_missed_time_is_explained(cli: RunCli, downtime: dict[str, datetime]) -> None:
    def why(job: str, at: str) -> str:
        return cli("why", job, "--at", at).out

    hourly = why("clockwork.hourly", "2025-01-17T09:00:00Z")
    assert "it was missed: no leader planned it on time, and only the newest missed time runs" in hourly
    assert "scheduled for 2025-01-19 12:00 UTC" in hourly
    assert "the same applies to all 71 scheduled times from 2025-01-16 13:00 UTC to 2025-01-19 11:00 UTC" in hourly
    assert "by the leader with token 2" in hourly

    assert "it ran late: run" in why("clockwork.hourly", "2025-01-19T12:00:00Z")
    assert "missed times do not run (catch-up: none)" in why("clockwork.forgetful", "2025-01-18T12:15:00Z")
    assert "(catch-up: the newest 2)" in why("clockwork.nightly", "2025-01-17 00:30")
    assert "the job was registered at 2025-01-16 12:10 UTC" in why("clockwork.hourly", "2025-01-16T12:00:00Z")
    beyond = why("clockwork.hourly", "2025-01-19T13:00:00Z")
    assert "it is not planned yet" in beyond
    assert "no process has led since" in beyond
