"""Fills the history of a store with SQL: a million runs take seconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from opsconsole.core.times import utc
from opsconsole.store import Store

YEAR = timedelta(days=365)
FAILED_OF, PARTIAL_OF = 199, 53
"""One of this many runs fails, or fails in part."""

# The schedules and spans are the same in both databases; each has its own clock arithmetic and generator of numbers.
_SQLITE = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :runs)
SELECT i, strftime('%Y-%m-%d %H:%M:%f', :since, '+' || printf('%.3f', i * :step) || ' seconds') || '000' AS at,
    strftime('%Y-%m-%d %H:%M:%f', :since, '+' || printf('%.3f', i * :step + 0.8) || ' seconds') || '000' AS ended,
    j.value AS job
FROM n JOIN json_each(:jobs) j ON j.key = n.i % :count
"""
_POSTGRESQL = """
SELECT i, :since ::timestamptz + make_interval(secs => i * :step) AS at,
    :since ::timestamptz + make_interval(secs => i * :step + 0.8) AS ended,
    (:jobs ::jsonb) ->> (i % :count ::int)::int AS job
FROM generate_series(0, :runs ::bigint - 1) i
"""
_OCCURRENCES = """
INSERT INTO ops_occurrences (id, job, due_at, last_due_at, instants, state, spec, token, recorded_at, started_at)
SELECT h.i + 1, h.job, h.at, h.at, 1, 'ran', '-', 1, h.at, h.at FROM ({numbers}) h
"""
_RUNS = """
INSERT INTO ops_runs (id, job, window_label, window_start, window_end, as_of, "trigger", occurrence_id, requested_by,
    spec, state, attempt, token, host, version, created_at, started_at, ended_at, planning_done, batches, batches_done,
    planned, ok, failed, facts, kinds, metrics)
SELECT h.i + 1, h.job, CAST(h.i AS TEXT), h.at, h.ended, h.at, 'schedule', h.i + 1, 'schedule', '-',
    CASE WHEN h.i % {failed_of} = 7 THEN 'failed' WHEN h.i % {partial_of} = 3 THEN 'partial' ELSE 'succeeded' END,
    1, 1, 'bench', '1', h.at, h.at, h.ended, true, 1, 1, 100,
    CASE WHEN h.i % {failed_of} = 7 THEN 0 WHEN h.i % {partial_of} = 3 THEN 99 ELSE 100 END,
    CASE WHEN h.i % {failed_of} = 7 THEN 100 WHEN h.i % {partial_of} = 3 THEN 1 ELSE 0 END, '{{}}', '{{}}', '{{}}'
FROM ({numbers}) h
"""


def fill(store: Store, jobs: Sequence[str], runs: int, now: datetime, *, span: timedelta = YEAR) -> None:
    """Writes `runs` ended runs of these jobs in turn, with their scheduled times, over the time before `now`, into a
    store that has none.
    """
    numbers = _SQLITE if store.is_sqlite else _POSTGRESQL
    since = now - span
    values = {
        "runs": runs,
        "step": span.total_seconds() / runs,
        "since": f"{since:%Y-%m-%d %H:%M:%S}" if store.is_sqlite else utc(since),
        "jobs": json.dumps(list(jobs)),
        "count": len(jobs),
    }
    with store.writing(patient=True) as db:
        for statement in (_OCCURRENCES, _RUNS):
            filled = statement.format(numbers=numbers, failed_of=FAILED_OF, partial_of=PARTIAL_OF)
            db.execute(text(filled), values)
        for table in () if store.is_sqlite else ("ops_occurrences", "ops_runs"):
            db.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), :runs)"), {"runs": runs})
            db.execute(text(f"ANALYZE {table}"))
