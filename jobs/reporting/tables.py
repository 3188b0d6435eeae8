"""The tables of pockets and transactions, and their aggregates by day and month."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, Index, Integer, String, Table

from jobs.common import metadata
from opsconsole.sql import Json, UtcTime, key_type

pockets = Table(
    "pockets",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("user_id", key_type(), nullable=False),
    Column("name", String, nullable=False),
    Column("currency", String, nullable=False),
    Column("balance_minor", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "user_id"),
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("user_id", key_type(), nullable=False),
    Column("pocket_id", key_type(), nullable=False),
    Column("type", String, nullable=False),
    Column("category", key_type(), nullable=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("occurred_at", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Index(None, "user_id", "occurred_at"),
    Index(None, "recorded_at"),
    # Covers the check for late transactions, which runs once per user.
    Index(None, "user_id", "recorded_at", "occurred_at"),
)

daily_financial_reports = Table(
    "daily_financial_reports",
    metadata,
    Column("user_id", key_type(), primary_key=True),
    Column("date", Date, primary_key=True),
    Column("opening_minor", BigInteger, nullable=False),
    Column("closing_minor", BigInteger, nullable=False),
    Column("income_minor", BigInteger, nullable=False),
    Column("expense_minor", BigInteger, nullable=False),
    Column("transactions", Integer, nullable=False),
    Column("by_type", Json, nullable=False),
    Column("by_category", Json, nullable=False),
    Column("by_pocket", Json, nullable=False),
    Column("through", UtcTime, nullable=False),
    Column("generated_at", UtcTime, nullable=False),
    # For counting the newest days. No index starts with the date: without statistics of a new date, a database assumes
    # that it is rare, and would scan the whole day for each batch.
    Index(None, "generated_at", "date"),
)

daily_financial_snapshots = Table(
    "daily_financial_snapshots",
    metadata,
    Column("user_id", key_type(), primary_key=True),
    Column("date", Date, primary_key=True),
    Column("total_minor", BigInteger, nullable=False),
    Column("pockets", Integer, nullable=False),
    Column("income_minor", BigInteger, nullable=False),
    Column("expense_minor", BigInteger, nullable=False),
    Column("generated_at", UtcTime, nullable=False),
    Index(None, "generated_at", "date"),
)

monthly_financial_summaries = Table(
    "monthly_financial_summaries",
    metadata,
    Column("user_id", key_type(), primary_key=True),
    Column("month", String, primary_key=True),
    Column("opening_minor", BigInteger, nullable=False),
    Column("closing_minor", BigInteger, nullable=False),
    Column("income_minor", BigInteger, nullable=False),
    Column("expense_minor", BigInteger, nullable=False),
    Column("transactions", Integer, nullable=False),
    Column("by_category", Json, nullable=False),
    Column("by_pocket", Json, nullable=False),
    Column("days_reported", Integer, nullable=False),
    Column("generated_at", UtcTime, nullable=False),
)
