"""The newest runs of many jobs, in one query."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import event, update

from benchmarks import history
from opsconsole.authoring.run import TERMINAL, Trigger
from opsconsole.core import clock
from opsconsole.store import Store, job_runs, migrate, newest_runs, runs
from opsconsole.store.tables import runs as table

JOBS = [f"many.job_{n}" for n in range(7)]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    history.fill(made, JOBS[:-1], 300, clock.now())
    with made.writing() as db:
        db.execute(update(table).where(table.c.id > 200, table.c.job == JOBS[0]).values(trigger=Trigger.BACKFILL))
    yield made
    made.close()


def test_one_statement_finds_the_newest_runs_of_each_job(store: Store) -> None:
    statements: list[str] = []
    with store.reading() as db:
        event.listen(db.engine, "before_cursor_execute", lambda *of: statements.append(of[2]))
        found = newest_runs.newest_ended(db, JOBS, limit=5, without_backfills=8)
        last = newest_runs.newest(db, JOBS)
        assert len(statements) == 2

        for job in JOBS[:-1]:
            ended = runs.newest(db, limit=5, job=job, states=TERMINAL)
            scheduled = runs.newest(db, limit=8, job=job, states=TERMINAL, without=Trigger.BACKFILL)
            expected = {run.id for run in (*ended, *scheduled)}
            assert [run.id for run in found[job]] == sorted(expected, reverse=True)
            assert last[job].id == ended[0].id
    assert (JOBS[-1] in found, JOBS[-1] in last) == (False, False)


def test_only_the_runs_of_a_job_that_has_run_are_read_again(store: Store) -> None:
    with store.reading() as db:
        kept = job_runs.read(db, JOBS)
    with store.writing() as db:
        number = db.execute(update(table).where(table.c.id == 300).values(state="running").returning(table.c.job))
        changed = number.scalar_one()
    with store.reading() as db:
        now = job_runs.read(db, JOBS, kept)

    assert {job for job in JOBS if now.ended.get(job) is not kept.ended.get(job)} == {changed}
    assert len(now.ended[changed]) == len(kept.ended[changed])
    assert now.ended[changed][0].id < 300
