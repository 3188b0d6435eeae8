"""The jobs of reporting: on PostgreSQL one INSERT ... SELECT a page, on SQLite folded in Python, faster there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from benchmarks.bare.driver import Rows, Sql, by_first, opened, pages
from benchmarks.workload import Workload

encode = msgspec.json.Encoder().encode
Sums = dict[str, list[int]]

REPORT = {
    "user_id": "text",
    "date": "date",
    "opening_minor": "bigint",
    "closing_minor": "bigint",
    "income_minor": "bigint",
    "expense_minor": "bigint",
    "transactions": "int",
    "by_type": "text",
    "by_category": "text",
    "by_pocket": "text",
    "through": "timestamptz",
    "generated_at": "timestamptz",
}

# --- the day --------------------------------------------------------------------------------------------------------

MOVED_ON_THE_DAY = """
SELECT id FROM users u WHERE id > ? AND EXISTS (
    SELECT 1 FROM transactions t WHERE t.user_id = u.id AND t.occurred_at >= ? AND t.occurred_at < ?)
ORDER BY id LIMIT ?
"""
BEHIND = """
SELECT u.id FROM users u JOIN LATERAL (
    SELECT count(*) AS many, max(t.occurred_at) AS latest FROM transactions t
    WHERE t.user_id = u.id AND t.occurred_at >= ? AND t.occurred_at < ?) m ON m.many > 0
LEFT JOIN daily_financial_reports r ON r.user_id = u.id AND r.date = ?
WHERE u.id > ? AND u.id <= ? AND (r.user_id IS NULL OR r.through <= m.latest OR r.transactions <> m.many)
"""
BEHIND_IN_SQLITE = """
SELECT t.user_id FROM transactions t LEFT JOIN daily_financial_reports r ON r.user_id = t.user_id AND r.date = ?
WHERE t.user_id > ? AND t.user_id <= ? AND t.occurred_at >= ? AND t.occurred_at < ?
GROUP BY t.user_id
HAVING r.user_id IS NULL OR r.through <= max(t.occurred_at) OR r.transactions <> count(*)
ORDER BY t.user_id
"""
WRITE_REPORTS = """
WITH page AS (PAGE),
moved AS MATERIALIZED (
    SELECT t.user_id, t.pocket_id, t.type, coalesce(t.category, '') AS category, t.amount_minor AS amount,
           t.type IN ('income', 'transfer_in') AS adds
    FROM page JOIN transactions t ON t.user_id = page.id AND t.occurred_at >= ? AND t.occurred_at < ?
), since AS (
    SELECT t.user_id, sum(CASE WHEN t.type IN ('income', 'transfer_in') THEN amount_minor ELSE -amount_minor END) AS net
    FROM page JOIN transactions t ON t.user_id = page.id AND t.occurred_at >= ?
    JOIN pockets p ON p.id = t.pocket_id AND p.created_at < ? GROUP BY t.user_id
), held AS (
    SELECT p.user_id, sum(p.balance_minor) AS balance
    FROM page JOIN pockets p ON p.user_id = page.id AND p.created_at < ?
    GROUP BY p.user_id
), summed AS (
    SELECT user_id, sum(CASE WHEN adds THEN amount ELSE -amount END) AS net,
           sum(amount) FILTER (WHERE type = 'income') AS income,
           sum(amount) FILTER (WHERE type = 'expense') AS expense, count(*) AS many
    FROM moved GROUP BY user_id
), types AS (BY type), categories AS (BY category), pocketed AS (BY pocket_id),
written AS (
    INSERT INTO daily_financial_reports (user_id, date, opening_minor, closing_minor, income_minor, expense_minor,
        transactions, by_type, by_category, by_pocket, through, generated_at)
    SELECT s.user_id, ?, coalesce(h.balance, 0) - coalesce(since.net, 0),
           coalesce(h.balance, 0) - coalesce(since.net, 0) + s.net, coalesce(s.income, 0), coalesce(s.expense, 0),
           s.many, types.json, categories.json, pocketed.json, ?, ?
    FROM summed s JOIN types USING (user_id) JOIN categories USING (user_id) JOIN pocketed USING (user_id)
    LEFT JOIN held h USING (user_id) LEFT JOIN since USING (user_id)
    ON CONFLICT (user_id, date) DO UPDATE SET opening_minor = excluded.opening_minor,
        closing_minor = excluded.closing_minor, income_minor = excluded.income_minor,
        expense_minor = excluded.expense_minor, transactions = excluded.transactions, by_type = excluded.by_type,
        by_category = excluded.by_category, by_pocket = excluded.by_pocket, through = excluded.through,
        generated_at = excluded.generated_at
    WHERE daily_financial_reports.through <= excluded.through
)
SELECT count(*), max(id) FROM page
"""
BY = """
    SELECT user_id, json_object_agg(key, sums ORDER BY key)::text AS json FROM (
        SELECT user_id, KEY AS key, json_build_object('in', coalesce(sum(amount) FILTER (WHERE adds), 0),
               'out', coalesce(sum(amount) FILTER (WHERE NOT adds), 0), 'count', count(*)) AS sums
        FROM moved GROUP BY user_id, KEY) grouped
    GROUP BY user_id
