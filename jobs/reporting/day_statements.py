"""Reports and snapshots of a day on PostgreSQL: one statement computes and writes those of a batch."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import TextClause, bindparam, text

from jobs.reporting.balances import fail_invalid_users
from opsconsole import Context, Items
from opsconsole.sql import TextArray

# Rows of different tables are put one below the other and grouped, not joined: with statistics from before the day a
# database expects hardly any row of it, and would compare each row of one table with each of the other.
_FIGURES = """
moved AS MATERIALIZED (
    SELECT user_id, pocket_id, type, coalesce(category, '') AS category, occurred_at,
           CASE WHEN type IN ('income', 'transfer_in') THEN amount_minor ELSE 0 END AS inflow,
           CASE WHEN type IN ('income', 'transfer_in') THEN 0 ELSE amount_minor END AS outflow,
           type IS NULL OR type NOT IN ('income', 'expense', 'transfer_in', 'transfer_out')
               OR amount_minor IS NULL OR amount_minor <= 0 AS is_invalid
    FROM transactions WHERE user_id = ANY(:users) AND occurred_at >= :start AND occurred_at < :until
), pieces AS (
    SELECT user_id, id AS pocket_id, true AS exists, created_at < :end AS counts, balance_minor AS total,
           0 AS inflow, 0 AS outflow, 0 AS income, 0 AS expense, 0 AS transactions,
           CAST(NULL AS timestamptz) AS occurred_at, false AS is_invalid
    FROM pockets WHERE user_id = ANY(:users)
    UNION ALL
    SELECT user_id, pocket_id, false, false, 0, inflow, outflow, CASE WHEN type = 'income' THEN inflow ELSE 0 END,
           CASE WHEN type = 'expense' THEN outflow ELSE 0 END, 1, occurred_at, is_invalid
    FROM moved
    UNION ALL
    SELECT user_id, pocket_id, false, false,
           CASE WHEN type IN ('income', 'transfer_in') THEN -amount_minor ELSE amount_minor END, 0, 0, 0, 0, 0, NULL,
           type IS NULL OR type NOT IN ('income', 'expense', 'transfer_in', 'transfer_out')
               OR amount_minor IS NULL OR amount_minor <= 0
    FROM transactions WHERE user_id = ANY(:users) AND occurred_at >= :after
), by_pocket AS MATERIALIZED (
    SELECT user_id, pocket_id, bool_or(counts) AS counts, sum(total) AS total, sum(inflow) AS inflow,
           sum(outflow) AS outflow, sum(income) AS income, sum(expense) AS expense, sum(transactions) AS transactions,
           max(occurred_at) AS latest, bool_or(is_invalid) OR NOT bool_or(exists) AS is_invalid
    FROM pieces GROUP BY user_id, pocket_id
), figures AS MATERIALIZED (
    SELECT user_id, count(*) FILTER (WHERE counts) AS pockets,
           coalesce(sum(total - inflow + outflow) FILTER (WHERE counts), 0) AS opening,
           coalesce(sum(total) FILTER (WHERE counts), 0) AS total, sum(inflow - outflow) AS net, sum(income) AS income,
           sum(expense) AS expense, sum(transactions) AS transactions, max(latest) AS latest,
           bool_or(is_invalid) AS is_invalid
    FROM by_pocket GROUP BY user_id
), old_reports AS MATERIALIZED (
    SELECT * FROM daily_financial_reports WHERE date = :day AND user_id = ANY(:users)
)"""

_WITH_TRANSACTIONS = """
reported AS (
    SELECT user_id FROM figures WHERE transactions > 0 AND NOT is_invalid
)"""

_OUTDATED = """
reported AS (
    SELECT f.user_id FROM figures f LEFT JOIN old_reports old ON old.user_id = f.user_id
    WHERE f.transactions > 0 AND NOT f.is_invalid
      AND (old.through IS NULL OR old.through <= f.latest OR old.transactions <> f.transactions)
)"""

# Sums as texts of `numeric`, which has no largest value. `IS TRUE` keeps the list of users a hash table.
_REPORTS = """
entries AS (
    SELECT user_id, 'pocket' AS kind, pocket_id AS key, inflow, outflow, transactions FROM by_pocket
    WHERE transactions > 0 AND (user_id IN (SELECT user_id FROM reported)) IS TRUE
    UNION ALL
    SELECT user_id, CASE WHEN GROUPING(type) = 0 THEN 'type' ELSE 'category' END, coalesce(type, category),
           sum(inflow), sum(outflow), count(*)
    FROM moved WHERE (user_id IN (SELECT user_id FROM reported)) IS TRUE
    GROUP BY GROUPING SETS ((user_id, type), (user_id, category))
), encoded AS (
    SELECT user_id, kind, key, concat(to_json(key), ':{"in":', inflow, ',"out":', outflow, ',"count":', transactions,
                                      '}') AS entry
    FROM entries
), documents AS (
    SELECT user_id,
           CAST(concat('{', string_agg(entry, ',' ORDER BY key COLLATE "C") FILTER (WHERE kind = 'type'), '}') AS json)
               AS by_type,
           CAST(concat('{', string_agg(entry, ',' ORDER BY key COLLATE "C") FILTER (WHERE kind = 'category'), '}')
               AS json) AS by_category,
           CAST(concat('{', string_agg(entry, ',' ORDER BY key COLLATE "C") FILTER (WHERE kind = 'pocket'), '}')
               AS json) AS by_pocket
    FROM encoded GROUP BY user_id
), new_reports AS MATERIALIZED (
    SELECT f.*, f.opening + f.net AS closing, d.by_type, d.by_category, d.by_pocket
    FROM figures f JOIN documents d ON d.user_id = f.user_id LEFT JOIN old_reports old ON old.user_id = f.user_id
    WHERE old.user_id IS NULL OR old.opening_minor <> f.opening OR old.closing_minor <> f.opening + f.net
       OR old.income_minor <> f.income OR old.expense_minor <> f.expense OR old.transactions <> f.transactions
       OR old.through <> :through OR CAST(CAST(old.by_type AS text) AS jsonb) <> CAST(d.by_type AS jsonb)
       OR CAST(CAST(old.by_category AS text) AS jsonb) <> CAST(d.by_category AS jsonb)
       OR CAST(CAST(old.by_pocket AS text) AS jsonb) <> CAST(d.by_pocket AS jsonb)
       OR EXISTS (SELECT FROM transactions t WHERE t.user_id = f.user_id AND t.occurred_at < :end
                  AND t.recorded_at > old.generated_at - INTERVAL '1 minute')
), written_reports AS (
    INSERT INTO daily_financial_reports AS old (user_id, date, opening_minor, closing_minor, income_minor,
        expense_minor, transactions, by_type, by_category, by_pocket, through, generated_at)
    SELECT user_id, :day, opening, closing, income, expense, transactions, by_type, by_category, by_pocket, :through,
           :now FROM new_reports ORDER BY user_id
    ON CONFLICT (user_id, date) DO UPDATE SET opening_minor = excluded.opening_minor,
        closing_minor = excluded.closing_minor, income_minor = excluded.income_minor,
        expense_minor = excluded.expense_minor, transactions = excluded.transactions, by_type = excluded.by_type,
        by_category = excluded.by_category, by_pocket = excluded.by_pocket, through = excluded.through,
        generated_at = excluded.generated_at
    WHERE old.generated_at < excluded.generated_at AND old.through <= excluded.through
)"""

_SNAPSHOTS = """
old_snapshots AS MATERIALIZED (
    SELECT * FROM daily_financial_snapshots WHERE date = :day AND user_id = ANY(:users)
), new_snapshots AS MATERIALIZED (
    SELECT f.* FROM figures f LEFT JOIN old_snapshots old ON old.user_id = f.user_id
    WHERE f.pockets > 0 AND NOT f.is_invalid
      AND (old.user_id IS NULL OR old.total_minor <> f.total OR old.pockets <> f.pockets
        OR old.income_minor <> f.income OR old.expense_minor <> f.expense
        OR EXISTS (SELECT FROM transactions t WHERE t.user_id = f.user_id AND t.occurred_at < :end
                   AND t.recorded_at > old.generated_at - INTERVAL '1 minute'))
), written_snapshots AS (
    INSERT INTO daily_financial_snapshots AS old (user_id, date, total_minor, pockets, income_minor, expense_minor,
        generated_at)
    SELECT user_id, :day, total, pockets, income, expense, :now FROM new_snapshots ORDER BY user_id
    ON CONFLICT (user_id, date) DO UPDATE SET total_minor = excluded.total_minor, pockets = excluded.pockets,
        income_minor = excluded.income_minor, expense_minor = excluded.expense_minor,
        generated_at = excluded.generated_at
    WHERE old.generated_at < excluded.generated_at
)"""

_OF_REPORTS = """
SELECT (SELECT count(*) FROM new_reports) AS reports,
       (SELECT array_agg(user_id ORDER BY user_id) FROM figures WHERE is_invalid) AS invalid"""

_OF_SNAPSHOTS = """
SELECT (SELECT count(*) FROM new_reports) AS reports, (SELECT count(*) FROM new_snapshots) AS snapshots,
       (SELECT array_agg(user_id ORDER BY user_id) FROM figures WHERE is_invalid) AS invalid"""


_USERS = bindparam("users", type_=TextArray)
_WRITE_REPORTS = text(f"WITH {_FIGURES},{_WITH_TRANSACTIONS},{_REPORTS}{_OF_REPORTS}").bindparams(_USERS)
_WRITE_SNAPSHOTS = text(f"WITH {_FIGURES},{_OUTDATED},{_REPORTS},{_SNAPSHOTS}{_OF_SNAPSHOTS}").bindparams(_USERS)


def write_reports(ctx: Context, batch: Items) -> int:
    """Writes the reports of the day that are new or different; returns how many. Users with an invalid transaction
    fail.
    """
    return int(_execute(ctx, batch, _WRITE_REPORTS).reports)


def write_snapshots(ctx: Context, batch: Items) -> tuple[int, int]:
    """Writes the snapshots of the day that are new or different, and reports that are missing or end before the last
    transaction; returns how many reports and snapshots. Users with an invalid transaction fail.
    """
    row = _execute(ctx, batch, _WRITE_SNAPSHOTS)
    return int(row.reports), int(row.snapshots)


def _execute(ctx: Context, batch: Items, statement: TextClause) -> Any:
    day = ctx.window.until(ctx.as_of)
    with ctx.writing() as db:
        values = {
            "users": list(batch),
            "day": date.fromisoformat(ctx.window.label),
            "start": day.start,
            "until": day.end,
            "after": max(day.start, day.end),
            "end": ctx.window.end,
            "through": min(ctx.window.end, ctx.as_of),
            "now": ctx.now,
        }
        row = db.execute(statement, values).one()
        fail_invalid_users(ctx, db, row.invalid or [], day.start)
    return row
