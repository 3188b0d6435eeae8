"""Jobs whose population, preparation or check for stale items is odd."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, cast, func, literal, literal_column, null, select

from opsconsole import DAY
from opsconsole.authoring.run import RunState
from tests.faults.hostile import damage
from tests.faults.hostile.cases import HANGING_BATCH_SECONDS, Cases
from tests.faults.hostile.values import NASTY, TEN_MEGABYTES

FAILED, SUCCEEDED = RunState.FAILED, RunState.SUCCEEDED
POPULATION, PREPARATION = "the population of", "the preparation of"
UNREAD = "its items could not be read"
HUGE = 1_000_000

cases = Cases()


# --- what a population must not be --------------------------------------------------------------------------------


@cases.population(FAILED, POPULATION, quick=True)
def population_list(scope: Any) -> Any:
    """Its population is a list."""
    return ["one", "two"]


@cases.population(FAILED, POPULATION)
def population_none(scope: Any) -> Any:
    """Its population is None."""
    return None


@cases.population(FAILED, POPULATION)
def population_set(scope: Any) -> Any:
    """Its population is a set."""
    return {"one", "two"}


@cases.population(FAILED, POPULATION)
def population_text(scope: Any) -> Any:
    """Its population is a text."""
    return "one"


@cases.population(FAILED, POPULATION)
def population_generator(scope: Any) -> Iterator[str]:
    """Its population is a generator that never ends."""
    while True:
        yield "one"


@cases.population(FAILED, POPULATION)
async def population_coroutine(scope: Any) -> Any:
    """Its population is a coroutine."""
    return ("one",)


@cases.population(FAILED, POPULATION)
def population_numbers(scope: Any) -> Any:
    """Its population is a tuple of numbers."""
    return (1, 2)


@cases.population(FAILED, POPULATION)
def population_odd_keys(scope: Any) -> Any:
    """Its keys have a lone surrogate, NUL, a control sequence and a newline."""
    return (NASTY, "\udfff")


@cases.population(FAILED, POPULATION)
def population_long_key(scope: Any) -> Any:
    """It has a key of ten megabytes."""
    return ("x" * TEN_MEGABYTES,)


@cases.population(FAILED, POPULATION)
def population_duplicates(scope: Any) -> Any:
    """It has a key twice."""
    return ("one", "two", "one")


@cases.population(FAILED, POPULATION)
def population_subclass(scope: Any) -> Any:
    """Its keys are of a subclass of str that cannot be compared."""
    return (_Key("one"), _Key("two"))


@cases.population(SUCCEEDED)
def population_empty(scope: Any) -> Any:
    """Its population is an empty tuple."""
    return ()


@cases.population(SUCCEEDED, batch=10_000)
def population_huge_tuple(scope: Any) -> Any:
    """Its population is a tuple of a million keys."""
    return tuple(f"key-{n}" for n in range(HUGE))


@cases.population(FAILED, POPULATION)
def population_two_columns(scope: Any) -> Any:
    """It selects two columns."""
    return select(literal("one"), literal("two"))


@cases.population(FAILED, POPULATION)
def population_null_column(scope: Any) -> Any:
    """It selects NULL."""
    return select(cast(null(), String))


@cases.population(FAILED, POPULATION)
def population_integer_column(scope: Any) -> Any:
    """It selects numbers."""
    return select(literal(1, Integer))


@cases.population(FAILED, POPULATION)
def population_repeated_rows(scope: Any) -> Any:
    """It selects one key ten thousand times."""
    return select(cast(literal("one"), String)).select_from(_numbers(10_000))


@cases.population(FAILED, POPULATION)
def population_missing_table(scope: Any) -> Any:
    """It selects from a table that does not exist."""
    return select(Table("nowhere", MetaData(), Column("id", String)).c.id)


@cases.population(FAILED, UNREAD, batch_seconds=HANGING_BATCH_SECONDS)
def population_slow_select(scope: Any) -> Any:
    """It selects with a query that takes hours."""
    return select(cast(func.count(), String)).select_from(_numbers(10**12))


# --- what a population must not do --------------------------------------------------------------------------------


@cases.population(FAILED, POPULATION)
def population_raises(scope: Any) -> Any:
    """Its population raises an exception without a text."""
    raise damage.NoText


@cases.population(FAILED, POPULATION)
def population_recursion(scope: Any) -> Any:
    """Its population calls itself without end."""
    return population_recursion(scope)


@cases.population(FAILED, POPULATION)
def population_memory_error(scope: Any) -> Any:
    """Its population raises MemoryError."""
    raise MemoryError


@cases.population(FAILED, POPULATION)
def population_sys_exit(scope: Any) -> Any:
    """Its population calls sys.exit()."""
    sys.exit(0)


@cases.population(FAILED, POPULATION)
def population_interrupt(scope: Any) -> Any:
    """Its population raises KeyboardInterrupt."""
    raise KeyboardInterrupt


@cases.population(FAILED, UNREAD, quick=True)
def population_os_exit(scope: Any) -> Any:
    """Its population calls os._exit(0)."""
    os._exit(0)


@cases.population(FAILED, UNREAD)
def population_segfault(scope: Any) -> Any:
    """Its population reads from address 0."""
    ctypes.string_at(0)


@cases.population(FAILED, UNREAD)
def population_kills_itself(scope: Any) -> Any:
    """Its population kills its process."""
    os.kill(os.getpid(), signal.SIGKILL)


@cases.population(FAILED, UNREAD)
def population_kills_its_group(scope: Any) -> Any:
    """Its population kills its process group."""
    os.killpg(0, signal.SIGKILL)


@cases.population(FAILED, UNREAD, batch_seconds=HANGING_BATCH_SECONDS)
def population_stops_itself(scope: Any) -> Any:
    """Its population stops its process with SIGSTOP."""
    os.kill(os.getpid(), signal.SIGSTOP)


@cases.population(FAILED, UNREAD, batch_seconds=HANGING_BATCH_SECONDS)
def population_endless_loop(scope: Any) -> Any:
    """Its population loops without end."""
    while True:
        pass


@cases.population(FAILED, UNREAD, batch_seconds=HANGING_BATCH_SECONDS)
def population_sleeps(scope: Any) -> Any:
    """Its population ignores SIGTERM and sleeps for a day."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(86_400)


