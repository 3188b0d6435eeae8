"""Calls that may never return: each runs in a thread of its own, which is abandoned after a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

MAX_ABANDONED = 3
"""Calls that may still be running; there is no other one until one of them has returned."""

T = TypeVar("T")


class TimedOut(Exception):
    """A call did not return in time. It may still have an effect."""


class TimeLimit:
    """Runs calls for `seconds` at most, one at a time. An abandoned call holds up neither its caller nor the end of the
    process.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self._name, self._seconds = name, seconds
        self._abandoned: list[threading.Thread] = []

    def call(self, function: Callable[[], T]) -> T:
        """What the function returns or raises. Raises TimedOut."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        if len(self._abandoned) >= MAX_ABANDONED:
            raise TimedOut(f"{len(self._abandoned)} earlier attempts still hang")
        outcome = _Outcome(function)
        thread = threading.Thread(target=outcome.run, name=f"{self._name} call", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if thread.is_alive():
            self._abandoned.append(thread)
            raise TimedOut(f"no answer within {self._seconds:g} s")
        return outcome.value()


class _Outcome(Generic[T]):
    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._returned: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._returned.append(self._function())
        except BaseException as error:  # noqa: BLE001 - raised again for the caller
            self._error = error

    def value(self) -> T:
        if self._error is not None:
            raise self._error
        return self._returned[0]
