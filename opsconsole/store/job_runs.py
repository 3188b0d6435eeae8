"""The newest ended runs of every job, read again only for jobs of which a run has started or ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from opsconsole.authoring.run import Run
from opsconsole.core.database import Connection
from opsconsole.store import changes, newest_runs
from opsconsole.store.changes import Watermark

LISTED, JUDGED = 14, 40
"""The newest runs of a job that are shown, and those that are judged, which are no backfills."""


@dataclass(frozen=True, slots=True)
class JobRuns:
    """The newest ended runs of each job that has any, newest first, without their facts: `LISTED` of all, and `JUDGED`
    of those that are no backfills. The runs of a job stay the same object until it is read again.
    """

    mark: Watermark
    jobs: frozenset[str]
    ended: Mapping[str, tuple[Run, ...]]

    @property
    def has_open(self) -> bool:
        """Whether any run had not ended."""
        return bool(self.mark.open)


def read(db: Connection, jobs: Collection[str], kept: JobRuns | None = None) -> JobRuns:
    """The newest runs of these jobs. With `kept`, what the last read returned, only what has changed is read."""
    mark, names = changes.watermark(db), frozenset(jobs)
    ran = None if kept is None else changes.changed(db, kept.mark, mark)
    if kept is None or ran is None:
        kept, ran = JobRuns(mark, frozenset(), {}), names
    again = names & ran | names - kept.jobs
    if not again:
        return JobRuns(mark, names, kept.ended)
    found = newest_runs.newest_ended(db, again, limit=LISTED, without_backfills=JUDGED)
    before = {job: runs for job, runs in kept.ended.items() if job not in again}
    return JobRuns(mark, names, {**before, **found})
