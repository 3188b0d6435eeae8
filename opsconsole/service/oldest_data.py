"""Where the data of each job begins, as its `oldest` finds it: earlier windows have nothing to process."""

from __future__ import annotations

import time
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.job import Job
from opsconsole.core.bounds import shown
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import Unavailable
from opsconsole.core.supervision import log_failure
from opsconsole.core.time_limit import Calls
from opsconsole.service.backend import Backend

KEPT_SECONDS = 600.0
READ_SECONDS = 5.0
"""How long a read is waited for. One that takes longer is used the next time."""


class _Beginning(NamedTuple):
    at: float
    begins: datetime | None


class OldestData:
    """Reads the beginning of a job's data at most every ten minutes. Thread-safe."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._calls: Calls[datetime] = Calls("oldest data")
        self._read_before: dict[str, _Beginning] = {}

    def begins(self, job: Job, *, fresh: bool = False) -> datetime | None:
        """When the data of a job begins, now if it has none; None when that cannot be determined. `fresh` reads it in
        any case. Raises Unavailable.
        """
        if job.oldest is None:
            return None
        last = self._read_before.get(job.name)
        if last is None or fresh or time.monotonic() - last.at > KEPT_SECONDS:
            last = self._read_before[job.name] = _Beginning(time.monotonic(), self._read(job))
        return last.begins

    def _read(self, job: Job) -> datetime | None:
        """In a thread of its own: it is code of a pack, which may hang."""
        call = self._calls.start(job.name, lambda: self._query(job))
        try:
            found = self._calls.finish(job.name, call, time.monotonic() + READ_SECONDS)
        except SQLAlchemyError as error:
            raise Unavailable("data", reason(error)) from error
        except BaseException as error:  # noqa: BLE001 - a pack may raise anything
            log_failure(f"reading the oldest data of {job.name}", error)
            return None
        return None if found is None else found[0]

    def _query(self, job: Job) -> datetime:
        assert job.oldest is not None  # noqa: S101 - checked by the caller
        with self._backend.resources.data.reading() as db:
            found: object = db.execute(job.oldest()).scalar()
        if found is None:
            return self._backend.now()
        if not isinstance(found, datetime) or found.tzinfo is None:
            raise TypeError(f"`oldest` must select a time with a zone, not {shown(found)}")
        return found
