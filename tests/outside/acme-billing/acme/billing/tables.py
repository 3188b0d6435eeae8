"""The tables of billing. The shop writes customers and charges, the job writes statements."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table

from opsconsole.sql import UtcTime, key_type

metadata = MetaData()

customers = Table(
    "customers",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("name", String, nullable=False),
)

# Charges are append-only; a refund is a negative charge.
charges = Table(
    "charges",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("customer_id", key_type(), ForeignKey(customers.c.id), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String, nullable=False),
    Column("charged_at", UtcTime, nullable=False),
    Index("ix_charges_customer_id_charged_at", "customer_id", "charged_at"),
)

statements = Table(
    "statements",
    metadata,
    Column("customer_id", key_type(), ForeignKey(customers.c.id), primary_key=True),
    Column("day", String, primary_key=True),
    Column("charges", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String, nullable=False),
    Column("generated_at", UtcTime, nullable=False),
    Index("ix_statements_day", "day"),
)
