"""Calls that may never return: each runs in a thread of its own, which its caller waits for no longer than it likes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

MAX_ABANDONED = 3
"""Calls that may still be running; no other one starts until one of them has returned."""

T = TypeVar("T")


class Call(Generic[T]):
    """A call in a thread."""

    def __init__(self, function: Callable[[], T], *, thread: str) -> None:
        self._function = function
        self._started = time.monotonic()
        self._returned: tuple[T] | None = None
        self._raised: BaseException | None = None
        self._over = threading.Event()
        threading.Thread(target=self._run, name=thread, daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether the function has returned or raised."""
        return self._over.is_set()

    @property
    def seconds(self) -> float:
        """The time since it started."""
        return time.monotonic() - self._started

    def result(self, deadline: float) -> tuple[T] | None:
        """The result in a tuple; None if there is none at `deadline`, by the monotonic clock. Raises what the function
        raised.
        """
        self._over.wait(max(0.0, deadline - time.monotonic()))
        if self._raised is not None:
            raise self._raised
        return self._returned

    def _run(self) -> None:
        try:
            self._returned = (self._function(),)
        except BaseException as error:  # noqa: BLE001 - raised again for the caller
            self._raised = error
        finally:
            self._over.set()


class Calls(Generic[T]):
    """Calls by key, at most one at a time for each."""

    def __init__(self, thread: str) -> None:
        self._thread = thread
        self._open: dict[Hashable, Call[T]] = {}
        self._lock = threading.Lock()

    def start(self, key: Hashable, function: Callable[[], T]) -> Call[T]:
        """Starts a call and returns it; if the last one with the key has not returned yet, returns that one."""
        with self._lock:
            if key not in self._open:
                self._open[key] = Call(function, thread=self._thread)
            return self._open[key]

    def finish(self, key: Hashable, call: Call[T], deadline: float) -> tuple[T] | None:
        """Waits for a call until `deadline`. The next one with its key can start once it has returned."""
        try:
            return call.result(deadline)
        finally:
            if call.is_over:
                with self._lock:
                    if self._open.get(key) is call:
                        del self._open[key]


class TimedOut(Exception):
    """A call did not return in time. It may still have an effect."""


class TimeLimit:
    """Runs calls for `seconds` at most, one at a time. An abandoned call holds up neither its caller nor the end of the
    process.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self._name, self._seconds = name, seconds
        self._abandoned: list[Call[object]] = []

    def call(self, function: Callable[[], object]) -> None:
        """Calls the function. Raises TimedOut, and what the function raises."""
        self._abandoned = [call for call in self._abandoned if not call.is_over]
        if len(self._abandoned) >= MAX_ABANDONED:
            raise TimedOut(f"{len(self._abandoned)} earlier attempts still hang")
        call = Call(function, thread=f"{self._name} call")
        if call.result(time.monotonic() + self._seconds) is None:
            self._abandoned.append(call)
            raise TimedOut(f"no answer within {self._seconds:g} s")
