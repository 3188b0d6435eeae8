"""Reads from the store the outcomes of scheduled times, and the evidence that explains them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import OccurrenceFilter, OccurrenceRecord, OccurrenceState, Reason, Registration
from opsconsole.authoring.run import Run
from opsconsole.calendar.cron import TICK, Cron, schedule, zone
from opsconsole.core.database import Connection
from opsconsole.core.errors import OpsconsoleError, UnknownJob, UnknownRun
from opsconsole.core.retention import DEFAULTS, RetentionSection
from opsconsole.core.times import parse_time
from opsconsole.rules.backfill import scheduled_time
from opsconsole.rules.dates import parse_window, window_on
from opsconsole.rules.explain import Evidence, explain, matches
from opsconsole.rules.time_reading import describe, read_time
from opsconsole.service import wording
from opsconsole.service.occurrence_details import Explanation, OccurrenceRow, Occurrences, OccurrenceTotal
from opsconsole.service.runs import waits
from opsconsole.store import lease, occurrence_lists, occurrences as history, pauses, runs
from opsconsole.store.registrations import registrations

UTC_NAME = "UTC"


def zone_of(db: Connection, catalog: Catalog, target: str | None) -> ZoneInfo:
    """A job's timezone as the leader uses it; UTC for a target that is not a job."""
    registered = registrations(db)
    try:
        return zone(_tz(_job_named(catalog, registered, target or ""), catalog, registered))
    except UnknownJob:
        return zone(UTC_NAME)


def occurrences(db: Connection, catalog: Catalog, filter_: OccurrenceFilter, *, limit: int) -> Occurrences:
    """The outcomes of scheduled times. Raises UnknownJob."""
    registered = registrations(db)
    if filter_.job is not None:
        filter_ = msgspec.structs.replace(filter_, job=_job_named(catalog, registered, filter_.job))

    def row_of(record: OccurrenceRecord) -> OccurrenceRow:
        inside, exact = within(record, _schedules(record.job, catalog, registered), filter_.since, filter_.until)
        return OccurrenceRow(record, _tz(record.job, catalog, registered), inside, exact)

    totals: dict[tuple[str, OccurrenceState, Reason | None], tuple[int, bool]] = {
        (each.job, each.state, each.reason): (each.instants, True) for each in occurrence_lists.sums(db, filter_)
    }
    for part in map(row_of, occurrence_lists.straddling(db, filter_)):
        key = (part.record.job, part.record.state, part.record.reason)
        instants, exact = totals.get(key, (0, True))
        totals[key] = (instants + part.instants, exact and part.exact)
    return Occurrences(
        tuple(each for each in map(row_of, occurrence_lists.newest(db, filter_, limit=limit)) if each.instants),
        tuple(
            OccurrenceTotal(*key, *totals[key])
            for key in sorted(totals, key=lambda key: (key[0], key[1], key[2] or ""))
            if totals[key][0]
        ),
    )


def within(
    record: OccurrenceRecord, schedules: list[Cron], since: datetime | None, until: datetime | None
) -> tuple[int, bool]:
    """How many scheduled times of a record are in [since, until), and whether that is exact. For a record that is only
    partly in the range they are counted by the schedule that the record was made by; when that is no longer available,
    they are estimated from the share of time.
    """
    first = record.due_at if since is None else max(since, record.due_at)
    after = record.last_due_at + TICK if until is None else min(until, record.last_due_at + TICK)
    if first == record.due_at and after > record.last_due_at:
        return record.instants, True
    if first >= after:
        return 0, True
    for cron in schedules:
        if matches(record, cron):
            return cron.count(first - TICK, after - TICK), True
    share = (after - first) / max(record.last_due_at - record.due_at, timedelta(seconds=1))
    return min(record.instants, round(record.instants * share)), False


def why(
    db: Connection,
    catalog: Catalog,
    job: str,
    at: str | None,
    now: datetime,
    retention: RetentionSection = DEFAULTS,
) -> Explanation:
    """Why a job ran or did not run at a time; None is its newest scheduled time, or now for a manual job. Raises
    UnknownJob, BadTime, or BadZone for a removed job whose timezone is not available here.
    """
    registered = registrations(db)
    name = _job_named(catalog, registered, job)
    cron, tz = _schedule_of(name, catalog, registered)
    newest = cron.previous(now) if cron is not None else None
    reading = read_time(parse_time(at, zone(tz), now) if at is not None else newest or now, tz, cron)
    return Explanation(
        name,
        cron.text if cron is not None else None,
        tz,
        (*_changed(catalog, name), *(each for note in reading.notes for each in describe(note, tz, cron))),
        tuple(
            explain(
                moment,
                replace(_evidence(db, catalog, name, cron, tz, registered.get(name), moment, now), retention=retention),
            )
            for moment in reading.moments
        ),
        cron.previous(reading.near - TICK) if cron is not None else None,
        cron.next(reading.near) if cron is not None else None,
    )


