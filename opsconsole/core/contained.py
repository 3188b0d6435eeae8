"""Calls of foreign code, each in a thread of its own: one that hangs delays nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Call(Generic[T]):
    """A call in a thread. The function must not raise."""

    def __init__(self, function: Callable[[], T], *, thread: str) -> None:
        self._function = function
        self._started = time.monotonic()
        self._result: tuple[T] | None = None
        self._over = threading.Event()
        threading.Thread(target=self._run, name=thread, daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether the function has returned."""
        return self._over.is_set()

    @property
    def seconds(self) -> float:
        """The time since it started."""
        return time.monotonic() - self._started

    def result(self, deadline: float) -> tuple[T] | None:
        """The result in a tuple; None if there is none at `deadline`, by the monotonic clock."""
        self._over.wait(max(0.0, deadline - time.monotonic()))
        return self._result

    def _run(self) -> None:
        try:
            self._result = (self._function(),)
        finally:
            self._over.set()


class Calls(Generic[T]):
    """Calls by key, at most one at a time for each."""

    def __init__(self, thread: str) -> None:
        self._thread = thread
        self._open: dict[Hashable, Call[T]] = {}
        self._lock = threading.Lock()

    def start(self, key: Hashable, function: Callable[[], T]) -> Call[T]:
        """Starts a call, unless the last one with the key has not returned yet: then it is that one."""
        with self._lock:
            if key not in self._open:
                self._open[key] = Call(function, thread=self._thread)
            return self._open[key]

    def finish(self, key: Hashable, call: Call[T], deadline: float) -> tuple[T] | None:
        """Waits for a call until `deadline`. The next one with its key can start once it has returned."""
        result = call.result(deadline)
        if call.is_over:
            with self._lock:
                if self._open.get(key) is call:
                    del self._open[key]
        return result
