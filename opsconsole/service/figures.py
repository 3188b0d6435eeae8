"""The figures of an installation for monitoring. Reads only what has happened since the last time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from opsconsole.authoring.run import RunState
from opsconsole.core.database import Connection
from opsconsole.rules.alerts import AlertState
from opsconsole.rules.findings import Severity
from opsconsole.service import alert_views
from opsconsole.service.alert_cards import AlertCard
from opsconsole.service.backend import Backend
from opsconsole.service.run_watch import RunChange, RunWatch
from opsconsole.service.snapshot import Leader
from opsconsole.store import commands, occurrences, pauses, silences, statistics, table_days

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended. `late_seconds` is the delay of its start after the scheduled time, if it had one."""

    job: str
    state: RunState
    seconds: float | None
    late_seconds: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The current figures, and what happened since the last read: `ended` runs, `items` by job and outcome, and
    `failures` by job and kind. `last_good` is when the last good run of each job ended; `alerts` counts the open ones.
    """

    at: datetime
    leader: Leader | None
    ended: tuple[EndedRun, ...]
    items: Counter[tuple[str, str]]
    failures: Counter[tuple[str, str]]
    open_runs: Counter[RunState]
    queued_seconds: float
    commands: int
    alerts: Counter[tuple[Severity, AlertState]]
    last_good: Mapping[str, datetime]
    paused: frozenset[str]
    bytes: Mapping[str, int]


class FigureReader:
    """Reads the figures repeatedly. `read` raises Unavailable when the store is unreachable, and then counts
    nothing twice and forgets nothing.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend, self._runs = backend, RunWatch()
        self._last_good: dict[str, datetime] = {}
        self._jobs: set[str] = set()

    def read(self) -> Figures:
        """The figures now."""
        backend, now = self._backend, self._backend.now()
        with backend.reading() as db:
            cards = alert_views.current(db, silences.in_force(db, now), now)
            held, sizes, waiting = pauses.in_force(db, now), _bytes(db, now), len(commands.requested(db))
            leader = backend.leader(db, now)
            changes = self._runs.changes(db)
            ended = [change for change in changes if change.has_ended]
            late = _late_seconds(db, ended)
            self._read_last_good(db, {change.run.job for change in ended}, now)
            queued = [run.created_at for run in self._runs.open if run.state is RunState.QUEUED]
            return Figures(
                at=now,
                leader=leader,
                ended=tuple(_ended(change, late) for change in ended),
                items=Counter(_items(changes)),
                failures=Counter(_failures(changes)),
                open_runs=Counter(run.state for run in self._runs.open),
                queued_seconds=max(0.0, (now - min(queued)).total_seconds()) if queued else 0.0,
                commands=waiting,
                alerts=_alerts(cards),
                last_good=dict(self._last_good),
                paused=frozenset(
                    job.name for job in backend.catalog if any(pause.applies_to(job.name) for pause in held)
                ),
                bytes=sizes,
            )

    def _read_last_good(self, db: Connection, ran: Collection[str], now: datetime) -> None:
        """Reads it for the jobs that are new or had a run end."""
        catalog = self._backend.catalog
        names = {job.name for job in catalog}
        again = [job for job in catalog if job.name in ran or job.name not in self._jobs]
        self._jobs = names
        least = {job.name: job.limits.critical_below for job in again}
        manual = [job.name for job in again if job.cron is None]
        self._last_good |= statistics.last_good(db, least, manual=manual, now=now)


def _ended(change: RunChange, late: Mapping[int, float]) -> EndedRun:
    run = change.run
    return EndedRun(run.job, run.state, run.seconds, late.get(run.occurrence) if run.occurrence is not None else None)


def _late_seconds(db: Connection, ended: Collection[RunChange]) -> dict[int, float]:
    numbers = [change.run.occurrence for change in ended if change.run.occurrence is not None]
    return {number: late.total_seconds() for number, late in occurrences.delays(db, numbers)}


def _items(changes: Collection[RunChange]) -> Counter[tuple[str, str]]:
    found = Counter[tuple[str, str]]()
    for change in changes:
        for outcome in ("ok", "failed", "skipped", "not_reached"):
            found[change.run.job, outcome] += getattr(change.counts, outcome)
    return found


def _failures(changes: Collection[RunChange]) -> Counter[tuple[str, str]]:
    found = Counter[tuple[str, str]]()
    for change in changes:
        found.update({(change.run.job, kind): n for kind, n in change.kinds.items()})
    return found


def _alerts(cards: Collection[AlertCard]) -> Counter[tuple[Severity, AlertState]]:
    return Counter((card.alert.severity, card.state) for card in cards if card.alert.is_open)


def _bytes(db: Connection, now: datetime) -> dict[str, int]:
    """The size of each database, from the newest day on which its tables were measured."""
    found: dict[str, tuple[object, int]] = {}
    for size in table_days.since(db, now.date() - DAY):
        if size.index or size.bytes is None:
            continue
        day, so_far = found.get(size.database, (size.day, 0))
        found[size.database] = (size.day, size.bytes + (so_far if day == size.day else 0))
    return {database: n for database, (_, n) in found.items()}
