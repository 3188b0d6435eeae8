"""Executes batches in the calling thread, one after the other: for tests and for debugging a job."""

from __future__ import annotations

import time
from collections.abc import Iterator

from opsconsole.authoring.batch import BatchResult
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.worker.executor import Feed, Stopped
from opsconsole.worker.work import work

TICK_SECONDS = 0.01


class Inline:
    """The executor without processes. It cannot enforce a batch's timeout."""

    def __init__(self, catalog: Catalog, tools: Resources) -> None:
        self._catalog, self._tools = catalog, tools

    def __call__(self, feed: Feed, _stopped: Stopped, /) -> Iterator[BatchResult | None]:
        """Yields the result of each batch, None while there is none."""
        for batch in feed:
            if batch is None:
                time.sleep(TICK_SECONDS)
                yield None
            else:
                job = self._catalog.find(batch.job)
                yield work(batch, job, self._tools, self._catalog.options(job))

    def close(self) -> None:
        """Closes the connections of the jobs."""
        self._tools.close()
