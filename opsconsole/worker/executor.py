"""The interface of executors: functions from an iterator of work to an iterator of results."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from opsconsole.rules.system_health import WorkerLoss
from opsconsole.worker.messages import Result, Work


class Feed(Protocol):
    """The work to execute, as a generator; None when there is none now. Sent True, it yields only work of a run that
    has no batch in flight.
    """

    def __iter__(self) -> Self: ...

    def __next__(self) -> Work | None: ...

    def send(self, starving_only: bool, /) -> Work | None: ...


@dataclass(frozen=True, slots=True)
class AttachedWorker:
    """A worker on this or another machine: how many batches it executes, of how many at once."""

    id: str
    who: str
    host: str
    pid: int
    since: datetime
    busy: int
    slots: int


Stopped = Callable[[Work], bool]
"""Whether running work is to be ended."""


Results = Generator[Result | None, None, None]
"""The results of the work: those that have arrived, then None, repeatedly."""


class Executor(Protocol):
    """Takes batches and plannings from `feed` and yields their results. After those that have arrived it yields None,
    also when there are none. So the caller keeps control, and records the results before it together. Closing the
    executor, or its results, ends running work.

    `problem` is why it has fewer workers than it should; None while nothing is wrong. `lacks` names the dependency
    without which nothing can be executed now, if any. `attached` are its workers on other machines. `losses` are the
    last workers that ended, or were ended, while they worked; other threads may read it. `withdraw` withdraws the work
    of a run that no worker has begun: its results are lost as STOPPED. `wake` ends a wait for results; any thread may
    call it.
    """

    @property
    def problem(self) -> str | None: ...

    @property
    def lacks(self) -> str | None: ...

    @property
    def attached(self) -> Sequence[AttachedWorker]: ...

    @property
    def losses(self) -> Sequence[WorkerLoss]: ...

    def __call__(self, feed: Feed, stopped: Stopped, /) -> Results: ...

    def withdraw(self, run: int, /) -> None: ...

    def wake(self) -> None: ...

    def close(self) -> None: ...
