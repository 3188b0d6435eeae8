"""The runs that have not ended: as they were last read, and as this leader has changed them since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, Trigger
from opsconsole.rules.admission import predecessors, startable


class OpenRuns:
    """Selects the next runs when another one has ended, without reading them all again: only the leader changes them.
    Runs that were queued or stopped meanwhile are found when the runs are read.
    """

    def __init__(self, find: Callable[[str], Job | None]) -> None:
        self._find = find
        self._runs: dict[int, Run] = {}

    @property
    def by_number(self) -> Mapping[int, Run]:
        """The runs by number, in the order in which they start."""
        return self._runs

    def replace(self, runs: Iterable[Run]) -> None:
        """Replaces the runs by those that were read, in this order."""
        self._runs = {run.id: run for run in runs}

    def add(self, planned: Iterable[Run]) -> None:
        """Adds runs that were planned since, in the order in which all of them start."""
        both = [*self._runs.values(), *planned]
        self._runs = {run.id: run for run in sorted(both, key=self._place)}

    def start(self, run: Run) -> None:
        """Records that a run is running."""
        self._runs[run.id] = run

    def end(self, number: int) -> None:
        """Removes a run that has ended."""
        self._runs.pop(number, None)

    def _place(self, run: Run) -> tuple[object, ...]:
        """The place of a run among others, as in `store.runs.unfinished`."""
        job = self._find(run.job)
        priority = 0 if job is None else job.priority
        return run.started_at is None, run.trigger is Trigger.BACKFILL, run.as_of, -priority, run.job, run.id

    def startable(self, now: datetime) -> Iterator[tuple[Run, Sequence[Run]]]:
        """The runs that may start now, in order; each counts as running for the next ones. Each comes with the open
        runs that it was to follow, and no longer waits for.
        """
        listed = list(self._runs.values())
        for run in startable(listed, self._find, now):
            job = self._find(run.job)
            yield run, predecessors(run, job, listed) if job is not None else ()
