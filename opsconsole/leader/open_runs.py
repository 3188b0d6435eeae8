"""The runs that have not ended: as they were last read, and as this leader has changed them since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run
from opsconsole.rules.admission import predecessors, startable


class OpenRuns:
    """Knows which run is next when another one has ended, without reading them all again: nobody but the leader changes
    them. What is queued or stopped meanwhile is noticed when they are read.
    """

    def __init__(self, find: Callable[[str], Job | None]) -> None:
        self._find = find
        self._runs: dict[int, Run] = {}

    @property
    def known(self) -> Mapping[int, Run]:
        """The runs by number, in the order in which they start."""
        return self._runs

    def replace(self, runs: Iterable[Run]) -> None:
        """Takes what was read, in this order."""
        self._runs = {run.id: run for run in runs}

    def start(self, run: Run) -> None:
        """Notes that a run is running."""
        self._runs[run.id] = run

    def end(self, number: int) -> None:
        """Notes that a run has ended."""
        self._runs.pop(number, None)

    def startable(self, now: datetime) -> Iterator[tuple[Run, Sequence[Run]]]:
        """The runs that may start now, in order; each counts as running for the next ones. With each come the open runs
        that it was to follow and does not wait for any longer.
        """
        listed = list(self._runs.values())
        for run in startable(listed, self._find, now):
            job = self._find(run.job)
            yield run, predecessors(run, job, listed) if job is not None else ()
