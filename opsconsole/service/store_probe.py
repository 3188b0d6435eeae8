"""Proves once a second that the store accepts writes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.core.database_errors import ErrorKind, error_kind
from opsconsole.core.settings import Role
from opsconsole.service.snapshot import Outage
from opsconsole.store import Store, lease, write_lock


class StoreProbe:
    """Finds out since when the store is locked, and by whom. A viewer, who may not write, notices only a lock that
    keeps readers out, too.
    """

    def __init__(self, store: Store, role: Role) -> None:
        self._store, self._role = store, role
        self._lock: Outage | None = None

    def check(self, now: datetime) -> Outage | None:
        """Since when the store is locked; None when it is not. Its `reason` is the process that holds the lock, empty
        when that is unknown. Raises SQLAlchemyError when the store is unreachable.
        """
        try:
            if self._role is Role.OPERATOR:
                write_lock.check(self._store)
            else:
                with self._store.reading(lock_seconds=write_lock.LOCK_SECONDS) as db:
                    lease.read(db)
        except SQLAlchemyError as error:
            if not write_lock.is_locked(error):
                self._lock = None
                if error_kind(error) is ErrorKind.STATEMENT:
                    return None  # the part that reads the broken table reports it
                raise
            self._lock = Outage(self._lock.since if self._lock is not None else now, write_lock.holder(self._store))
        else:
            self._lock = None
        return self._lock
