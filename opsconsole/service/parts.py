"""The parts of a Snapshot that come from the store: one that cannot be read does not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from typing import Any

from opsconsole.core.database import Connection
from opsconsole.core.humanize import words
from opsconsole.core.problems import Fault, Problem, Work
from opsconsole.core.supervision import describe, is_outage, log_failure
from opsconsole.rules.findings import Finding
from opsconsole.rules.system_health import grace_of, not_leading
from opsconsole.service import alert_views, runs as run_views
from opsconsole.service.backend import Backend
from opsconsole.service.snapshot import Snapshot
from opsconsole.store import (
    job_facts,
    job_runs,
    lease as leases,
    newest_runs,
    pauses,
    presence,
    runs,
    schedules,
    set_aside,
    silences,
    statistics,
)
from opsconsole.store.write_lock import LOCK_SECONDS

RECENT = 20


class Depth(IntEnum):
    """How much of a Snapshot is read, each with what comes before it; an outline is everything that many jobs do not
    make slow.
    """

    LEADER = 0
    RUNS = 1
    OUTLINE = 2
    WHOLE = 3


Part = Callable[[Backend, Connection, Snapshot, datetime], dict[str, Any]]
"""Reads new values for fields of the Snapshot so far."""


def read(
    backend: Backend, before: Snapshot, known: tuple[Problem, ...], now: datetime, depth: Depth = Depth.WHOLE
) -> Snapshot:
    """A Snapshot with what the store has now, and the previous values of the parts that cannot be read. `known` are
    those that could not be read the last time. Raises SQLAlchemyError when the store is unreachable.

    No more is read than the `depth`, unless a run has started, advanced or ended since.
    """
    try:
        with backend.store.reading(lock_seconds=LOCK_SECONDS) as db:
            snapshot = replace(before, unread=UNREAD if depth is Depth.OUTLINE else ())
            for work, part in (OUTLINE if depth is Depth.OUTLINE else PARTS).items():
                if depth >= DEPTHS.get(work, Depth.OUTLINE) or _runs(snapshot) != _runs(before):
                    snapshot = replace(snapshot, **part(backend, db, snapshot, now))
            return snapshot
    except Exception as error:
        if is_outage(error):
            raise
    return _read_each(backend, before, {problem.work: problem for problem in known}, now)


def _runs(snapshot: Snapshot) -> tuple[object, ...]:
    return snapshot.recent, tuple(progress.run for progress in snapshot.live)


def _read_each(backend: Backend, snapshot: Snapshot, known: dict[str, Problem], now: datetime) -> Snapshot:
    """Reads each part in its own transaction: PostgreSQL ends one with the first error."""
    unknown: list[Problem] = []
    snapshot = replace(snapshot, unread=())
    for work, part in PARTS.items():
        try:
            with backend.store.reading(lock_seconds=LOCK_SECONDS) as db:
                snapshot = replace(snapshot, **part(backend, db, snapshot, now))
        except Exception as error:
            if is_outage(error) or len(unknown) == len(PARTS) - 1:
                raise
            if work not in known:
                log_failure(f"reading the {words(work)}", error)
            since = known[work].since if work in known else now
            unknown.append(Problem(work, Fault.UNKNOWN, since, describe(error)[0]))
    return replace(snapshot, unknown=tuple(unknown))


def _leader(backend: Backend, db: Connection, _so_far: Snapshot, now: datetime) -> dict[str, Any]:
    leader = backend.leader(db, now)
    return {"leader": leader, "leaderless": tuple(_leaderless(backend, db, now)) if leader is None else ()}


def _leaderless(backend: Backend, db: Connection, now: datetime) -> Iterator[Finding]:
    """Whether a leader is missing. Without a lease none has ever led, and the first may still be starting."""
    lease = leases.read(db)
    if lease is not None:
        scheduled = any(job.cron is not None for job in backend.catalog)
        grace = grace_of(backend.settings.engine.lease_seconds)
        yield from not_leading(lease, now, scheduled=scheduled, grace=grace)


def _jobs(backend: Backend, db: Connection, so_far: Snapshot, now: datetime) -> dict[str, Any]:
    """The jobs; their newest runs are read again when one has started or ended, their next times once a minute."""
    is_changed = backend.catalog.apply(schedules.changed(db))
    before = so_far.job_runs
    found = job_runs.read(db, [job.name for job in backend.catalog], before)
    is_reloaded = so_far.health is None or so_far.health.catalog is not backend.catalog
    known = () if is_reloaded or is_changed or _is_new_minute(so_far, now) else so_far.jobs
    if before is None and not is_changed:  # an outline was read a moment ago
        known = so_far.jobs
    last = {job: ended[0] for job, ended in found.ended.items()}
    for run in (progress.run for progress in so_far.live):
        if run.job not in last or last[run.job].id < run.id:
            last[run.job] = run
    is_same_store = before is not None and before.mark.newest <= found.mark.newest
    return {
        "jobs": run_views.cards(db, backend.catalog, now, last, known),
        "job_runs": found,
        "past_days": so_far.past_days if is_same_store else None,
    }


def _outlined_jobs(backend: Backend, db: Connection, _so_far: Snapshot, now: datetime) -> dict[str, Any]:
    """The jobs with their newest runs alone."""
    backend.catalog.apply(schedules.changed(db))
    newest = newest_runs.newest(db, [job.name for job in backend.catalog])
    return {"jobs": run_views.cards(db, backend.catalog, now, newest)}


def _live_runs(backend: Backend, db: Connection, _so_far: Snapshot, now: datetime) -> dict[str, Any]:
    return {"live": run_views.live(db, backend.catalog, now)}


def _recent_runs(_backend: Backend, db: Connection, _so_far: Snapshot, _now: datetime) -> dict[str, Any]:
    return {"recent": tuple(runs.newest(db, limit=RECENT))}


def _histories(backend: Backend, db: Connection, so_far: Snapshot, now: datetime) -> dict[str, Any]:
    """The histories of the jobs of which a run has started or ended, and once a minute the rates of all."""
    found = so_far.job_runs or job_runs.read(db, [job.name for job in backend.catalog])
    if so_far.histories and so_far.histories_of is found.ended and not _is_new_minute(so_far, now):
        return {}
    rates, past_days = statistics.rates(db, now, so_far.past_days)
    histories = run_views.histories(backend.catalog, rates, found.ended, so_far.histories)
    return {
        "histories": histories,
        "histories_at": now,
        "histories_of": found.ended,
        "past_days": past_days,
    }


def _is_new_minute(so_far: Snapshot, now: datetime) -> bool:
    return so_far.histories_at is None or now.minute != so_far.histories_at.minute


def _health(backend: Backend, db: Connection, so_far: Snapshot, now: datetime) -> dict[str, Any]:
    facts, health = job_facts.read(db, backend.catalog, now, so_far.health, so_far.job_runs)
    return {"job_findings": backend.job_rules.findings(facts, now), "health": health}


def _pauses(_backend: Backend, db: Connection, _so_far: Snapshot, now: datetime) -> dict[str, Any]:
    return {"pauses": tuple(pauses.in_force(db, now))}


def _attached(_backend: Backend, db: Connection, _so_far: Snapshot, now: datetime) -> dict[str, Any]:
    return {"attached": tuple(presence.attached(db, now))}


def _set_aside(_backend: Backend, db: Connection, _so_far: Snapshot, _now: datetime) -> dict[str, Any]:
    return {"set_aside": set_aside.findings(db)}


def _alerts(_backend: Backend, db: Connection, _so_far: Snapshot, now: datetime) -> dict[str, Any]:
    silenced = silences.in_force(db, now)
    return {"alerts": alert_views.current(db, silenced, now), "silences": tuple(silenced)}


PARTS: dict[Work, Part] = {
    Work.LEADER: _leader,
    Work.LIVE_RUNS: _live_runs,
    Work.RECENT_RUNS: _recent_runs,
    Work.JOBS: _jobs,
    Work.HISTORIES: _histories,
    Work.HEALTH: _health,
    Work.PAUSES: _pauses,
    Work.ATTACHED: _attached,
    Work.SET_ASIDE: _set_aside,
    Work.ALERT_LIST: _alerts,
}
UNREAD = (Work.HISTORIES, Work.HEALTH)
OUTLINE = {work: part for work, part in PARTS.items() if work not in UNREAD} | {Work.JOBS: _outlined_jobs}
DEPTHS = {Work.LEADER: Depth.LEADER, Work.LIVE_RUNS: Depth.RUNS, Work.RECENT_RUNS: Depth.RUNS}
"""The parts that are read more often. The others change with these, by commands, or slowly."""
