"""A worker process that starts while its leader still loads what it needs itself."""

from __future__ import annotations

from opsconsole.core.settings import Settings
from opsconsole.worker.handle import Worker
from opsconsole.worker.lease_deadline import LeaseDeadline


class StartedAhead:
    """One worker process for the first leadership of this process. It shares the deadline of a lease that is not taken
    yet. It ends with the thread that makes this object. Raises OSError when it cannot be started.
    """

    def __init__(self, settings: Settings) -> None:
        self.deadline = LeaseDeadline()
        self._worker: Worker | None = Worker(
            settings.for_workers(), settings.folder / "workers.log", lease=self.deadline
        )

    def take(self, deadline: LeaseDeadline) -> Worker | None:
        """The worker, for the leadership with this deadline; None when it is another one, or has it already."""
        if deadline is not self.deadline:
            return None
        worker, self._worker = self._worker, None
        return worker

    def close(self) -> None:
        """Ends the worker if no leadership has taken it."""
        worker = self.take(self.deadline)
        if worker is not None:
            worker.close()
