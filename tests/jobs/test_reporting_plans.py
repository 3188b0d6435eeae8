"""Query plans of reporting: all statements use indexes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.monthly_summary import monthly_summary
from jobs.reporting.sample import add_reporting
from jobs.sample_users import user_id
from opsconsole.authoring.scope import Scope
from tests.jobs.reporting_fixtures import JOBS, ReportingFixture, window

UNTIL = datetime(2026, 3, 11, tzinfo=UTC)
LABEL = {daily_report.name: "2026-03-10", daily_snapshot.name: "2026-03-10", monthly_summary.name: "2026-03"}


@pytest.fixture
def fixture(database_url: str) -> Iterator[ReportingFixture]:
    made = ReportingFixture(database_url)
    yield made
    made.close()


def with_data(fixture: ReportingFixture) -> ReportingFixture:
    """150 users over 12 days with reports, snapshots and a summary."""
    add_reporting(fixture.data, 150, UNTIL - timedelta(days=12), UNTIL)
    for job in JOBS:
        fixture.run(job, LABEL[job.name])
    if not fixture.data.is_sqlite:
        with fixture.data.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            db.execute(text("VACUUM ANALYZE"))
    return fixture


def scans(fixture: ReportingFixture, statement: str, parameters: object) -> list[str]:
    """The parts of a statement's plan that scan a table of reporting."""
    how = "EXPLAIN QUERY PLAN " if fixture.data.is_sqlite else "EXPLAIN "
    with fixture.data.engine.connect() as db:
        if not fixture.data.is_sqlite:
            db.exec_driver_sql("SET enable_seqscan = off")  # small tables are scanned by choice
        lines = [str(row[-1]) for row in db.exec_driver_sql(how + statement, parameters)]  # type: ignore[arg-type]
    whole = "SCAN " if fixture.data.is_sqlite else "Seq Scan on "
    tables = ("transactions", "pockets", "daily_financial", "monthly_financial")
    return [line for line in lines if any(whole + table in line for table in tables)]


def test_no_statement_of_a_batch_reads_a_whole_table(fixture: ReportingFixture) -> None:
    with_data(fixture)
    executed: list[tuple[str, object]] = []

    def see(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith(("SELECT", "WITH")):
            executed.append((statement, parameters))

    event.listen(fixture.engine, "before_cursor_execute", see)
    for job in JOBS:
        fixture.run(job, LABEL[job.name], keys=[user_id(number) for number in range(1, 9)])
    event.remove(fixture.engine, "before_cursor_execute", see)

    assert len(executed) >= (10 if fixture.data.is_sqlite else 6)
    assert {statement: scans(fixture, statement, parameters) for statement, parameters in executed} == {
        statement: [] for statement, _ in executed
    }


def test_late_transactions_are_found_by_their_index(fixture: ReportingFixture) -> None:
    with_data(fixture)
    mine = window(daily_report, "2026-03-10")
    assert daily_report.stale is not None
    query = daily_report.stale(Scope(mine, mine.end, {}, {}))
    with fixture.data.engine.connect() as db:
        if not fixture.data.is_sqlite:
            db.exec_driver_sql("SET enable_seqscan = off")
        compiled = query.compile(db, compile_kwargs={"literal_binds": True})
        how = "EXPLAIN QUERY PLAN " if fixture.data.is_sqlite else "EXPLAIN "
        plan = "\n".join(str(row[-1]) for row in db.exec_driver_sql(how + str(compiled)))

    assert "ix_transactions_user_id_recorded_at_occurred_at" in plan
    assert "ix_transactions_user_id_occurred_at" in plan
