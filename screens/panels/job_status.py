"""How each job is doing: what a Snapshot has about it, and one word for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsconsole.authoring.run import NEEDS_A_LOOK, Run, RunState
from opsconsole.rules.findings import FindingKind
from opsconsole.service.snapshot import Finding, JobCard, JobHistory, Pause, Severity
from screens.panels.view import View
from screens.widgets import symbols
from screens.widgets.symbols import Symbol

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

    @property
    def badness(self) -> int:
        """0 for a job without a problem."""
        if self.finding is not None:
            return 3 if self.finding.severity is Severity.CRITICAL else 2
        return 1 if self._ended in NEEDS_A_LOOK else 0

    @property
    def symbol(self) -> Symbol:
        """How it is doing: its active run, its pause, its worst problem, or its newest run."""
        if self.active is not None:
            return symbols.RUN[self.active.state]
        if self.pauses:
            return symbols.PAUSED
        if self.finding is not None and self.finding.kind in WORDS:
            severity = symbols.SEVERITY[self.finding.severity]
            return Symbol(severity.char, WORDS[self.finding.kind], severity.style)
        if self._ended is None:
            return symbols.NEVER
        symbol = symbols.RUN[self._ended]
        return symbol._replace(word="ok") if self._ended is RunState.SUCCEEDED else symbol

    @property
    def _ended(self) -> RunState | None:
        """The state of the newest ended run."""
        return self.history.newest[0].state if self.history is not None and self.history.newest else None


def statuses(view: View) -> list[JobStatus]:
    """The status of every job, in the order of the Snapshot. Reads each part of the Snapshot once, for a thousand
    jobs.
    """
    snapshot = view.snapshot
    newest = view.newest_runs()
    # The first one counts: running before queued ones, and the worst finding before the others.
    live = sorted((progress.run for progress in snapshot.live), key=lambda run: run.state is not RunState.RUNNING)
    active = {run.job: run for run in reversed(live)}
    worst = {finding.subject: finding for finding in reversed(snapshot.findings)}
    histories = {history.job: history for history in snapshot.histories}
    return [
        JobStatus(
            card,
            active.get(card.name),
            newest.get(card.name),
            view.pauses_of(card.name),
            worst.get(card.name),
            histories.get(card.name),
        )
        for card in snapshot.jobs
    ]


def of(view: View, job: str) -> JobStatus | None:
    """The status of one job; None for one that is not loaded."""
    return next((status for status in statuses(view) if status.card.name == job), None)