"""
for _key in ("type", "category", "pocket_id"):
    WRITE_REPORTS = WRITE_REPORTS.replace(f"(BY {_key})", "(" + BY.replace("KEY", _key) + ")")

HELD = (
    "SELECT user_id, id, balance_minor, created_at FROM pockets WHERE user_id > ? AND user_id <= ? AND created_at < ?"
)
MOVED = """
SELECT user_id, pocket_id, type, coalesce(category, ''), amount_minor FROM transactions
WHERE user_id > ? AND user_id <= ? AND occurred_at >= ? AND occurred_at < ? ORDER BY user_id
"""
BALANCES = """
SELECT user_id, sum(balance_minor) FROM pockets WHERE user_id > ? AND user_id <= ? AND created_at < ? GROUP BY user_id
"""
NET = """
SELECT t.user_id, sum(CASE WHEN t.type IN ('income', 'transfer_in') THEN t.amount_minor ELSE -t.amount_minor END)
FROM transactions t JOIN pockets p ON p.id = t.pocket_id
WHERE t.user_id > ? AND t.user_id <= ? AND t.occurred_at >= ? AND p.created_at < ? GROUP BY t.user_id
"""


def daily_report(workload: Workload) -> int:
    """Writes the reports of users with transactions on the day; returns their number."""
    with opened(workload) as (sql, _):
        stretch = sql.between(workload)
        if sql.is_sqlite:
            seen, after = 0, ""
            for keys in pages(lambda after: sql.rows(MOVED_ON_THE_DAY, after, *stretch, workload.page)):
                _fold_reports(sql, workload, after, keys)
                sql.commit()
                seen, after = seen + len(keys), keys[-1]
            return seen
        statement = WRITE_REPORTS.replace("PAGE", MOVED_ON_THE_DAY)
        seen, after = 0, ""
        while (found := sql.rows(statement, after, *stretch, workload.page, *_of_reports(sql, workload))[0])[0]:
            sql.commit()
            seen, after = seen + found[0], found[1]
        return seen


def _of_reports(sql: Sql, workload: Workload) -> tuple[Any, ...]:
    start, until = sql.between(workload)
    end, day = sql.time(workload.window.end), date.fromisoformat(workload.window.label)
    return start, until, start, end, end, day, until, sql.time(datetime.now(UTC))


def _fold_reports(sql: Sql, workload: Workload, after: str, keys: list[str]) -> None:
    start, until = sql.between(workload)
    end, last, day, stamp = sql.time(workload.window.end), keys[-1], workload.window.label, sql.time(datetime.now(UTC))
    opening = dict.fromkeys(keys, 0)
    for user, net in sql.rows(NET, after, last, start, end):
        opening[user] = opening.get(user, 0) - net
    for user, balance in sql.rows(BALANCES, after, last, end):
        opening[user] = opening.get(user, 0) + balance
    rows: Rows = []
    moved = by_first(sql.rows(MOVED, after, last, start, until))
    for user in keys:
        by_type, by_category, by_pocket = {}, {}, {}  # type: Sums, Sums, Sums
        net, mine = 0, moved[user]
        for _, pocket, kind, category, amount in mine:
            adds = kind in ("income", "transfer_in")
            net += amount if adds else -amount
            for sums, key in ((by_type, kind), (by_category, category), (by_pocket, pocket)):
                known = sums.setdefault(key, [0, 0, 0])
                known[0 if adds else 1] += amount
                known[2] += 1
        income, expense = by_type.get("income", (0, 0))[0], by_type.get("expense", (0, 0))[1]
        values = (_json(by_type), _json(by_category), _json(by_pocket))
        rows.append((user, day, opening[user], opening[user] + net, income, expense, len(mine), *values, until, stamp))
    sql.upsert("daily_financial_reports", REPORT, 2, rows)


def _json(sums: Sums) -> str:
    return encode({key: {"in": i, "out": out, "count": n} for key, (i, out, n) in sorted(sums.items())}).decode()


# --- its end --------------------------------------------------------------------------------------------------------

WITH_POCKETS = """
SELECT id FROM users u WHERE id > ? AND EXISTS (
    SELECT 1 FROM pockets p WHERE p.user_id = u.id AND p.created_at < ?)