@cases.population(FAILED, POPULATION, UNREAD)
def population_ten_gigabytes(scope: Any) -> Any:
    """Its population allocates ten gigabytes."""
    return (str(len(damage.ten_gigabytes())),)


@cases.population(SUCCEEDED)
def population_prints(scope: Any) -> Any:
    """Its population prints an eighth of a gigabyte."""
    damage.print_much()
    return ("one",)


@cases.population(FAILED, UNREAD)
def population_closes_all(scope: Any) -> Any:
    """Its population closes every file descriptor."""
    os.closerange(0, 1 << 16)
    return ("one",)


@cases.population(FAILED, UNREAD)
def population_writes_garbage(scope: Any) -> Any:
    """Its population writes garbage to every pipe."""
    damage.write_garbage()
    return ("one",)


@cases.population(SUCCEEDED)
def population_endless_thread(scope: Any) -> Any:
    """Its population starts a thread that never ends."""
    damage.start_endless_thread()
    return ("one",)


# --- preparations -------------------------------------------------------------------------------------------------


@cases.prepare(FAILED, PREPARATION, quick=True)
def prepare_object(ctx: Any) -> Any:
    """It prepares an object that is no JSON."""
    return {"object": object()}


@cases.prepare(FAILED, PREPARATION)
def prepare_list(ctx: Any) -> Any:
    """It prepares a list."""
    return ["a", "list"]


@cases.prepare(FAILED, PREPARATION)
def prepare_nan(ctx: Any) -> Any:
    """It prepares NaN and infinity."""
    return {"mean": float("nan"), "most": float("inf")}


@cases.prepare(FAILED, PREPARATION)
def prepare_odd_text(ctx: Any) -> Any:
    """It prepares a text and a name with a lone surrogate and NUL."""
    return {NASTY: NASTY}


@cases.prepare(FAILED, PREPARATION)
def prepare_huge(ctx: Any) -> Any:
    """It prepares fifty megabytes."""
    return {"text": "x" * (5 * TEN_MEGABYTES)}


@cases.prepare(FAILED, PREPARATION)
def prepare_raises(ctx: Any) -> Any:
    """Its preparation raises an exception without a text."""
    raise damage.NoText


@cases.prepare(FAILED, UNREAD)
def prepare_os_exit(ctx: Any) -> Any:
    """Its preparation calls os._exit(0)."""
    os._exit(0)


@cases.prepare(FAILED, UNREAD, batch_seconds=HANGING_BATCH_SECONDS)
def prepare_hangs(ctx: Any) -> Any:
    """Its preparation hangs."""
    time.sleep(86_400)


@cases.prepare(SUCCEEDED)
def prepare_changes_its_scope(ctx: Any) -> Any:
    """Its preparation changes its window, time, settings and memory."""
    ctx.window, ctx.as_of, ctx.options, ctx.run = None, "tomorrow", {"a": object()}, -1
    ctx.memory.clear()


@cases.prepare(SUCCEEDED)
def prepare_leaves_a_transaction(ctx: Any) -> Any:
    """Its preparation begins a write transaction and never ends it."""
    damage.begin_and_leave(ctx)


# --- stale items --------------------------------------------------------------------------------------------------


@cases.stale(FAILED, POPULATION, covers=DAY)
def stale_raises(scope: Any) -> Any:
    """Its check for stale items raises an exception without a text."""
    raise damage.NoText


@cases.stale(FAILED, POPULATION, covers=DAY)
def stale_list(scope: Any) -> Any:
    """Its check for stale items returns a list."""
    return ["one"]


@cases.stale(FAILED, UNREAD, covers=DAY)
def stale_os_exit(scope: Any) -> Any:
    """Its check for stale items calls os._exit(0)."""
    os._exit(0)


@cases.stale(FAILED, UNREAD, covers=DAY, batch_seconds=HANGING_BATCH_SECONDS)
def stale_hangs(scope: Any) -> Any:
    """Its check for stale items hangs."""
    time.sleep(86_400)


def _numbers(n: int) -> Any:
    """A table of `n` numbers."""
    numbers = select(literal_column("1").label("n")).cte("numbers", recursive=True)
    return numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < n))


class _Key(str):
    """A key that cannot be compared."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise ValueError("no comparison")

    def __hash__(self) -> int:
        raise ValueError("no hash")
