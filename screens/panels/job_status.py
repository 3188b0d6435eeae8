"""The state of each job in a Snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsconsole.authoring.run import Run, RunState
from opsconsole.rules.findings import FindingKind
from opsconsole.service.snapshot import Finding, JobCard, JobHistory, Pause, Progress
from screens.panels import pauses
from screens.panels.remembered import remembered
from screens.panels.view import Key, View, newest_runs

PANEL = "jobs"
WORDS = {
    FindingKind.LATE: "late",
    FindingKind.OVERDUE: "late",
    FindingKind.NO_GOOD_RUN: "stale",
    FindingKind.LONG_RUN: "too long",
    FindingKind.SLOW_RUN: "slow",
    FindingKind.FAILING_REPEATEDLY: "failing",
    FindingKind.FAILING_ITEMS: "failing",
    FindingKind.LOW_SUCCESS_RATE: "low rate",
    FindingKind.LOW_WORK: "few items",
    FindingKind.MISSED: "missed",
    FindingKind.INCOMPLETE_WINDOWS: "incomplete",
}
"""The state of a job with such a finding; of a failed run, the state is that of the run."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job with its active and its newest run, its active pauses (the one that ends last first), its worst finding,
    and its history.
    """

    card: JobCard
    active: Run | None
    newest: Run | None
    pauses: Sequence[Pause]
    finding: Finding | None
    history: JobHistory | None


def key(job: str) -> Key:
    """The key of a job's row, in every list of jobs."""
    return PANEL, job


def statuses(view: View) -> Sequence[JobStatus]:
    """The status of every job, in the order of the Snapshot."""
    snapshot = view.snapshot
    return found(
        snapshot.jobs,
        snapshot.live,
        snapshot.recent,
        snapshot.histories,
        snapshot.findings,
        pauses.active_now(snapshot.pauses, view.now),
    )


@remembered
def found(
    jobs: tuple[JobCard, ...],
    live: tuple[Progress, ...],
    recent: tuple[Run, ...],
    histories: tuple[JobHistory, ...],
    findings: tuple[Finding, ...],
    paused: tuple[Pause, ...],
) -> Sequence[JobStatus]:
    """The status of every job, with the active pauses. Reads each of these once, for a thousand jobs."""
    newest = newest_runs(jobs, live, recent, histories, findings)
    # The first one counts: running before queued ones, and the worst finding before the others.
    active = {
        run.job: run
        for run in sorted((progress.run for progress in reversed(live)), key=lambda run: run.state is RunState.RUNNING)
    }
    worst = {finding.subject: finding for finding in reversed(findings)}
    by_job = {history.job: history for history in histories}
    return [
        JobStatus(
            card,
            active.get(card.name),
            newest.get(card.name),
            pauses.of_job(paused, card.name) if paused else (),
            worst.get(card.name),
            by_job.get(card.name),
        )
        for card in jobs
    ]


def of(view: View, job: str) -> JobStatus | None:
    """The status of one job; None for one that is not loaded."""
    return next((status for status in statuses(view) if status.card.name == job), None)
