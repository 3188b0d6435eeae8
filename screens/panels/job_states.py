"""All jobs for the board, worst first: how much attention each needs, and the key that fixes what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from opsconsole.authoring.run import NEEDS_A_LOOK, Run, RunState
from opsconsole.core import humanize
from opsconsole.rules.findings import Finding, FindingKind, Remedy, Severity
from opsconsole.service.snapshot import JobCard, JobHistory, Pause, Progress, Work
from screens.panels import fixes
from screens.panels.fixes import Fix
from screens.panels.job_status import WORDS, JobStatus, key, statuses
from screens.panels.remembered import remembered
from screens.panels.view import Key, View
from screens.widgets import symbols
from screens.widgets.symbols import Symbol


class Rank(IntEnum):
    """How much a job needs attention; the lowest comes first."""

    CRITICAL = 0
    WARNING = 1
    FAILED = 2  # its last run, and nobody has to be warned of it
    RUNNING = 3
    QUEUED = 4
    PAUSED = 5
    UNKNOWN = 6
    OK = 7
    MANUAL = 8  # runs only when it is triggered


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as the board shows it. `progress` is that of its active run, `last` its newest run that has ended, `fix`
    the action for what is wrong or in progress.
    """

    status: JobStatus
    rank: Rank
    symbol: Symbol
    progress: Progress | None
    last: Run | None
    fix: Fix | None

    @property
    def card(self) -> JobCard:
        return self.status.card

    @property
    def name(self) -> str:
        return self.status.card.name

    @property
    def finding(self) -> Finding | None:
        """The worst finding about it."""
        return self.status.finding

    @property
    def history(self) -> JobHistory | None:
        """Its success rates and newest runs."""
        return self.status.history

    @property
    def pause(self) -> Pause | None:
        """Of its active pauses the one that ends last."""
        return next(iter(self.status.pauses), None)

    @property
    def key(self) -> Key:
        return key(self.name)


def worst_first(view: View) -> Sequence[JobState]:
    """The state of each job, the worst first; among equals the one that is next."""
    snapshot = view.snapshot
    is_read = Work.HISTORIES not in snapshot.unread and snapshot.why_unknown(Work.HISTORIES) is None
    is_known = is_read and snapshot.store_outage is None
    return _worst_first(statuses(view), snapshot.live, is_known=is_known)


@remembered
def _worst_first(found: Sequence[JobStatus], live: tuple[Progress, ...], *, is_known: bool) -> Sequence[JobState]:
    progress = {each.run.id: each for each in live}
    return sorted((_state(status, progress, is_known=is_known) for status in found), key=_order)


def keys(view: View) -> Sequence[Key]:
    return keys_of(worst_first(view))


@remembered
def keys_of(states: Sequence[JobState]) -> Sequence[Key]:
    """The keys of the rows of these jobs."""
    return [state.key for state in states]


def counts(states: Sequence[JobState]) -> list[tuple[Symbol, int]]:
    """How many jobs are in each state, the worst first."""
    totals = Counter(state.symbol.word for state in states)
    found = {state.symbol.word: state.symbol for state in reversed(states)}
    return [(found[word], totals[word]) for word in dict.fromkeys(state.symbol.word for state in states)]


def next_of(states: Sequence[JobState], without: Sequence[JobState]) -> JobState | None:
    """The one whose scheduled time comes first, of those that are not among `without`."""
    return next((state for state in _by_next(states) if state not in without), None)


@remembered
def _by_next(states: Sequence[JobState]) -> Sequence[JobState]:
    return sorted((state for state in states if state.card.next_at is not None), key=_next)


def _state(status: JobStatus, progress: dict[int, Progress], *, is_known: bool) -> JobState:
    last = _last(status)
    rank, symbol = _rank(status, last, is_known=is_known)
    finding = status.finding
    if finding is not None and finding.remedy is not None:
        fix: Fix | None = fixes.OF[finding.remedy]
    elif status.active is not None:
        fix = fixes.CANCEL
    elif status.pauses:
        fix = fixes.RESUME
    else:
        fix = fixes.OF[Remedy.RETRY] if rank is Rank.FAILED else None
    return JobState(status, rank, symbol, progress.get(status.active.id) if status.active else None, last, fix)


def _rank(status: JobStatus, last: Run | None, *, is_known: bool) -> tuple[Rank, Symbol]:
    finding, active, is_manual = status.finding, status.active, status.card.cron is None
    if finding is not None:
        rank = Rank.CRITICAL if finding.severity is Severity.CRITICAL else Rank.WARNING
        return rank, _symbol_of(finding)
    if active is not None:
        rank = Rank.QUEUED if active.state is RunState.QUEUED else Rank.RUNNING
        return rank, symbols.RUN[active.state]
    if last is not None and last.state in NEEDS_A_LOOK:
        return Rank.FAILED, symbols.RUN[last.state]
    if status.pauses:
        return Rank.PAUSED, symbols.PAUSED
    if not is_known:
        return Rank.UNKNOWN, symbols.UNKNOWN
    rank = Rank.MANUAL if is_manual else Rank.OK
    if last is not None:
        return rank, symbols.OK
    return rank, symbols.MANUAL if is_manual else symbols.NEVER


def _symbol_of(finding: Finding) -> Symbol:
    shown = symbols.SEVERITY[finding.severity]
    if finding.kind is FindingKind.FAILED_RUN and finding.run is not None:
        run = symbols.RUN[finding.run.state]
        return Symbol(run.char, run.word, shown.style)
    return Symbol(shown.char, WORDS.get(finding.kind, humanize.words(finding.kind)), shown.style)


def _last(status: JobStatus) -> Run | None:
    """The newest run that has ended."""
    history = status.history
    found = (status.newest, status.card.last, *(history.newest[:1] if history is not None else ()))
    return max((run for run in found if run is not None and run.ended_at), key=lambda run: run.id, default=None)


def _order(state: JobState) -> tuple[Rank, float, str]:
    since = state.finding.since.timestamp() if state.finding is not None else _next(state)
    return state.rank, since, state.name


def _next(state: JobState) -> float:
    return state.card.next_at.timestamp() if state.card.next_at is not None else float("inf")
