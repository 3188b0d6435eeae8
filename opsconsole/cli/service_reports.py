"""Reports to the service manager whether a headless process is ready, and whether it plans the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsconsole.core.problems import Status, Work
from opsconsole.core.service_manager import ServiceManager
from opsconsole.core.settings import environment

if TYPE_CHECKING:
    from opsconsole.leader.engine import Engine


class ServiceReports:
    """Reports about `engine`, None in a process that never leads. Does nothing without a service manager.

    With `may_block`, job code runs in the leader and can hold up its loop for as long as a batch takes.
    """

    def __init__(self, engine: Engine | None, *, may_block: bool = False) -> None:
        self._manager = ServiceManager.of(environment())
        self._engine, self._may_block = engine, may_block
        self._is_ready = False
        self._reported = ""

    def report(self) -> None:
        """Reports a changed status, and that the schedule is still planned. Call it about once a second."""
        if self._manager is None:
            return
        statuses = {status.work: status for status in self._engine.status()} if self._engine is not None else {}
        status = self._status()
        if not self._is_ready and self._can_work(statuses):
            self._is_ready, self._reported = True, status
            self._manager.ready(status)
        elif not self._is_ready:
            self._manager.starting(status)
        elif status != self._reported:
            self._reported = status
            self._manager.status(status)
        if self._may_block or is_ticking(statuses, self._manager.watchdog_seconds):
            self._manager.alive()

    def reloading(self) -> None:
        """The configuration is about to be loaded again."""
        if self._manager is not None:
            self._manager.reloading()

    def reloaded(self) -> None:
        """The configuration was loaded, or ignored."""
        if self._manager is not None:
            self._manager.ready(self._reported)

    def stopping(self) -> None:
        """The process is about to end."""
        if self._manager is not None:
            self._manager.stopping()

    def _can_work(self, statuses: dict[str, Status]) -> bool:
        """Whether it leads, or stands by for another leader."""
        if self._engine is None or self._engine.is_leading:
            return True
        loop = statuses[Work.ENGINE]
        return loop.problem is None and loop.succeeded_seconds is not None

    def _status(self) -> str:
        if self._engine is None:
            return "serving HTTP; never leads"
        if self._engine.is_leading:
            return "leading"
        problem = self._engine.problem
        return "standing by; another process leads" if problem is None else f"cannot lead: {problem}"


def is_ticking(statuses: dict[str, Status], seconds: float | None) -> bool:
    """Whether the schedule was planned within `seconds` while this process leads, or otherwise the loop that tries to
    lead made progress; true for a process without one. False without a limit: nobody waits for it.
    """
    if seconds is None:
        return False
    if Work.SCHEDULE in statuses:
        schedule = statuses[Work.SCHEDULE]
        idle = schedule.progress_seconds if schedule.succeeded_seconds is None else schedule.succeeded_seconds
        return idle < seconds
    return Work.ENGINE not in statuses or statuses[Work.ENGINE].progress_seconds < seconds
