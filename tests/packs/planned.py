"""A pack for tests: populations of many kinds, over numbers that no table has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import MetaData, Select, String, func, literal, select, type_coerce

from opsconsole import DAY, Context, Items, Job, Pack, Scope

NEVER = "30 0 29 2 *"
ENDLESS = 1 << 60


def _numbers(count: int) -> Any:
    """The numbers from 0 on, as a recursive query."""
    numbers = select(literal(0).label("i")).cte("numbers", recursive=True)
    return numbers.union_all(select(numbers.c.i + 1).where(numbers.c.i < count - 1))


def many(scope: Scope) -> Select[tuple[str]]:
    """Twelve thousand items."""
    return select(func.printf("item%05d", _numbers(12_000).c.i))


def endless(scope: Scope) -> Select[tuple[str]]:
    """Items without an end."""
    return select(func.printf("item%d", _numbers(ENDLESS).c.i))


def long_keys(scope: Scope) -> Select[tuple[str]]:
    """Three thousand items with keys of four hundred characters."""
    return select(func.printf("%0400d", _numbers(3_000).c.i))


def unfinished(scope: Scope) -> Select[tuple[str]]:
    """An invalid population whose last key is a number."""
    i = _numbers(12_000).c.i
    return select(type_coerce(func.iif(i < 11_999, func.printf("%d", i), i), String))


def two(scope: Scope) -> tuple[str, ...]:
    """Two names."""
    return ("anna", "ben")


def nobody(scope: Scope) -> tuple[str, ...]:
    """No item."""
    return ()


def nothing(ctx: Context, items: Items) -> None:
    """Does nothing."""


def facts(ctx: Context) -> Mapping[str, Any]:
    """Facts that change on their way through JSON."""
    return {"1": (1, 2), "day": ctx.window.label}


def immense(ctx: Context) -> Mapping[str, Any]:
    """More facts than can be kept."""
    return {"text": "x" * (2 << 20)}


def strange(ctx: Context) -> Mapping[str, Any]:
    """Facts that are no JSON."""
    return {"job": object()}


def _job(name: str, population: Any, **options: Any) -> Job:
    return Job(f"planned.{name}", population, nothing, cron=NEVER, covers=DAY, **options)


pack = Pack(
    "planned",
    jobs=(
        _job("many", many, batch=700),
        _job("endless", endless, batch=1000),
        _job("long", long_keys),
        _job("unfinished", unfinished),
        _job("nothing", nobody),
        _job("prepared", two, prepare=facts),
        _job("immense", two, prepare=immense),
        _job("strange", two, prepare=strange),
    ),
    metadata=MetaData(),
)
