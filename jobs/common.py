"""The metadata and the users table that all packs share."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, MetaData, String, Table

from opsconsole.sql import UtcTime, key_type

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING_CONVENTION)

users = Table(
    "users",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("name", String, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("stream", String, nullable=True),
    Column("grade", String, nullable=True),
    Column("created_at", UtcTime, nullable=False),
)
