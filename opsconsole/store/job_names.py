"""A list of jobs as a table, to join what each of them has."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import ColumnElement, FromClause, String, column, text

from opsconsole.core.database import Connection


def names(db: Connection, jobs: Collection[str]) -> FromClause:
    """A table with the column `job` and a row for each of these jobs."""
    if db.dialect.name == "postgresql":
        rows = text("SELECT unnest(CAST(:jobs AS text[])) AS job").bindparams(jobs=list(jobs))
    else:
        listed = msgspec.json.encode(list(jobs)).decode()
        rows = text("SELECT value AS job FROM json_each(:jobs)").bindparams(jobs=listed)
    return rows.columns(column("job", String)).subquery()


def is_of(db: Connection, job: ColumnElement[str], name: ColumnElement[str] | str) -> ColumnElement[bool]:
    """Whether a row is of that job, for a query of its newest rows in the order of `job` and another column.

    On PostgreSQL not as an equation: it would make the order by `job` meaningless, and PostgreSQL might read the rows
    of all jobs in the order of the other column. A job that has not run for a year would cost a year of the others.
    """
    return job.between(name, name) if db.dialect.name == "postgresql" else job == name
