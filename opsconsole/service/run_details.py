"""A run in detail, as the service returns it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.run import Run
from opsconsole.service.snapshot import Progress

if TYPE_CHECKING:
    from opsconsole.rules.job_history import Usual


@dataclass(frozen=True, slots=True)
class Cause:
    """Failures of one kind: the message of one of them, their count, and the first items."""

    kind: str
    message: str
    count: int
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchCell:
    """A batch in a run's grid."""

    seq: int
    state: BatchState
    items: int
    failed: int


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run with its details. `retries` are the runs that retried it, oldest first. Once it has ended, `failed_in` has
    for each item of `causes` in how many of the job's `last_runs` it failed. `workers` and `batch` are how many batches
    the job runs at once, and their size; they are None for a job that is not loaded.
    """

    at: datetime
    progress: Progress
    grid: tuple[BatchCell, ...]
    causes: tuple[Cause, ...]
    log: tuple[tuple[datetime, str], ...]
    retries: tuple[Run, ...] = ()
    last_runs: int = 0
    failed_in: Mapping[str, int] = field(default_factory=dict)
    usual: Usual | None = None
    workers: int | None = None
    batch: int | None = None

    @property
    def retried_by(self) -> tuple[int, ...]:
        """The numbers of the runs that retried it."""
        return tuple(run.id for run in self.retries)
