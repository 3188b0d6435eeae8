"""Jobs that report odd values: metrics, failures, skipped items, log lines, events."""

from __future__ import annotations

from typing import Any

from opsconsole.authoring.run import RunState
from tests.faults.hostile.cases import Cases, three_items

FAILED, PARTIAL, SUCCEEDED = RunState.FAILED, RunState.PARTIAL, RunState.SUCCEEDED
MANY = 100_000
TEN_MEGABYTES = 10_000_000
NASTY = "\ud800 \x00 \x1b[2J \u202e \n"
"""A lone surrogate, NUL, a terminal's control sequence, a change of direction, a newline."""

cases = Cases()


@cases.apply(FAILED, "bad_value", quick=True)
def counts_nan(ctx: Any, items: Any) -> None:
    """Counts NaN."""
    ctx.count("weight", float("nan"))


@cases.apply(FAILED, "bad_value")
def counts_infinity(ctx: Any, items: Any) -> None:
    """Counts infinity, and then minus infinity."""
    ctx.count("weight", float("inf"))
    ctx.count("weight", float("-inf"))


@cases.apply(FAILED, "bad_value")
def counts_beyond_floats(ctx: Any, items: Any) -> None:
    """Adds up to infinity from two finite numbers."""
    ctx.count("weight", 1.7e308)
    ctx.count("weight", 1.7e308)


@cases.apply(FAILED, "bad_value")
def counts_a_huge_number(ctx: Any, items: Any) -> None:
    """Counts an integer of a thousand digits."""
    ctx.count("weight", 10**999)


@cases.apply(FAILED, "bad_value")
def counts_a_text(ctx: Any, items: Any) -> None:
    """Counts a text."""
    ctx.count("weight", "many")


@cases.apply(FAILED, "bad_value")
def counts_an_object(ctx: Any, items: Any) -> None:
    """Counts an object of its own class."""
    ctx.count("weight", _Weight())


@cases.apply(FAILED, "bad_value")
def counts_under_an_odd_name(ctx: Any, items: Any) -> None:
    """Counts under a name with a lone surrogate, NUL, a control sequence and a newline."""
    ctx.count(NASTY)


@cases.apply(FAILED, "bad_value")
def counts_under_no_text(ctx: Any, items: Any) -> None:
    """Counts under names that are no texts."""
    ctx.count(None)
    ctx.count(("a", "tuple"))


@cases.apply(FAILED, "bad_value")
def counts_under_a_long_name(ctx: Any, items: Any) -> None:
    """Counts under a name of ten megabytes."""
    ctx.count("x" * TEN_MEGABYTES)


@cases.apply(SUCCEEDED, quick=True)
def counts_under_many_names(ctx: Any, items: Any) -> None:
    """Counts under a hundred thousand names."""
    for n in range(MANY):
        ctx.count(f"metric_{n}")


@cases.apply(FAILED, "failed", quick=True)
def fails_with_odd_text(ctx: Any, items: Any) -> None:
    """Fails its item with a lone surrogate, NUL, a control sequence and a newline."""
    for item in items:
        ctx.fail(item, NASTY)


@cases.apply(FAILED, "too_long")
def fails_with_a_long_text(ctx: Any, items: Any) -> None:
    """Fails its item with a message of ten megabytes."""
    for item in items:
        ctx.fail(item, "x" * TEN_MEGABYTES, "too_long")


@cases.apply(FAILED, "bad_value")
def fails_with_an_odd_kind(ctx: Any, items: Any) -> None:
    """Fails its item with a kind that is no token."""
    for item in items:
        ctx.fail(item, "broken", NASTY)


@cases.apply(FAILED, "failed")
def fails_with_an_object(ctx: Any, items: Any) -> None:
    """Fails its item with an object instead of a message."""
    for item in items:
        ctx.fail(item, _Weight())


@cases.apply(FAILED, "bad_value")
def fails_other_items(ctx: Any, items: Any) -> None:
    """Fails and skips items that are not in its batch."""
    ctx.fail("somebody else", "broken")
    ctx.skip("another", "not needed")


@cases.apply(FAILED, "bad_value")
def fails_items_that_are_no_texts(ctx: Any, items: Any) -> None:
    """Fails and skips items that are no texts."""
    ctx.fail(3, "broken")
    ctx.skip(None, "not needed")


@cases.apply(PARTIAL, "broken", population=three_items)
def fails_and_skips_an_item(ctx: Any, items: Any) -> None:
    """Fails and skips the same item of three."""
    if "two" in items:
        ctx.fail("two", "broken")
        ctx.skip("two", "not needed")


@cases.apply(SUCCEEDED)
def skips_for_an_object(ctx: Any, items: Any) -> None:
    """Skips its item for a reason whose text cannot be made."""
    for item in items:
        ctx.skip(item, _Weight())


@cases.apply(SUCCEEDED)
def skips_for_many_reasons(ctx: Any, items: Any) -> None:
    """Skips its item a hundred thousand times, each for another long reason."""
    for n in range(MANY):
        for item in items:
            ctx.skip(item, f"{n}{NASTY}")


@cases.apply(SUCCEEDED)
def logs_odd_lines(ctx: Any, items: Any) -> None:
    """Logs a hundred thousand lines: odd ones, a long one, and one that is no text."""
    ctx.log(NASTY)
    ctx.log("x" * TEN_MEGABYTES)
    ctx.log(None)
    for n in range(MANY):
        ctx.log(f"line {n}")


@cases.apply(FAILED, "bad_value", quick=True)
def emits_an_object(ctx: Any, items: Any) -> None:
    """Emits an event whose payload is no JSON."""
    with ctx.writing():
        ctx.emit("hostile.object", "1", {"object": object()})


@cases.apply(FAILED, "bad_value")
def emits_no_mapping(ctx: Any, items: Any) -> None:
    """Emits an event whose payload is a number."""
    with ctx.writing():
        ctx.emit("hostile.number", "1", 17)


@cases.apply(FAILED, "bad_value")
def emits_a_circle(ctx: Any, items: Any) -> None:
    """Emits an event whose payload contains itself."""
    payload: dict[str, Any] = {}
    payload["self"] = payload
    with ctx.writing():
        ctx.emit("hostile.circle", "1", payload)


@cases.apply(FAILED, "bad_value")
def emits_odd_names(ctx: Any, items: Any) -> None:
    """Emits an event with an odd name, key and payload."""
    with ctx.writing():
        ctx.emit(NASTY, NASTY, {NASTY: NASTY})


@cases.apply(FAILED, "bad_value")
def emits_ten_megabytes(ctx: Any, items: Any) -> None:
    """Emits an event of ten megabytes."""
    with ctx.writing():
        ctx.emit("hostile.long", "1", {"text": "x" * TEN_MEGABYTES})


@cases.apply(SUCCEEDED)
def returns_a_value(ctx: Any, items: Any) -> bytes:
    """Returns ten megabytes, where nothing is expected."""
    return b"x" * TEN_MEGABYTES


@cases.apply(FAILED, "bad_value")
async def is_a_coroutine(ctx: Any, items: Any) -> None:
    """Is an `async def`, whose body is not executed when it is called."""
    ctx.count("never")


@cases.apply(FAILED, "bad_value")
def is_a_generator(ctx: Any, items: Any) -> Any:
    """Contains `yield`, so that its body is not executed when it is called."""
    ctx.count("never")
    yield from items


class _Weight:
    """A value that cannot be added, compared, printed or encoded."""

    def __radd__(self, other: object) -> None:
        raise ZeroDivisionError("no sum")

    def __eq__(self, other: object) -> bool:
        raise ValueError("no comparison")

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__
