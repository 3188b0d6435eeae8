"""Where batches are carried out. An executor is a function from an iterator of batches to an iterator of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, Self

from opsconsole.authoring.batch import Batch, BatchResult


class Feed(Protocol):
    """Batches to carry out; None when there is nothing to do now. Sent True, it gives only a batch of a run that has
    none in flight. A generator is one.
    """

    def __iter__(self) -> Self: ...

    def __next__(self) -> Batch | None: ...

    def send(self, starving_only: bool, /) -> Batch | None: ...


Stopped = Callable[[Batch], bool]
"""Whether a batch that is being carried out is to be ended."""


class Executor(Protocol):
    """Takes batches from `feed` as it can and yields what became of them; None is a tick, so that the caller of a
    quiet executor keeps control. Ends what runs when it is closed.
    """

    def __call__(self, feed: Feed, stopped: Stopped, /) -> Iterator[BatchResult | None]: ...

    def close(self) -> None: ...
