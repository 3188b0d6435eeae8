"""Executes work in the calling thread, one after the other: for tests and for debugging a job."""

from __future__ import annotations

import time

from opsconsole.authoring.batch import Batch, Lost
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.rules.system_health import WorkerLoss
from opsconsole.worker.executor import AttachedWorker, Feed, Results, Stopped
from opsconsole.worker.messages import PlanningResult
from opsconsole.worker.planning import plan
from opsconsole.worker.work import work

TICK_SECONDS = 0.01


class Inline:
    """The executor without processes. It cannot enforce time limits."""

    problem: str | None = None
    lacks: str | None = None
    attached: tuple[AttachedWorker, ...] = ()
    losses: tuple[WorkerLoss, ...] = ()

    def __init__(self, catalog: Catalog, tools: Resources) -> None:
        self._catalog, self._tools = catalog, tools

    def __call__(self, feed: Feed, stopped: Stopped, /) -> Results:
        """Yields the results of each batch or planning, and then None. Raises LeaseExpired."""
        for given in feed:
            if given is None:
                time.sleep(TICK_SECONDS)
                yield None
                continue
            self._tools.check_lease()
            job = self._catalog.find(given.job)
            options = self._catalog.options(job, given.params)
            if isinstance(given, Batch):
                yield work(given, job, self._tools, options)
                yield None
                continue
            for answer in plan(given, job, self._tools, options):
                yield answer
                yield None
                if not answer.is_last and stopped(given):
                    yield PlanningResult(given.run, lost=Lost.STOPPED, reason="it was stopped")
                    break

    def withdraw(self, run: int, /) -> None:
        """Does nothing: work starts at once."""

    def wake(self) -> None:
        """Does nothing: a wait is short."""

    def close(self) -> None:
        """Closes the connections of the jobs."""
        self._tools.close()
