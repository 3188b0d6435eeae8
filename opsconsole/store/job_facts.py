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

REFRESH_AFTER = minutes(1)
"""What changes without a run, such as the number of stale items, is read again after this time."""

Times = tuple[datetime, ...]
"""Scheduled times."""


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """The open runs that are no backfills: of each job the first to start, what runs wait for, and the scheduled times
    later than now that ran already.
    """

    runs: Mapping[str, Run]
    waits: Mapping[int, WaitReason]
    ahead: Mapping[str, Times]


@dataclass(frozen=True, slots=True)
class ReadState:
    """The state between two reads of the facts about the jobs of a `catalog`. `refreshed_at` is when the facts that
    change without a run were read, `next_due` the next scheduled time of each job with a schedule.
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
    db: Connection, catalog: Catalog, now: datetime, before: ReadState | None = None, runs: JobRuns | None = None
) -> tuple[list[JobFacts], ReadState]:
    """The facts about every job, and what to pass as `before` the next time: then the facts of a job are the same
    object until something about it has changed. `runs` are the newest runs of all jobs, if they have just been read.
    """
    names = [job.name for job in catalog]
    if before is not None and (
        before.catalog is not catalog or before.schedules is not catalog.changed or now < before.read_at
    ):
        before = None  # another configuration, or the clock was set back
    runs = runs or job_runs.read(db, names, before.runs if before is not None else None)
    if before is not None and runs.mark.newest < before.runs.mark.newest:
        before = None  # another store
    open_runs = _open_runs(db, catalog, runs, now)
    registered, missed, incomplete = _records(db, catalog, before, runs, now)
    ages = [job.limits.max_age for job in catalog if job.limits.max_age is not None]
    paused = pauses.since(db, now - max([missed_times.WINDOWS_WITHIN, *ages]))
    after = ReadState(
        catalog=catalog,
        schedules=catalog.changed,
        read_at=now,
        refreshed_at=now if before is None or _is_due(before, now) else before.refreshed_at,
        runs=runs,
        registered=registered,
        missed=missed,
        incomplete=incomplete,
        pauses=paused,
        judged={},
        next_due={},
        facts={},
    )
    changed = set(names) if before is None else _changed(before, after, open_runs, now)
    return _with_facts(db, after, before, open_runs, [job for job in catalog if job.name in changed], now)


def _is_due(before: ReadState, now: datetime) -> bool:
    return now - before.refreshed_at >= REFRESH_AFTER


def _open_runs(db: Connection, catalog: Catalog, runs: JobRuns, now: datetime) -> OpenRuns:
    active = run_store.unfinished(db) if runs.has_open else []
    decided = admissions(active, lambda name: catalog.find(name) if name in catalog else None, now)
    return OpenRuns(
        {run.job: run for run in reversed(active) if run.trigger is not Trigger.BACKFILL},
        {run.id: wait.reason for run, wait in decided if wait},
        occurrences.ran_ahead(db, now),
    )


def _records(
    db: Connection, catalog: Catalog, before: ReadState | None, runs: JobRuns, now: datetime
) -> tuple[Mapping[str, Registration], MissedTimes, Mapping[str, tuple[WindowStatus, ...]]]:
    """The records of scheduled times and windows: all of them once a minute, and those that may have changed every
    time. A scheduled time that has come is recorded soon.
    """
    if before is None or _is_due(before, now):
        every, missed = registrations(db), missed_times.read(db, catalog, now)
        return every, missed, missed_times.incomplete(db, catalog, catalog, every, missed, now)
    is_awaited = any(at <= now for at in before.next_due.values()) or any(map(_is_unrecorded, before.facts.values()))
    registered = registrations(db) if is_awaited else before.registered
    missed = missed_times.read(db, catalog, now, before.missed)
    changed = {name for name, ended in runs.ended.items() if before.runs.ended.get(name) is not ended}
    changed |= _differing(missed.of_windows, before.missed.of_windows)
    if not changed:
        return registered, missed, before.incomplete
    ended_jobs = [job for job in catalog if job.name in changed]
    others = {name: found for name, found in before.incomplete.items() if name not in changed}
    return registered, missed, {**others, **missed_times.incomplete(db, catalog, ended_jobs, registered, missed, now)}


def _is_unrecorded(facts: JobFacts) -> bool:
    return facts.due is not None and (facts.accounted_until is None or facts.accounted_until < facts.due)


def _changed(before: ReadState, after: ReadState, open_runs: OpenRuns, now: datetime) -> set[str]:
    """The jobs whose facts may have changed."""
    if list(before.pauses) != list(after.pauses) or _has_pause_changed(after.pauses, before.read_at, now):
        return {job.name for job in after.catalog}
    names = {name for name, at in before.next_due.items() if at <= now}
    names |= {name for name, judged in before.judged.items() if judged.source is not after.runs.ended.get(name, ())}
    names |= {name for name, judged in before.judged.items() if judged.until is not None and judged.until <= now}
    names |= {name for name, facts in before.facts.items() if facts.open is not None or facts.ran_ahead}
    names |= {name for name, facts in before.facts.items() if _is_empty_over(facts, now)}
    names |= open_runs.runs.keys() | open_runs.ahead.keys()
    names |= _differing(before.registered, after.registered)
    names |= _differing(before.missed.unrun, after.missed.unrun)
    return names | _differing(before.incomplete, after.incomplete)


def _has_pause_changed(paused: Iterable[Pause], since: datetime, now: datetime) -> bool:
    """Whether a pause has begun or ended in between."""
    return any(at is not None and since < at <= now for pause in paused for at in (pause.since, pause.until))


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
    db: Connection,
    state: ReadState,
    before: ReadState | None,
    open_runs: OpenRuns,
    changed: Collection[Job],
    now: datetime,
) -> tuple[list[JobFacts], ReadState]:
    """Reads the facts of the `changed` jobs; those of the others are the ones of `before`."""
    judged = dict(before.judged) if before is not None else {}
    next_due = dict(before.next_due) if before is not None else {}
    facts = dict(before.facts) if before is not None else {}
    empty = occurrences.last_empty(
        db, {job.name: now - job.limits.max_age for job in changed if job.skip_when_empty and job.limits.max_age}
    )
    for job in changed:
        ended, runs = state.runs.ended.get(job.name, ()), judged.get(job.name)
        if runs is None or runs.source is not ended or (runs.until is not None and runs.until <= now):
            runs = judged[job.name] = judge_runs(db, job, ended, now)
        cron = state.catalog.cron(job)
        following = cron.next(now - job.shift) if cron is not None else None
        if following is not None:
            next_due[job.name] = following + job.shift
        good = max(filter(None, (runs.last_good, empty.get(job.name))), default=None)
        facts[job.name] = _facts(state, open_runs, job, runs, good, now)
    in_order = {job.name: facts[job.name] for job in state.catalog}
    return list(in_order.values()), replace(state, judged=judged, next_due=next_due, facts=in_order)


def _facts(
    state: ReadState, open_runs: OpenRuns, job: Job, runs: JudgedRuns, last_good: datetime | None, now: datetime
) -> JobFacts:
    cron, registration, run = state.catalog.cron(job), state.registered.get(job.name), open_runs.runs.get(job.name)
    ended = [p.until for p in state.pauses if p.until and p.until <= now and p.applies_to(job.name)]
    return JobFacts(
        job=job,
        due=cron.previous(now - job.shift) if cron is not None else None,
        accounted_until=registration.planned_until if registration else None,
        registered_at=registration.registered_at if registration else None,
        newest=runs.newest,
        windows=runs.windows,
        open=run,
        last_good=last_good,
        paused=any(pause.skips(job.name, now) for pause in state.pauses),
        resumed_at=max(ended, default=None),
        ran_ahead=open_runs.ahead.get(job.name, ()),
        waits=open_runs.waits.get(run.id) if run is not None else None,
        unrun=state.missed.unrun.get(job.name, ()),
        incomplete=state.incomplete.get(job.name, ()),
        repeated=runs.repeated,
    )
