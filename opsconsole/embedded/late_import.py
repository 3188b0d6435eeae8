"""What the demo does while it is open: another program imports rows late, in one transaction that takes too long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opsconsole.authoring.run import TERMINAL, Run
from opsconsole.core.clock import now
from opsconsole.core.database import Database
from opsconsole.core.supervision import log_failure
from opsconsole.embedded.demo_thread import DemoThread

if TYPE_CHECKING:
    from opsconsole.service.service import Service

SLOW_SECONDS = 13.0
"""A run is slow when it takes over ten seconds longer than usual."""
MOST_SECONDS = 60.0
POLL_SECONDS = 0.2


class LateImport(DemoThread):
    """Imports what the packs' sample data lacks, in a thread, from the start of the block on.

    The transaction ends when a run of `opening_job` has ended, which therefore misses these rows, and when a run of
    `slow_job` has waited for the write lock for long enough to be slow; after a minute at the latest.
    """

    def __init__(self, service: Service, opening_job: str | None, slow_job: str | None) -> None:
        super().__init__("late-import")
        self._service, self._opening_job, self._slow_job = service, opening_job, slow_job
        self._newest = max((card.last.id for card in service.queries.jobs() if card.last is not None), default=0)

    def _run(self) -> None:
        try:
            self._import()
        except Exception as error:  # noqa: BLE001 - the top of a thread; the demo works without it
            log_failure("the demo's import", error)

    def _import(self) -> None:
        imports = [pack.sample_import for pack in self._service.catalog.packs if pack.sample_import is not None]
        data = Database(self._service.settings.data_url.reveal())
        try:
            with data.writing() as db:
                for each in imports:
                    each(db)
                if self._slow_job is not None:
                    self._service.commands.trigger(self._slow_job)
                self._wait()
        finally:
            data.close()

    def _wait(self) -> None:
        started = time.monotonic()
        while not self._stopping.wait(POLL_SECONDS) and time.monotonic() - started < MOST_SECONDS:
            if self._has_opened() and self._is_slow():
                return

    def _has_opened(self) -> bool:
        if self._opening_job is None:
            return True
        run = self._new_run(self._opening_job)
        return run is not None and run.state in TERMINAL

    def _is_slow(self) -> bool:
        if self._slow_job is None:
            return True
        run = self._new_run(self._slow_job)
        if run is None or run.started_at is None:
            return False
        return run.state in TERMINAL or (now() - run.started_at).total_seconds() > SLOW_SECONDS

    def _new_run(self, job: str) -> Run | None:
        newest = self._service.queries.runs(limit=1, job=job)
        return next((run for run in newest if run.id > self._newest), None)
