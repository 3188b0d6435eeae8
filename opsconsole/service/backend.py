"""What every part of the service works with: the settings, the store, the jobs, and the engine of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.core.clock import Clock
from opsconsole.core.database import Connection
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import Unavailable
from opsconsole.core.problems import Status
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import Supervisor
from opsconsole.service.leader import LeaseWatch
from opsconsole.service.snapshot import Leader, Preparation
from opsconsole.store import Store
from opsconsole.worker.counting import Counter

if TYPE_CHECKING:
    from opsconsole.rules.health import JobRules


class LocalEngine(Protocol):
    """What the service needs from the engine in its process. Most processes have none and never load one."""

    @property
    def problem(self) -> str | None:
        """Why it cannot lead; None while nothing is wrong."""

    def status(self) -> tuple[Status, ...]:
        """How its work is doing."""

    @property
    def owner(self) -> str:
        """This process's name in the lease."""

    @property
    def is_leading(self) -> bool:
        """Whether this process holds the lease."""

    def wake(self) -> None:
        """Checks for commands and runs now."""


@dataclass
class Backend:
    """`engine` is the one in this process, if any; `preparation` is of a demo that is not ready; `supervisor` has the
    other work of this process. A reload of the configuration replaces `settings`, `catalog` and `counter`.
    """

    settings: Settings
    store: Store
    catalog: Catalog
    resources: Resources
    counter: Counter
    now: Clock
    supervisor: Supervisor
    lease_watch: LeaseWatch
    engine: LocalEngine | None = None
    preparation: Preparation | None = None

    @cached_property
    def job_rules(self) -> JobRules:
        """The rules about jobs, with what they keep from one Snapshot to the next."""
        from opsconsole.rules.health import JobRules  # most commands judge nothing

        return JobRules()

    @property
    def owner(self) -> str | None:
        """This process's name in the lease; None when it has no engine."""
        return self.engine.owner if self.engine is not None else None

    def status(self) -> tuple[Status, ...]:
        """How the work of this process is doing, its engine's included."""
        return (*self.supervisor.status(), *(self.engine.status() if self.engine is not None else ()))

    def leader(self, db: Connection, now: datetime) -> Leader | None:
        """The leading process; None when the lease is free or has expired, or its holder has died."""
        is_leading = self.engine is not None and self.engine.is_leading
        return self.lease_watch.leader(db, self.owner, now, is_leading=is_leading)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction of the store. Raises Unavailable when the store is unreachable."""
        with _translating_errors(), self.store.reading() as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction of the store. Raises Unavailable when the store is unreachable."""
        with _translating_errors(), self.store.writing() as db:
            yield db


@contextmanager
def _translating_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise Unavailable("store", reason(error)) from error
