"""Column types that work on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ARRAY, DateTime, Dialect, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

_TEXT_LENGTH = len("2026-01-18 18:45:00.000000")


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC: timestamptz on PostgreSQL, text on SQLite.

    Raises ValueError for a naive time: as StatementError, unless the rows are sent as one document.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no timezone; pass an aware time")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        # A batch writes thousands of times, and SQLAlchemy's text takes longer to make.
        return _as_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        # Not process_result_value, which is called through two more functions: a long list of runs is mostly times.
        return _from_text if dialect.name == "sqlite" else _in_utc


def _as_text(value: datetime | None) -> str | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no timezone; pass an aware time")
    return value.astimezone(UTC).isoformat(" ", "microseconds")[:_TEXT_LENGTH]


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}Z")


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


class _UncastText(UserDefinedType[str]):
    """Text that is sent without a type, so that PostgreSQL takes it for a text, json or jsonb column alike."""

    cache_ok = True

    def get_col_spec(self, **_how: Any) -> str:
        return "TEXT"


class Json(TypeDecorator[Any]):
    """A JSON value: in a text column, and on PostgreSQL in a json or jsonb column of another program, too."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(_UncastText() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        return _from_json


def _from_json(value: Any) -> Any:
    # The driver has already decoded json and jsonb.
    return msgspec.json.decode(value) if isinstance(value, str | bytes) else value


class TextArray(TypeDecorator[list[str]]):
    """A parameter of PostgreSQL with any number of texts."""

    impl = ARRAY(Text)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        # The driver looks at each text by itself, which takes a hundred times as long.
        from opsconsole.core.postgres import TextArrayLiteral

        return TextArrayLiteral.of


def key_type() -> String:
    """The column type of keys: a string that sorts by code point in every database."""
    return String().with_variant(String(collation="C"), "postgresql")
