"""Every job of every pack: manual and scheduled runs, every executor, and idempotence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import select

from jobs.common import metadata
from opsconsole.authoring import outbox
from opsconsole.authoring.run import OPEN, Run, RunState, Trigger
from opsconsole.core.clock import Clock
from opsconsole.core.installed_packs import DEFAULT_PACKS
from opsconsole.embedded import sample
from opsconsole.leader.engine import Engine
from tests.conftest import Installing
from tests.installation import Installation, is_at_work
from tests.soak import others_in_soak, postgresql_in_soak
from tests.waiting import eventually

USERS = 25
MONDAY = datetime(2026, 6, 1, 6, tzinfo=UTC)
"""A Monday and the first of a month: every schedule has an occurrence in the week before."""
STAMPS = ("generated_at", "updated_at", "created_at", "archived_at", "occurred_at", "published_at", "id")
EXECUTORS = ("inline", "processes")


def installed(installing: Installing, database_url: str | None, redis_url: str, executor: str) -> Installation:
    place = installing(
        database_url=database_url,
        redis_url=redis_url,
        packs=",".join(DEFAULT_PACKS),
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": executor, "OPSCONSOLE_ENGINE__WORKERS": "2"},
    )
    sample.fill(place.data, place.catalog.packs, USERS, MONDAY)
    return place


def clock_at(moment: datetime) -> Clock:
    """A clock that starts at `moment`."""
    began = datetime.now(UTC)
    return lambda: moment + (datetime.now(UTC) - began)


@contextmanager
def led_at(place: Installation, moment: datetime) -> Iterator[None]:
    """Runs a leading engine whose clock starts at `moment`."""
    engine = Engine(place.settings, place.store, place.catalog, now=clock_at(moment))
    place.service.use_engine(engine)
    engine.start()
    eventually(lambda: is_at_work(engine), "it leads")
    try:
        yield
    finally:
        engine.stop(grace_seconds=1)
        place.service.use_engine(None)


def runs_of(place: Installation) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in place.service.queries.runs(limit=10_000):
        found.setdefault(run.job, []).append(run)
    return found


def everything(place: Installation, redis_url: str) -> Mapping[str, Any]:
    """All rows and keys, without timestamps of writing."""
    found: dict[str, Any] = {}
    with place.data.reading() as db:
        for table in (*metadata.sorted_tables, outbox.events):
            columns = [column for column in table.c if column.name not in STAMPS or column.primary_key]
            columns = [column for column in columns if not (table is outbox.events and column.name == "id")]
            found[table.name] = sorted(map(repr, db.execute(select(*columns)).all()))
    with redis.Redis.from_url(redis_url) as client:
        for key in sorted(client.keys()):
            if key != b"events":
                found[key.decode()] = client.dump(key)
    return found


@postgresql_in_soak
def test_every_job_runs_by_schedule(installing: Installing, database_url: str, redis_url: str) -> None:
    place = installed(
        installing, database_url, redis_url, "inline" if database_url.startswith("sqlite") else "processes"
    )
    names = {job.name for job in place.catalog if job.cron is not None and not job.skip_when_empty}

    # The first leader registers the jobs; the second one catches up on missed runs.
    with led_at(place, MONDAY - timedelta(days=33)):
        pass
    with led_at(place, MONDAY):
        eventually(lambda: set(runs_of(place)) == names, "every job that has something to do has a run")
        eventually(lambda: not [r for r in place.service.queries.runs(limit=999) if r.state in OPEN], "all have ended")

    found = runs_of(place)
    assert {run.trigger for runs in found.values() for run in runs} == {Trigger.SCHEDULE}
    good = (RunState.SUCCEEDED, RunState.PARTIAL)
    ended = [(run.job, run.window.label, run.state, run.error) for each in found.values() for run in each]
    assert [run for run in ended if run[2] not in good] == []
    counts = {job: sum(run.counts.ok for run in runs) for job, runs in found.items()}
    # Without an API key no exam is generated; tests/jobs/exams covers that.
    assert {job for job, ok in counts.items() if not ok} <= {"exams.generate", "exams.work_queue"}
    assert len(found["reporting.daily_report"]) == len(found["attempts.update_performance"]) == 31
    assert len(found["game.life_regen"]) == 10
    assert len(found["attempts.cache_day"]) == 1


@pytest.mark.parametrize("executor", others_in_soak(*EXECUTORS))
def test_every_job_runs_by_hand_and_is_idempotent(
    installing: Installing, tmp_path: Path, redis_url: str, executor: str
) -> None:
    place = installed(installing, f"sqlite:///{tmp_path / 'data.db'}", redis_url, executor)
    place.service._backend.now = clock_at(MONDAY)
    # In the order of a night: dependent jobs after the others, the warm-up last.
    order = sorted(place.catalog, key=lambda job: (job.pack == "practice", len(job.after), job.name))

    def run_all() -> list[Run]:
        with led_at(place, MONDAY):
            return [place.ended_run(place.service.commands.trigger(job.name)) for job in order]

    first = run_all()
    after_first = everything(place, redis_url)
    second = run_all()
    after_second = everything(place, redis_url)

    assert [(run.job, run.state) for run in first if run.state not in (RunState.SUCCEEDED, RunState.PARTIAL)] == []
    assert [run.window.label[:10] for run in first] == [run.window.label[:10] for run in second]
    assert {key for key in after_first if after_first[key] != after_second.get(key)} == set()
    assert after_first.keys() == after_second.keys()