ORDER BY id LIMIT ?
"""
WRITE_SNAPSHOTS = """
INSERT INTO daily_financial_snapshots (user_id, date, total_minor, pockets, income_minor, expense_minor, generated_at)
SELECT h.user_id, ?, h.balance - coalesce(m.since_end, 0), h.many, coalesce(m.income, 0), coalesce(m.expense, 0), ?
FROM (SELECT user_id, sum(balance_minor) AS balance, count(*) AS many FROM pockets
      WHERE user_id > ? AND user_id <= ? AND created_at < ? GROUP BY user_id) h
LEFT JOIN (
    SELECT t.user_id,
           sum(CASE WHEN t.occurred_at >= ? AND p.created_at < ?
               THEN CASE WHEN t.type IN ('income', 'transfer_in') THEN t.amount_minor ELSE -t.amount_minor END
               ELSE 0 END) AS since_end,
           sum(CASE WHEN t.occurred_at < ? AND t.type = 'income' THEN t.amount_minor ELSE 0 END) AS income,
           sum(CASE WHEN t.occurred_at < ? AND t.type = 'expense' THEN t.amount_minor ELSE 0 END) AS expense
    FROM transactions t JOIN pockets p ON p.id = t.pocket_id
    WHERE t.user_id > ? AND t.user_id <= ? AND t.occurred_at >= ? GROUP BY t.user_id) m ON m.user_id = h.user_id
WHERE true
ON CONFLICT (user_id, date) DO UPDATE SET total_minor = excluded.total_minor, pockets = excluded.pockets,
    income_minor = excluded.income_minor, expense_minor = excluded.expense_minor, generated_at = excluded.generated_at
"""


def daily_snapshot(workload: Workload) -> int:
    """Writes the snapshots of the day and completes its reports; returns the number of users."""
    with opened(workload) as (sql, _):
        start, until = sql.between(workload)
        end, stamp = sql.time(workload.window.end), sql.time(datetime.now(UTC))
        day: Any = workload.window.label if sql.is_sqlite else date.fromisoformat(workload.window.label)
        late = WRITE_REPORTS.replace("PAGE", BEHIND)
        seen, after = 0, ""
        for keys in pages(lambda after: sql.rows(WITH_POCKETS, after, end, workload.page)):
            last = keys[-1]
            if not sql.is_sqlite:
                sql.do(late, start, until, day, after, last, *_of_reports(sql, workload))
            elif behind := [row[0] for row in sql.rows(BEHIND_IN_SQLITE, day, after, last, start, until)]:
                _fold_reports(sql, workload, after, behind)
            mine = (after, last)
            sql.do(WRITE_SNAPSHOTS, day, stamp, *mine, end, until, end, until, until, *mine, start)
            sql.commit()
            seen, after = seen + len(keys), last
        return seen


# --- the month ------------------------------------------------------------------------------------------------------

BY_POCKET_AND_CATEGORY = """
SELECT user_id, pocket_id, coalesce(category, ''),
       sum(CASE WHEN type IN ('income', 'transfer_in') AND occurred_at < ? THEN amount_minor ELSE 0 END),
       sum(CASE WHEN type NOT IN ('income', 'transfer_in') AND occurred_at < ? THEN amount_minor ELSE 0 END),
       sum(CASE WHEN type = 'income' AND occurred_at < ? THEN amount_minor ELSE 0 END),
       sum(CASE WHEN type = 'expense' AND occurred_at < ? THEN amount_minor ELSE 0 END),
       count(CASE WHEN occurred_at < ? THEN 1 END),
       sum(CASE WHEN occurred_at < ? THEN 0 WHEN type IN ('income', 'transfer_in') THEN amount_minor
           ELSE -amount_minor END)
