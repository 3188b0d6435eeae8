"""The interface of executors: functions from an iterator of batches to an iterator of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, Self

from opsconsole.authoring.batch import Batch, BatchResult


class Feed(Protocol):
    """The batches to execute, as a generator; None when there is none now. Sent True, it yields only a batch of a run
    that has none in flight.
    """

    def __iter__(self) -> Self: ...

    def __next__(self) -> Batch | None: ...

    def send(self, starving_only: bool, /) -> Batch | None: ...


Stopped = Callable[[Batch], bool]
"""Whether a running batch is to be ended."""


class Executor(Protocol):
    """Takes batches from `feed` and yields their results, or None regularly while there are none, so that the caller
    keeps control. Closing it ends running batches.
    """

    def __call__(self, feed: Feed, stopped: Stopped, /) -> Iterator[BatchResult | None]: ...

    def close(self) -> None: ...
