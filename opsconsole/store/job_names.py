"""A list of jobs as a table, to join what each of them has."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import ColumnElement, FromClause, String, column, text

POSTGRESQL = "postgresql"


def names(dialect: str) -> FromClause:
    """A table with the column `job` and a row for each of the jobs in `values`."""
    is_postgresql = dialect == POSTGRESQL
    rows = (
        "SELECT unnest(CAST(:jobs AS text[])) AS job" if is_postgresql else "SELECT value AS job FROM json_each(:jobs)"
    )
    return text(rows).columns(column("job", String)).subquery()


def values(dialect: str, jobs: Collection[str]) -> dict[str, object]:
    """These jobs as the parameters of a query with `names`."""
    return {"jobs": list(jobs) if dialect == POSTGRESQL else msgspec.json.encode(list(jobs)).decode()}


def is_of(dialect: str, job: ColumnElement[str], name: ColumnElement[str] | str) -> ColumnElement[bool]:
    """Whether a row is of that job, for a query of its newest rows in the order of `job` and another column.

    On PostgreSQL not as an equation: it would make the order by `job` meaningless, and PostgreSQL might read the rows
    of all jobs in the order of the other column. A job that has not run for a year would cost a year of the others.
    """
    return job.between(name, name) if dialect == POSTGRESQL else job == name