FROM transactions WHERE user_id > ? AND user_id <= ? AND occurred_at >= ?
GROUP BY user_id, pocket_id, category ORDER BY user_id
"""
REPORTED = """
SELECT user_id, count(*) FROM daily_financial_reports
WHERE user_id > ? AND user_id <= ? AND date >= ? AND date < ? GROUP BY user_id
"""
SUMMARY = {
    "user_id": "text",
    "month": "text",
    "opening_minor": "bigint",
    "closing_minor": "bigint",
    "income_minor": "bigint",
    "expense_minor": "bigint",
    "transactions": "int",
    "by_category": "text",
    "by_pocket": "text",
    "days_reported": "int",
    "generated_at": "timestamptz",
}


def monthly_summary(workload: Workload) -> int:
    """Writes the summaries of users with a pocket; returns their number."""
    with opened(workload) as (sql, _):
        end = sql.time(workload.window.end)
        seen, after = 0, ""
        for keys in pages(lambda after: sql.rows(WITH_POCKETS, after, end, workload.page)):
            sql.upsert("monthly_financial_summaries", SUMMARY, 2, list(_summaries(sql, workload, after, keys)))
            sql.commit()
            seen, after = seen + len(keys), keys[-1]
        return seen


def _summaries(sql: Sql, workload: Workload, after: str, keys: list[str]) -> Iterator[tuple[Any, ...]]:
    start, until = sql.between(workload)
    end, mine = sql.time(workload.window.end), (after, keys[-1])
    as_date: Callable[[datetime], Any] = (lambda at: at.date().isoformat()) if sql.is_sqlite else datetime.date
    opening, closing = dict.fromkeys(keys, 0), dict.fromkeys(keys, 0)
    began = {}
    for user, pocket, minor, created_at in sql.rows(HELD, *mine, end):
        began[pocket] = created_at
        closing[user] += minor
        opening[user] += minor if created_at < start else 0
    days: dict[str, int] = dict(sql.rows(REPORTED, *mine, as_date(workload.window.start), as_date(workload.window.end)))
    moved = by_first(sql.rows(BY_POCKET_AND_CATEGORY, *[until] * 6, *mine, start))
    for user in keys:
        by_category, by_pocket = {}, {}  # type: Sums, Sums
        income = expense = many = 0
        for _, pocket, category, came, went, earned, spent, count, later in moved.get(user, ()):
            if pocket in began:
                closing[user] -= int(later)
                opening[user] -= int(came - went + later) if began[pocket] < start else 0
            if count:
                income, expense, many = income + int(earned), expense + int(spent), many + count
                for sums, key in ((by_category, category), (by_pocket, pocket)):
                    known = sums.setdefault(key, [0, 0, 0])
                    known[0], known[1], known[2] = known[0] + int(came), known[1] + int(went), known[2] + count
        figures = (opening[user], closing[user], income, expense, many)
        values = (_json(by_category), _json(by_pocket), days.get(user, 0), sql.time(datetime.now(UTC)))
        yield (user, workload.window.label, *figures, *values)
