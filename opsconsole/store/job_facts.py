"""The facts about jobs that the health rules need. Facts that have not changed are not read again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.changed_schedule import ChangedSchedule
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import Registration
from opsconsole.authoring.run import Run, Trigger
from opsconsole.calendar.windows import minutes
from opsconsole.core.database import Connection
from opsconsole.rules.admission import WaitReason, admissions
from opsconsole.rules.backfill import WindowStatus
from opsconsole.rules.health import JobFacts
from opsconsole.rules.pauses import Pause
from opsconsole.store import job_runs, missed_times, occurrences, pauses, runs as run_store
from opsconsole.store.job_runs import JobRuns
from opsconsole.store.judged_runs import JudgedRuns, judge_runs
from opsconsole.store.missed_times import MissedTimes
from opsconsole.store.registrations import registrations

KEPT_FOR = minutes(1)
"""What changes without a run, such as the number of stale items, is read again after this time."""

Times = tuple[datetime, ...]
"""Scheduled times."""


@dataclass(frozen=True, slots=True)
class Open:
    """The open runs that are no backfills: of each job the first to start, what runs wait for, and the scheduled times
    later than now that ran already.
    """

    runs: Mapping[str, Run]
    waits: Mapping[int, WaitReason]
    ahead: Mapping[str, Times]


@dataclass(frozen=True, slots=True)
class Kept:
    """The state between two reads of the jobs of a `catalog`. `refreshed_at` is when the facts that change without a
    run were read, `next_due` the next scheduled time of each job with a schedule.
    """

    catalog: Catalog
    schedules: Mapping[str, ChangedSchedule]
    read_at: datetime
    refreshed_at: datetime
    runs: JobRuns
    registered: Mapping[str, Registration]
    missed: MissedTimes
    incomplete: Mapping[str, tuple[WindowStatus, ...]]
    pauses: Sequence[Pause]
    judged: Mapping[str, JudgedRuns]
    next_due: Mapping[str, datetime]
    facts: Mapping[str, JobFacts]


def read(
    db: Connection, catalog: Catalog, now: datetime, kept: Kept | None = None, runs: JobRuns | None = None
) -> tuple[list[JobFacts], Kept]:
    """The facts about every job, and what to pass as `kept` the next time: then the facts of a job are the same object
    until something about it has changed. `runs` are the newest runs of all jobs, if they have just been read.
    """
    names = [job.name for job in catalog]
    if kept is not None and (
        kept.catalog is not catalog or kept.schedules is not catalog.changed or now < kept.read_at
    ):
        kept = None  # another configuration, or the clock was set back
    runs = runs or job_runs.read(db, names, kept.runs if kept is not None else None)
    if kept is not None and runs.mark.newest < kept.runs.mark.newest:
        kept = None  # another store
    is_open = _open(db, catalog, runs, now)
    registered, missed, incomplete = _records(db, catalog, kept, runs, now)
    ages = [job.limits.max_age for job in catalog if job.limits.max_age is not None]
    held = pauses.since(db, now - max([missed_times.WINDOWS_WITHIN, *ages]))
    now_kept = Kept(
        catalog=catalog,
        schedules=catalog.changed,
        read_at=now,
        refreshed_at=now if kept is None or _is_due(kept, now) else kept.refreshed_at,
        runs=runs,
        registered=registered,
        missed=missed,
        incomplete=incomplete,
        pauses=held,
        judged={},
        next_due={},
        facts={},
    )
    again = set(names) if kept is None else _changed(kept, now_kept, is_open, now)
    return _with_facts(db, now_kept, kept, is_open, [job for job in catalog if job.name in again], now)


def _is_due(kept: Kept, now: datetime) -> bool:
    return now - kept.refreshed_at >= KEPT_FOR


def _open(db: Connection, catalog: Catalog, runs: JobRuns, now: datetime) -> Open:
    active = run_store.unfinished(db) if runs.has_open else []
    decided = admissions(active, lambda name: catalog.find(name) if name in catalog else None, now)
    return Open(
        {run.job: run for run in reversed(active) if run.trigger is not Trigger.BACKFILL},
        {run.id: wait.reason for run, wait in decided if wait},
        occurrences.ran_ahead(db, now),
    )


def _records(
    db: Connection, catalog: Catalog, kept: Kept | None, runs: JobRuns, now: datetime
) -> tuple[Mapping[str, Registration], MissedTimes, Mapping[str, tuple[WindowStatus, ...]]]:
    """The records of scheduled times and windows: all of them once a minute, and those that may have changed every
    time. A scheduled time that has come is recorded soon.
    """
    if kept is None or _is_due(kept, now):
        registered, missed = registrations(db), missed_times.read(db, catalog, now)
        return registered, missed, missed_times.incomplete(db, catalog, catalog, registered, missed, now)
    is_awaited = any(at <= now for at in kept.next_due.values()) or any(map(_is_unrecorded, kept.facts.values()))
    known = registrations(db) if is_awaited else kept.registered
    missed = missed_times.read(db, catalog, now, kept.missed)
    changed = {name for name, ended in runs.ended.items() if kept.runs.ended.get(name) is not ended}
    changed |= _differing(missed.of_windows, kept.missed.of_windows)
    if not changed:
        return known, missed, kept.incomplete
    again = [job for job in catalog if job.name in changed]
    others = {name: found for name, found in kept.incomplete.items() if name not in changed}
    return known, missed, {**others, **missed_times.incomplete(db, catalog, again, known, missed, now)}


def _is_unrecorded(facts: JobFacts) -> bool:
    return facts.due is not None and (facts.accounted_until is None or facts.accounted_until < facts.due)


def _changed(before: Kept, after: Kept, is_open: Open, now: datetime) -> set[str]:
    """The jobs whose facts may have changed."""
    if list(before.pauses) != list(after.pauses) or _has_pause_changed(after.pauses, before.read_at, now):
        return {job.name for job in after.catalog}
    names = {name for name, at in before.next_due.items() if at <= now}
    names |= {name for name, judged in before.judged.items() if judged.source is not after.runs.ended.get(name, ())}
    names |= {name for name, judged in before.judged.items() if judged.until is not None and judged.until <= now}
    names |= {name for name, facts in before.facts.items() if facts.open is not None or facts.ran_ahead}
    names |= {name for name, facts in before.facts.items() if _is_empty_over(facts, now)}
    names |= is_open.runs.keys() | is_open.ahead.keys()
    names |= _differing(before.registered, after.registered)
    names |= _differing(before.missed.unrun, after.missed.unrun)
    return names | _differing(before.incomplete, after.incomplete)


def _has_pause_changed(held: Iterable[Pause], since: datetime, now: datetime) -> bool:
    """Whether a pause has begun or ended in between."""
    return any(at is not None and since < at <= now for pause in held for at in (pause.since, pause.until))


def _is_empty_over(facts: JobFacts, now: datetime) -> bool:
    """Whether a scheduled time without items is too old to be a proof."""
    max_age = facts.job.limits.max_age
    return (
        facts.job.skip_when_empty
        and max_age is not None
        and facts.last_good is not None
        and (facts.last_good < now - max_age)
    )


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    if before is after:
        return set()
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _with_facts(
    db: Connection, kept: Kept, before: Kept | None, is_open: Open, again: Collection[Job], now: datetime
) -> tuple[list[JobFacts], Kept]:
    """Reads the facts of the jobs `again`; those of the others are the ones of `before`."""
    judged = dict(before.judged) if before is not None else {}
    next_due = dict(before.next_due) if before is not None else {}
    facts = dict(before.facts) if before is not None else {}
    empty = occurrences.last_empty(
        db, {job.name: now - job.limits.max_age for job in again if job.skip_when_empty and job.limits.max_age}
    )
    for job in again:
        ended, runs = kept.runs.ended.get(job.name, ()), judged.get(job.name)
        if runs is None or runs.source is not ended or (runs.until is not None and runs.until <= now):
            runs = judged[job.name] = judge_runs(db, job, ended, now)
        cron = kept.catalog.cron(job)
        following = cron.next(now - job.shift) if cron is not None else None
        if following is not None:
            next_due[job.name] = following + job.shift
        good = max(filter(None, (runs.last_good, empty.get(job.name))), default=None)
        facts[job.name] = _facts(kept, is_open, job, runs, good, now)
    in_order = {job.name: facts[job.name] for job in kept.catalog}
    return list(in_order.values()), replace(kept, judged=judged, next_due=next_due, facts=in_order)


def _facts(
    kept: Kept, is_open: Open, job: Job, runs: JudgedRuns, last_good: datetime | None, now: datetime
) -> JobFacts:
    cron, registration, run = kept.catalog.cron(job), kept.registered.get(job.name), is_open.runs.get(job.name)
    ended = [p.until for p in kept.pauses if p.until and p.until <= now and p.applies_to(job.name)]
    return JobFacts(
        job=job,
        due=cron.previous(now - job.shift) if cron is not None else None,
        accounted_until=registration.planned_until if registration else None,
        registered_at=registration.registered_at if registration else None,
        newest=runs.newest,
        windows=runs.windows,
        open=run,
        last_good=last_good,
        paused=any(pause.skips(job.name, now) for pause in kept.pauses),
        resumed_at=max(ended, default=None),
        ran_ahead=is_open.ahead.get(job.name, ()),
        waits=is_open.waits.get(run.id) if run is not None else None,
        unrun=kept.missed.unrun.get(job.name, ()),
        incomplete=kept.incomplete.get(job.name, ()),
        repeated=runs.repeated,
    )
