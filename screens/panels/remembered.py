"""Keeps the last result of a function: most drawings show the same values as the previous one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
MOST_ROWS = 500
"""More rows are not kept: a page shows fewer."""


def remembered(compute: Callable[P, T]) -> Callable[P, T]:
    """A function that computes again when an argument is not equal to the one before. Long tuples of the same objects
    are compared in microseconds.
    """
    kept: list[tuple[object, T]] = []

    @wraps(compute)
    def last(*args: P.args, **kwargs: P.kwargs) -> T:
        now = (args, kwargs)
        for before, result in kept:
            if before == now:
                return result
        result = compute(*args, **kwargs)
        kept[:] = [(now, result)]
        return result

    return last


class RememberedRows(Generic[T]):
    """Keeps the last drawing of each row by its name."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, T]] = {}

    def row(self, name: str, inputs: object, draw: Callable[[], T]) -> T:
        """What `draw` returned for these inputs, or returns now."""
        kept = self._kept.get(name)
        if kept is not None and kept[0] == inputs:
            return kept[1]
        if len(self._kept) >= MOST_ROWS:
            self._kept.clear()
        self._kept[name] = inputs, (drawn := draw())
        return drawn