def _changed(catalog: Catalog, name: str) -> list[str]:
    """A note about a changed schedule of the job, if there is one."""
    changed = catalog.changed.get(name)
    if changed is None or name not in catalog:
        return []
    return [f"the schedule was {wording.changed_schedule(changed, catalog.base(name))}"]


def why_window(
    db: Connection, catalog: Catalog, job: str, label: str, now: datetime, retention: RetentionSection = DEFAULTS
) -> Explanation:
    """Why a job ran or did not run for a window: at the scheduled time that covers it, or at its end when none does.
    Raises UnknownJob, BadWindow.
    """
    found = catalog.find(job)
    at = scheduled_time(found, catalog.cron(found), window_on(found, parse_window(label)))
    return why(db, catalog, found.name, at.isoformat(), now, retention)


def _evidence(
    db: Connection,
    catalog: Catalog,
    name: str,
    cron: Cron | None,
    tz: str,
    registration: Registration | None,
    at: datetime,
    now: datetime,
) -> Evidence:
    record = history.covering(db, name, at)
    run = _run(db, record.run) if record else None
    loaded = _loaded(catalog, name)
    starts = at + (record.shift if record is not None else loaded.shift if loaded is not None else timedelta(0))
    superseded = record is not None and record.reason is Reason.SUPERSEDED
    return Evidence(
        job=name,
        cron=cron,
        tz=tz,
        now=now,
        loaded=loaded,
        registration=registration,
        record=record,
        run=run,
        waits=_waits_for(db, catalog, run, now) if run else None,
        blocking=_run(db, record.blocked_by) if record else None,
        pauses=tuple(each for each in pauses.since(db, at) if each.skips(name, starts)),
        stand_in=history.next_run(db, name, record.last_due_at) if record and superseded else None,
        previous=history.before(db, name, at) if record is None else None,
        lease=lease.read(db),
        host=history.host_of(db, record) if record else None,
    )


def _waits_for(db: Connection, catalog: Catalog, run: Run, now: datetime) -> str | None:
    """What a queued run waits for."""
    wait = waits(db, catalog, runs.unfinished(db), now).get(run.id)
    return None if wait is None else wording.wait(wait)


def _run(db: Connection, number: int | None) -> Run | None:
    try:
        return None if number is None else runs.get(db, number)
    except UnknownRun:
        return None


def _loaded(catalog: Catalog, name: str) -> Job | None:
    return catalog.find(name) if name in catalog else None


def _job_named(catalog: Catalog, registered: dict[str, Registration], name: str) -> str:
    """The name of a loaded job, or of a removed job with records. Raises UnknownJob."""
    try:
        return catalog.find(name).name
    except UnknownJob:
        if name in registered:
            return name
        raise


def _schedules(name: str, catalog: Catalog, registered: dict[str, Registration]) -> list[Cron]:
    """The schedules that a job's records may have been made by: the leader's, then the one configured here."""
    found: list[Cron | None] = []
    if name in registered:
        # This machine's timezone database may lack the zone that the leader knows.
        with suppress(OpsconsoleError):
            found.append(schedule(registered[name].cron, registered[name].tz))
    job = _loaded(catalog, name)
    if job is not None and catalog.cron(job) not in found:
        found.append(catalog.cron(job))
    return [cron for cron in found if cron is not None]


def _schedule_of(name: str, catalog: Catalog, registered: dict[str, Registration]) -> tuple[Cron | None, str]:
    """A job's schedule and timezone as the leader follows them, or as configured here. Raises BadZone."""
    registration, job = registered.get(name), _loaded(catalog, name)
    if registration is not None:
        try:
            return schedule(registration.cron, registration.tz), registration.tz
        except OpsconsoleError:
            if job is None:
                raise
    job = catalog.find(name)
    return catalog.cron(job), job.tz


def _tz(name: str, catalog: Catalog, registered: dict[str, Registration]) -> str:
    try:
        return _schedule_of(name, catalog, registered)[1]
    except OpsconsoleError:
        return UTC_NAME
