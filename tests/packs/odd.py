"""Jobs that report odd values, chosen by the keys of their items, beside an ordinary one."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, literal, select, union_all
from sqlalchemy.sql.selectable import SelectBase

from opsconsole import DAY, Context, Items, Job, Pack, Retry, Scope
from opsconsole.authoring.batch import Failure

NEVER = "0 0 29 2 *"
SOON = Retry(first=timedelta(seconds=0.01), longest=timedelta(seconds=0.02))


class Unprintable(Exception):
    """An exception that cannot be turned into text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


OddName = type("Odd\n\x1bName" * 50, (Exception,), {})


def tamper(ctx: Context, **values: Any) -> None:
    """Writes past the methods of the context."""
    for name, value in values.items():
        getattr(ctx.outcome, name).update(value)


def emit(ctx: Context, event: Any = "Done", key: Any = "k", payload: Any = None) -> None:
    """Emits an event."""
    with ctx.writing():
        ctx.emit(event, key, {} if payload is None else payload)


def leave(error: BaseException) -> None:
    """Raises an exception."""
    raise error


REPORTS: dict[str, Callable[[Any, str], object]] = {
    "count nan": lambda ctx, item: ctx.count("n", math.nan),
    "count inf": lambda ctx, item: ctx.count("n", -math.inf),
    "count bool": lambda ctx, item: ctx.count("n", True),
    "count text": lambda ctx, item: ctx.count("n", "1"),
    "count huge": lambda ctx, item: ctx.count("n", 10**400),
    "count 1e300": lambda ctx, item: ctx.count("n", 1e300),
    "metric without a name": lambda ctx, item: ctx.count(""),
    "metric None": lambda ctx, item: ctx.count(None),
    "metric with a surrogate": lambda ctx, item: ctx.count("a\ud800"),
    "metric with a line": lambda ctx, item: ctx.count("a\nb"),
    "long metric": lambda ctx, item: ctx.count("a" * 10_000),
    "fail another": lambda ctx, item: ctx.fail("nobody", "x"),
    "fail a list": lambda ctx, item: ctx.fail([item], "x"),
    "fail a surrogate": lambda ctx, item: ctx.fail("\ud800", "x"),
    "fail with a long kind": lambda ctx, item: ctx.fail(item, "x", "k" * 1000),
    "fail with a number as kind": lambda ctx, item: ctx.fail(item, "x", 5),
    "skip another": lambda ctx, item: ctx.skip("nobody", "x"),
    "emit nan": lambda ctx, item: emit(ctx, payload={"n": math.nan}),
    "emit a set of keys": lambda ctx, item: emit(ctx, payload={1: 2}),
    "emit an object": lambda ctx, item: emit(ctx, payload={"n": object()}),
    "emit a list": lambda ctx, item: emit(ctx, payload=[1]),
    "emit too much": lambda ctx, item: emit(ctx, payload={"n": "x" * 2_000_000}),
    "emit a surrogate": lambda ctx, item: emit(ctx, payload={"n": "\ud800"}),
    "emit a NUL key": lambda ctx, item: emit(ctx, key="a\x00"),
    "emit a number": lambda ctx, item: emit(ctx, event=5),
    "raise without text": lambda ctx, item: leave(Unprintable()),
    "raise an odd name": lambda ctx, item: leave(OddName("\x00\ud800" * 5000)),
    "raise SystemExit": lambda ctx, item: leave(SystemExit(0)),
    "raise GeneratorExit": lambda ctx, item: leave(GeneratorExit()),
    "tamper with metrics": lambda ctx, item: tamper(ctx, metrics={"n": math.nan}),
    "tamper with types": lambda ctx, item: tamper(ctx, metrics={5: object()}),
    "tamper with failures": lambda ctx, item: tamper(ctx, failures={"nobody": Failure("nobody", "x", "\x00")}),
    "tamper with skipped": lambda ctx, item: tamper(ctx, skipped={"nobody": "x", "somebody": "y"}),
}
"""What fails the item that has this key, chosen_value executes it."""

ACCEPTED: dict[str, Callable[[Any, str], object]] = {
    "a large sum": lambda ctx, item: [ctx.count("sum", 2**53) for _ in range(5)],
    "many metrics": lambda ctx, item: [ctx.count(f"m{n}") for n in range(20_000)],
    "a long line": lambda ctx, item: ctx.log("\x1b[2J\x00\ud800" * 100_000),
    "a line that is no text": lambda ctx, item: ctx.log(Unprintable()),
    "many lines": lambda ctx, item: [ctx.log("x") for _ in range(100_000)],
    "skip with a long reason": lambda ctx, item: ctx.skip(item, "\x00\ud800" * 100_000),
    "skip without a text": lambda ctx, item: ctx.skip(item, None),
}
"""What is cut and counted, and fails nothing."""

chosen: list[Any] = []
"""What the next run of odd.population, odd.prepare or odd.reports uses; only within this process."""


def reporting(ctx: Context, items: Items) -> None:
    """Reports what the key of each item stands for."""
    for item in items:
        (REPORTS | ACCEPTED)[item](ctx, item)


def calling(ctx: Context, items: Items) -> None:
    """Makes the chosen calls."""
    for call in chosen:
        call(ctx, next(iter(items)))


def nothing(ctx: Context, items: Items) -> None:
    """Does nothing."""


def chosen_value(_: Any) -> Any:
    """What was chosen."""
    return chosen[0]() if callable(chosen[0]) else chosen[0]


def two(scope: Scope) -> tuple[str, ...]:
    """Two items."""
    return ("one", "two")


def rows(*values: object) -> SelectBase:
    """A SELECT of these values."""
    return union_all(*(select(literal(value)) for value in values))


def as_population(scope: Scope) -> Select[tuple[str]]:
    """An odd population."""
    found: Select[tuple[str]] = chosen_value(scope)
    return found


def _job(name: str, population: Callable[[Scope], Any], apply: Callable[[Any, Any], None], **more: Any) -> Job:
    return Job(f"odd.{name}", population, apply, cron=NEVER, covers=DAY, retry=SOON, **more)


pack = Pack(
    "odd",
    jobs=(
        _job("everything", lambda scope: (*REPORTS, *ACCEPTED), reporting, batch=8),
        _job("calls", lambda scope: ("victim one", "victim two"), calling, batch=1),
        _job("population", as_population, nothing, batch=5),
        _job("stale", two, nothing, stale=as_population),
        _job("prepare", two, nothing, prepare=chosen_value),
        _job("ordinary", two, nothing),
    ),
)
