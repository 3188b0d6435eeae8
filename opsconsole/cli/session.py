"""Opens the service and creates the engine for a command. Both load their libraries only when they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from opsconsole.core.garbage import end_loading
from opsconsole.core.settings import Settings
from opsconsole.core.trust import make_private
from opsconsole.embedded.redis import EarlyStart, server_of

if TYPE_CHECKING:
    from opsconsole.authoring.changed_schedule import ChangedSchedule
    from opsconsole.leader.engine import Engine
    from opsconsole.service.service import Service


def open_service(
    settings: Settings,
    *,
    patient: bool = False,
    waits: bool = False,
    check: bool = True,
    reads: bool = False,
    report: Callable[[str], None] | None = None,
) -> AbstractContextManager[Service]:
    """The service, with everything embedded started and up to date.

    With `patient`, an unreachable store is only logged: the caller shows that and waits; and with `check` the whole
    file of an embedded store is read: without it, call `require_intact` before anything is scheduled. With `reads`, for
    what only reads the store, no embedded Redis is started, and tables of packs are not created. With `waits`, for a
    command that may lead until something has ended, a worker process is started ahead while no process leads, and a
    note on standard error warns that the cache ends with this command, if it does. `report` is called with what is
    waited for, such as `opening the store`. Raises BadSettings, SchemaMismatch, or Unavailable.
    """
    make_private(settings.folder)
    server = None if reads or settings.redis_url is not None else EarlyStart(server_of(settings))
    from opsconsole.cli import startup  # loads SQLAlchemy, which `--help` of a command does without

    return startup.open_service(
        settings, patient=patient, waits=waits, check=check, reads=reads, report=report, starting=server
    )


def changed_schedules(settings: Settings) -> Mapping[str, ChangedSchedule]:
    """The schedules that operators changed, by job; none without a store. Starts and creates nothing, and prints a note
    on standard error when the store cannot be read.
    """
    from opsconsole.cli import store_access

    return store_access.changed_schedules(settings)


def require_intact(service: Service) -> None:
    """Checks the whole file of an embedded store. Raises BadSettings."""
    from opsconsole.cli import startup

    startup.require_intact(service.settings, service.store)


def create_engine(service: Service, *, only_command: int | None = None) -> Engine:
    """The engine for this process, not started. With `only_command`, it executes that command and its runs alone."""
    from opsconsole.leader.engine import Engine  # loads APScheduler, which commands that only read do without

    end_loading()
    return Engine(service.settings, service.store, service.catalog, only_command=only_command, ahead=service.ahead)
