"""Jobs that raise odd exceptions."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError

from opsconsole import Unavailable
from opsconsole.authoring.run import RunState
from opsconsole.core.errors import OpsconsoleError
from tests.faults.hostile import damage
from tests.faults.hostile.cases import ENDLESS_RUN_SECONDS, Cases, three_items
from tests.faults.hostile.values import NASTY, TEN_MEGABYTES

FAILED, PARTIAL, TIMED_OUT = RunState.FAILED, RunState.PARTIAL, RunState.TIMED_OUT

cases = Cases()


@cases.apply(FAILED, "no_text", quick=True)
def raises_without_text(ctx: Any, items: Any) -> None:
    """Raises an exception whose text cannot be made."""
    raise damage.NoText


@cases.apply(FAILED, "os_error")
def raises_a_number_as_text(ctx: Any, items: Any) -> None:
    """Raises an exception whose text is a number."""

    class NumberText(OSError):
        def __str__(self) -> Any:
            return 17

    NumberText.__name__ = "OSError"
    raise NumberText


@cases.apply(FAILED, "runtime_error")
def raises_ten_megabytes(ctx: Any, items: Any) -> None:
    """Raises an exception with ten megabytes of odd text."""
    raise RuntimeError(NASTY * (TEN_MEGABYTES // len(NASTY)))


@cases.apply(PARTIAL, "key_error", population=three_items)
def raises_at_one_item(ctx: Any, items: Any) -> None:
    """Raises KeyError with an odd text at one of three items."""
    if "two" in items:
        raise KeyError(NASTY)


@cases.apply(FAILED, "exception_group")
def raises_a_group(ctx: Any, items: Any) -> None:
    """Raises a group of a thousand exceptions."""
    raise ExceptionGroup("many", [ValueError(str(n)) for n in range(1_000)])


@cases.apply(FAILED, "base_exception_group")
def raises_a_group_of_interrupts(ctx: Any, items: Any) -> None:
    """Raises a group of interrupts."""
    raise BaseExceptionGroup("many", [KeyboardInterrupt(), SystemExit(0)])


@cases.apply(FAILED, "odd_end")
def raises_no_exception_of_python(ctx: Any, items: Any) -> None:
    """Raises a BaseException of its own."""

    class OddEnd(BaseException):
        pass

    raise OddEnd(NASTY)


@cases.apply(FAILED, "keyboard_interrupt")
def raises_interrupt(ctx: Any, items: Any) -> None:
    """Raises KeyboardInterrupt."""
    raise KeyboardInterrupt


@cases.apply(FAILED, "generator_exit")
def raises_generator_exit(ctx: Any, items: Any) -> None:
    """Raises GeneratorExit."""
    raise GeneratorExit


@cases.apply(FAILED, "cancelled_error")
def raises_cancelled(ctx: Any, items: Any) -> None:
    """Raises asyncio's CancelledError."""
    raise asyncio.CancelledError


@cases.apply(FAILED, "stop_iteration")
def raises_stop_iteration(ctx: Any, items: Any) -> None:
    """Raises StopIteration."""
    next(iter(()))


@cases.apply(FAILED, "memory_error")
def raises_memory_error(ctx: Any, items: Any) -> None:
    """Raises MemoryError."""
    raise MemoryError


@cases.apply(FAILED, "recursion_error")
def raises_recursion_error(ctx: Any, items: Any) -> None:
    """Calls itself without end."""
    raises_recursion_error(ctx, items)


@cases.apply(FAILED, "failed", "odd", "line")
def raises_a_class_with_an_odd_name(ctx: Any, items: Any) -> None:
    """Raises a class whose name has a newline, a control sequence and ten thousand letters."""
    raise type("Odd\nLine\x1b[2J" + "x" * 10_000, (Exception,), {})


@cases.apply(FAILED, "bad_exception")
def raises_a_class_without_a_name(ctx: Any, items: Any) -> None:
    """Raises a class whose name cannot be read."""

    class Nameless(type):
        def __getattribute__(cls, name: str) -> Any:
            if name in ("__name__", "__qualname__", "__module__"):
                raise AttributeError(name)
            return super().__getattribute__(name)

    class Strange(Exception, metaclass=Nameless):
        pass

    raise Strange


@cases.apply(FAILED, "type_error")
def raises_no_exception(ctx: Any, items: Any) -> None:
    """Raises a text."""
    odd: Any = "a text"
    raise odd


@cases.apply(FAILED, "bad_exception")
def raises_a_lying_exception(ctx: Any, items: Any) -> None:
    """Raises an exception with odd `orig`, `sentence`, `code`, `dependency` and `args`."""

    class OddValue(Exception):
        @property
        def orig(self) -> Any:
            raise ZeroDivisionError

        sentence: Any = None
        code: Any = object()
        dependency = reason = orig

    raise OddValue


@cases.apply(FAILED, "bad_exception")
def raises_an_error_of_ours(ctx: Any, items: Any) -> None:
    """Raises an OpsconsoleError whose sentence cannot be made."""

    class OddSentence(OpsconsoleError):
        @property
        def sentence(self) -> str:
            raise ZeroDivisionError

    raise OddSentence


@cases.apply(FAILED, "printer_unreachable")
def claims_an_unknown_dependency(ctx: Any, items: Any) -> None:
    """Raises Unavailable for a dependency that does not exist."""
    raise Unavailable("printer", "on fire")


@cases.apply(FAILED, "bad_exception")
def claims_an_odd_dependency(ctx: Any, items: Any) -> None:
    """Raises Unavailable for a dependency that is no text, for a reason that is none."""
    odd: Any = object()
    raise Unavailable(odd, odd)


@cases.apply(FAILED, "store_unreachable")
def claims_the_store_is_unreachable(ctx: Any, items: Any) -> None:
    """Raises Unavailable for the store, which it cannot see."""
    raise Unavailable("store", NASTY)


@cases.apply(TIMED_OUT, "it took longer than", seconds=ENDLESS_RUN_SECONDS)
def claims_the_data_is_unreachable(ctx: Any, items: Any) -> None:
    """Raises a database error that claims that the connection was lost."""
    raise OperationalError("SELECT 1", {}, _Claim("08006"), connection_invalidated=True)


@cases.apply(FAILED, "retries_exhausted")
def claims_a_deadlock(ctx: Any, items: Any) -> None:
    """Raises a database error that claims a deadlock, each time."""
    raise OperationalError("SELECT 1", {}, _Claim("40P01"))


@cases.apply(FAILED, "bad_exception")
def claims_an_odd_state(ctx: Any, items: Any) -> None:
    """Raises a database error with an odd state."""
    odd: Any = 40_001
    raise DBAPIError("SELECT 1", {}, _Claim(odd))


@cases.apply(FAILED, "odd_cause")
def raises_with_many_causes(ctx: Any, items: Any) -> None:
    """Raises an exception with ten thousand causes, the last of which is the first."""

    class OddCause(Exception):
        pass

    first = error = OddCause()
    for _ in range(10_000):
        error.__cause__ = OddCause()
        error = error.__cause__
    error.__cause__ = first
    raise first


class _Claim(Exception):
    """What a driver could raise."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(NASTY)
        self.sqlstate = sqlstate
