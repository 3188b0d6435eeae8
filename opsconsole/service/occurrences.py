"""Gathers from the store what is needed to say what became of scheduled instants, and why."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import OccurrenceRecord, OccurrenceState, Reason, Registration
from opsconsole.authoring.run import Run
from opsconsole.calendar.cron import TICK, Cron, schedule, zone
from opsconsole.core.database import Connection
from opsconsole.core.errors import OpsconsoleError, UnknownJob, UnknownRun
from opsconsole.core.times import parse_time
from opsconsole.rules.admission import admissions
from opsconsole.rules.explain import Evidence, explain, matches
from opsconsole.rules.time_reading import describe, read_time
from opsconsole.service import wording
from opsconsole.service.snapshot import Explanation, OccurrenceRow, Occurrences, OccurrenceTotal
from opsconsole.store import lease, occurrence_history as accounts, pauses, runs
from opsconsole.store.occurrence_history import OccurrenceFilter
from opsconsole.store.registrations import registrations

UTC_NAME = "UTC"


def zone_of(db: Connection, catalog: Catalog, target: str | None) -> ZoneInfo:
    """A job's zone, as the leader goes by it; UTC for whatever is no job."""
    known = registrations(db)
    try:
        return zone(_tz(_job_named(catalog, known, target or ""), catalog, known))
    except UnknownJob:
        return zone(UTC_NAME)


def occurrences(db: Connection, catalog: Catalog, wanted: OccurrenceFilter, *, limit: int) -> Occurrences:
    """What became of scheduled instants. Raises UnknownJob."""
    known = registrations(db)
    if wanted.job is not None:
        wanted = msgspec.structs.replace(wanted, job=_job_named(catalog, known, wanted.job))

    def listed(account: OccurrenceRecord) -> OccurrenceRow:
        inside, exact = within(account, _schedules(account.job, catalog, known), wanted.since, wanted.until)
        return OccurrenceRow(account, _tz(account.job, catalog, known), inside, exact)

    totals: dict[tuple[str, OccurrenceState, Reason | None], tuple[int, bool]] = {
        (each.job, each.state, each.reason): (each.instants, True) for each in accounts.sums(db, wanted)
    }
    for part in map(listed, accounts.straddling(db, wanted)):
        key = (part.account.job, part.account.state, part.account.reason)
        instants, exact = totals.get(key, (0, True))
        totals[key] = (instants + part.instants, exact and part.exact)
    return Occurrences(
        tuple(each for each in map(listed, accounts.newest(db, wanted, limit=limit)) if each.instants),
        tuple(
            OccurrenceTotal(*key, *totals[key])
            for key in sorted(totals, key=lambda key: (key[0], key[1], key[2] or ""))
            if totals[key][0]
        ),
    )


def within(
    account: OccurrenceRecord, schedules: list[Cron], since: datetime | None, until: datetime | None
) -> tuple[int, bool]:
    """How many instants of a row lie in [since, until), and whether that is exact: of a stretch that lies partly in it
    only a schedule can tell, and without the one that the row was made by the share of time must do.
    """
    first = account.due_at if since is None else max(since, account.due_at)
    after = account.last_due_at + TICK if until is None else min(until, account.last_due_at + TICK)
    if first == account.due_at and after > account.last_due_at:
        return account.instants, True
    if first >= after:
        return 0, True
    for cron in schedules:
        if matches(account, cron):
            return cron.count(first - TICK, after - TICK), True
    share = (after - first) / max(account.last_due_at - account.due_at, timedelta(seconds=1))
    return min(account.instants, round(account.instants * share)), False


def why(db: Connection, catalog: Catalog, job: str, at: str, now: datetime) -> Explanation:
    """Why an instant ran or did not. Raises UnknownJob, BadTime, or BadZone for a job that is gone with its zone."""
    known = registrations(db)
    name = _job_named(catalog, known, job)
    cron, tz = _schedule_of(name, catalog, known)
    reading = read_time(parse_time(at, zone(tz), now), tz, cron)
    return Explanation(
        name,
        cron.text if cron is not None else None,
        tz,
        tuple(sentence for note in reading.notes for sentence in describe(note, tz, cron)),
        tuple(
            explain(moment, _evidence(db, catalog, name, cron, tz, known.get(name), moment, now))
            for moment in reading.moments
        ),
        cron.previous(reading.near - TICK) if cron is not None else None,
        cron.next(reading.near) if cron is not None else None,
    )


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
    account = accounts.covering(db, name, at)
    run = _run(db, account.run) if account else None
    superseded = account is not None and account.reason is Reason.SUPERSEDED
    return Evidence(
        job=name,
        cron=cron,
        tz=tz,
        now=now,
        loaded=_loaded(catalog, name),
        registration=registration,
        record=account,
        run=run,
        waits=_waits_for(db, catalog, run, now) if run else None,
        blocking=_run(db, account.blocked_by) if account else None,
        pauses=tuple(each for each in pauses.since(db, at) if each.skips(name, at)),
        stand_in=accounts.next_run(db, name, account.last_due_at) if account and superseded else None,
        previous=accounts.before(db, name, at) if account is None else None,
        lease=lease.read(db),
        host=accounts.host_of(db, name, account.token) if account else None,
    )


def _waits_for(db: Connection, catalog: Catalog, run: Run, now: datetime) -> str | None:
    """What a run waits for, when it does."""
    waiting = admissions(runs.unfinished(db), lambda name: _loaded(catalog, name), now)
    return next((wording.wait(wait) for each, wait in waiting if wait is not None and each.id == run.id), None)


def _run(db: Connection, number: int | None) -> Run | None:
    try:
        return None if number is None else runs.get(db, number)
    except UnknownRun:
        return None


def _loaded(catalog: Catalog, name: str) -> Job | None:
    return catalog.find(name) if name in catalog else None


def _job_named(catalog: Catalog, known: dict[str, Registration], name: str) -> str:
    """The name of a job that is loaded, or of one that is gone and has left rows. Raises UnknownJob."""
    try:
        return catalog.find(name).name
    except UnknownJob:
        if name in known:
            return name
        raise


def _schedules(name: str, catalog: Catalog, known: dict[str, Registration]) -> list[Cron]:
    """The schedules that a job's rows may have been made by: the leader's, then the one that is configured here."""
    found: list[Cron | None] = []
    if name in known:
        # This machine's timezone database may lack the zone that the leader knows.
        with suppress(OpsconsoleError):
            found.append(schedule(known[name].cron, known[name].tz))
    job = _loaded(catalog, name)
    if job is not None and catalog.cron(job) not in found:
        found.append(catalog.cron(job))
    return [cron for cron in found if cron is not None]


def _schedule_of(name: str, catalog: Catalog, known: dict[str, Registration]) -> tuple[Cron | None, str]:
    """A job's schedule and timezone as the leader follows them, or as configured here. Raises BadZone."""
    registration, job = known.get(name), _loaded(catalog, name)
    if registration is not None:
        try:
            return schedule(registration.cron, registration.tz), registration.tz
        except OpsconsoleError:
            if job is None:
                raise
    job = catalog.find(name)
    return catalog.cron(job), job.tz


def _tz(name: str, catalog: Catalog, known: dict[str, Registration]) -> str:
    try:
        return _schedule_of(name, catalog, known)[1]
    except OpsconsoleError:
        return UTC_NAME
