"""The newest runs of many jobs, in one query that reads no more of the history of each than these."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, select, true, union_all

from opsconsole.authoring.run import TERMINAL, Run, Trigger
from opsconsole.core.database import Connection
from opsconsole.store.job_names import POSTGRESQL, is_of, names, values
from opsconsole.store.run_rows import RUN_COLUMNS, read_runs
from opsconsole.store.tables import runs

_COLUMNS = [runs.c[name] for name in RUN_COLUMNS if name != "facts"]  # the largest, and no list of runs shows it


def newest(db: Connection, jobs: Collection[str]) -> dict[str, Run]:
    """The newest run of each of these jobs that has any, whichever state it is in."""
    dialect = db.dialect.name
    return {run.job: run for run in read_runs(db, _newest(dialect), values(dialect, jobs))}


def newest_ended(
    db: Connection, jobs: Collection[str], *, limit: int, without_backfills: int
) -> dict[str, tuple[Run, ...]]:
    """The newest `limit` runs of each job that have ended, and the newest `without_backfills` of those that are not
    part of a backfill; newest first.
    """
    dialect, found = db.dialect.name, dict[str, list[Run]]()
    query = _newest_ended(dialect, limit, without_backfills)
    for run in sorted(read_runs(db, query, values(dialect, jobs)), key=attrgetter("id"), reverse=True):
        found.setdefault(run.job, []).append(run)
    return {job: tuple(of_job) for job, of_job in found.items()}


@cache
def _newest(dialect: str) -> Select[Any]:
    return select(*_COLUMNS).where(runs.c.id.in_(_ids(dialect, 1)))


@cache
def _newest_ended(dialect: str, limit: int, without_backfills: int) -> Select[Any]:
    ended = runs.c.state.in_(TERMINAL)
    scheduled = _ids(dialect, without_backfills, ended, runs.c.trigger != Trigger.BACKFILL)
    return select(*_COLUMNS).where(runs.c.id.in_(union_all(_ids(dialect, limit, ended), scheduled)))


def _ids(dialect: str, limit: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    """The numbers of the newest `limit` runs of each job in the parameter of `names`."""
    of = names(dialect)
    mine = (is_of(dialect, runs.c.job, of.c.job), *conditions)
    of_job = select(runs.c.id).where(*mine).order_by(runs.c.job.desc(), runs.c.id.desc()).limit(limit)
    if dialect == POSTGRESQL:
        newest_of_job = of_job.lateral()
        return select(newest_of_job.c.id).select_from(of.join(newest_of_job, true()))
    listed = runs.alias()  # SQLite has no lateral join
    return select(listed.c.id).select_from(of.join(listed, listed.c.id.in_(of_job.correlate(of))))
