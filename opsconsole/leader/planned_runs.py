"""Hands over the runs that were just planned, so that the engine need not read them before they start."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from opsconsole.authoring.run import Run


class PlannedRuns:
    """Planned runs on their way from the scheduler's thread to the engine's. No run is both handed over and read from
    the store: the engine would start it twice. `wake` is called when there are runs to take.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self._lock, self._wake = threading.Lock(), wake
        self._runs: list[Run] = []
        self._is_incomplete = False

    @contextmanager
    def adding(self, runs: Sequence[Run], *, replace_others: bool = False) -> Iterator[None]:
        """Adds runs after the block, in which they are committed; not when it raises. If they replace others, none is
        handed over until all are read: earlier ones may be among the replaced, and later ones may have to follow them.
        """
        with self._lock:
            yield
            self._is_incomplete |= replace_others
            if self._is_incomplete:
                self._runs.clear()
            else:
                self._runs += runs
        if runs:
            self._wake()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """For a block that reads all open runs: those that were added before are among them."""
        with self._lock:
            self._runs.clear()
            yield
            self._is_incomplete = False

    @property
    def are_waiting(self) -> bool:
        """Whether there are runs to take."""
        return bool(self._runs)

    def take(self) -> list[Run]:
        """The runs that were added since the last call, without those that were read since."""
        with self._lock:
            taken, self._runs = self._runs, []
        return taken
