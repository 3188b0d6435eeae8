"""Explains why a scheduled time ran, ran late or did not run, with the rows that prove it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from opsconsole.authoring.job import CatchUp, Job
from opsconsole.authoring.occurrence import ON_TIME, OccurrenceRecord, OccurrenceState, Reason, Registration
from opsconsole.authoring.run import Run
from opsconsole.calendar.cron import TICK, Cron
from opsconsole.core.humanize import duration, local_time
from opsconsole.core.retention import DEFAULTS, RetentionSection
from opsconsole.rules.leadership import Lease
from opsconsole.rules.pauses import Pause
from opsconsole.rules.proofs import Proof, proof_of_lease, proof_of_registration, proof_of_run
from opsconsole.rules.retention import removed_occurrence, removed_run

SILENT = timedelta(seconds=15)
"""A leader that has not renewed its lease for longer than this has a problem, or has ended."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the store and the catalog have about a job around a moment.

    `cron` is the schedule that the leader follows, None for a manual job, and `tz` its timezone. `loaded` is the job
    as configured here, None if no pack defines it. `record` is the row that covers the moment, `run` its run,
    `blocking` the run that blocked it and `host` the host of the leader that wrote it, as far as they are kept, which
    is for the days of `retention`. `pauses` are those in force at the moment. `stand_in` is the next scheduled time
    with a run, `previous` the last row that ends earlier, and `waits` what the run waits for.
    """

    job: str
    cron: Cron | None
    tz: str
    now: datetime
    loaded: Job | None = None
    registration: Registration | None = None
    record: OccurrenceRecord | None = None
    run: Run | None = None
    waits: str | None = None
    blocking: Run | None = None
    pauses: tuple[Pause, ...] = ()
    stand_in: OccurrenceRecord | None = None
    previous: OccurrenceRecord | None = None
    lease: Lease | None = None
    host: str | None = None
    retention: RetentionSection = DEFAULTS


@dataclass(frozen=True, slots=True)
class Answer:
    """What happened at a moment: state and reason, an explanation in sentences and the rows that prove it, the most
    important first.
    """

    at: datetime
    is_scheduled: bool
    state: OccurrenceState | None
    reason: Reason | None
    explanation: tuple[str, ...]
    rows: tuple[Proof, ...]


Parts = Iterator[str | Proof]
"""Sentences, and the rows that prove them."""


# --- what happened at a moment ------------------------------------------------------------------------------------


def explain(at: datetime, evidence: Evidence) -> Answer:
    """What happened at a moment, and why."""
    is_scheduled = evidence.cron is not None and evidence.cron.previous(at) == at
    record = _record_of(at, is_scheduled, evidence)
    if record is not None and at > evidence.now and not record.has_run:
        record = None  # it will be planned again
    if record is not None:
        found = [*_recorded(record, evidence), *_recorded_by(at, record, evidence)]
    elif is_scheduled:
        found = list(_unrecorded(at, evidence))
    else:
        found = list(_not_scheduled(evidence))
    return Answer(
        at,
        is_scheduled or record is not None,
        record.state if record else None,
        record.reason if record else None,
        tuple(each for each in found if isinstance(each, str)),
        tuple(each for each in found if isinstance(each, Proof)),
    )


def matches(record: OccurrenceRecord, cron: Cron) -> bool:
    """Whether a row covers exactly the times that a schedule has in the row's range."""
    start, end = record.due_at - TICK, record.last_due_at
    ends = (cron.next(start), cron.previous(end))
    return ends == (record.due_at, end) and cron.count(start, end) == record.instants


def _record_of(at: datetime, is_scheduled: bool, evidence: Evidence) -> OccurrenceRecord | None:
    """The row about the moment itself. A range counts if the schedule that it was written by has the moment."""
    record, cron = evidence.record, evidence.cron
    if record is None or at in (record.due_at, record.last_due_at):
        return record
    return record if cron is not None and is_scheduled and matches(record, cron) else None


def _recorded(record: OccurrenceRecord, evidence: Evidence) -> Parts:
    tz = evidence.tz
    yield Proof("ops_occurrences", record.id, asdict(record))
    if record.due_at > evidence.now:
        yield "it has run already, before the clock was set back; it does not run again when its time comes"
    elif record.reason is Reason.CLOCK_SET_BACK:
        yield "its time came twice, as the clock was set back; it ran the first time only"
    if record.state is OccurrenceState.DUE:
        yield from _due(evidence)
    elif record.state in (OccurrenceState.RAN, OccurrenceState.LATE):
        yield from _ran(record, evidence)
    elif record.reason in (Reason.OVERLAP, Reason.CAPACITY):
        yield from _blocked(record, evidence)
    elif record.reason is Reason.PAUSED:
        yield "it was skipped because the job was paused"
        yield from _paused(evidence)
    elif record.reason is Reason.NOTHING_TO_DO:
        yield "it was skipped because there was nothing to do: the job had no items"
    else:
        yield _missed(record, evidence)
        if record.reason is Reason.SUPERSEDED and evidence.stand_in is not None:
            instead = evidence.stand_in
            yield f"run {instead.run}, scheduled for {local_time(instead.due_at, tz)}, ran instead"
            yield Proof("ops_occurrences", instead.id, asdict(instead))
    if record.instants > 1:
        since, until = local_time(record.due_at, tz), local_time(record.last_due_at, tz)
        yield f"the same applies to all {record.instants:,} scheduled times from {since} to {until}"


def _due(evidence: Evidence) -> Parts:
    run = evidence.run
    if run is None:
        yield "it is due, but its run has been deleted"
    elif run.stop is not None:
        yield f"it is due: run {run.id} is {run.state} and about to end, {run.stop.message}"
        yield proof_of_run(run)
    elif evidence.waits is not None:
        yield f"it is due: run {run.id} is {run.state} and waits for {evidence.waits}"
        yield proof_of_run(run)
    else:
        yield f"it is due: run {run.id} is {run.state} and starts as soon as a leader picks it up"
        yield proof_of_run(run)
        yield from _leadership(evidence)


def _ran(record: OccurrenceRecord, evidence: Evidence) -> Parts:
    started, run, tz = record.started_at, evidence.run, evidence.tz
    verb = "it ran late" if record.state is OccurrenceState.LATE else "it ran"
    delay = f" {duration(started - record.due_at)} after the scheduled time" if started else ""
    if started and record.shift:
        delay += f" (with a jitter of {duration(record.shift)})"
    if run is None:
        yield f"{verb},{delay}; its run {removed_run(evidence.retention, record, evidence.now)}"
        return
    ended = f"ended {local_time(run.ended_at, tz)} as {run.state}" if run.ended_at else f"is {run.state}"
    if run.started_at is None:
        yield f"its run {run.id} never started: it {ended}"
    else:
        yield f"{verb}: run {run.id} started{delay} and {ended}"
    yield proof_of_run(run)
    if evidence.waits is not None:
        yield f"it waits for {evidence.waits}"
    if record.state is OccurrenceState.LATE and record.recorded_at - record.due_at - record.shift <= ON_TIME:
        yield "it was planned on time, but its run had to wait before it could start"


def _blocked(record: OccurrenceRecord, evidence: Evidence) -> Parts:
    number, run = record.blocked_by, evidence.blocking
    if record.reason is Reason.CAPACITY:
        yield f"it was skipped: run {number} of the job was still waiting for a free slot"
    else:
        policy = f" (overlap: {evidence.loaded.overlap})" if evidence.loaded is not None else ""
        yield f"it was skipped: run {number} of the job had not ended{policy}"
    if run is None:
        yield f"run {number} {removed_run(evidence.retention, record, evidence.now)}"
        return
    tz = evidence.tz
    started = f"started {local_time(run.started_at, tz)}" if run.started_at else "has not started"
    ended = f"ended {local_time(run.ended_at, tz)} as {run.state}" if run.ended_at else f"is still {run.state}"
    yield f"run {number}, for {run.window.label}, {started} and {ended}"
    yield proof_of_run(run)


def _paused(evidence: Evidence) -> Parts:
    tz = evidence.tz
    for pause in evidence.pauses:
        until = f"until {local_time(pause.until, tz)}" if pause.until else "until it is resumed"
        note = f": {pause.note}" if pause.note else ""
        yield f"{pause.who} paused {pause.target} from {local_time(pause.since, tz)} {until}{note}"
        yield Proof("ops_pauses", pause.id, asdict(pause))


def _missed(record: OccurrenceRecord, evidence: Evidence) -> str:
    loaded = evidence.loaded
    catch_up = loaded.catch_up if loaded is not None and loaded.spec == record.spec else None
    policy = f" (catch-up: {_policy(catch_up)})" if catch_up is not None else ""
    missed = "it was missed: no leader planned it on time"
    match record.reason:
        case Reason.SUPERSEDED:
            return f"{missed}, and only the newest missed time runs{policy}"
        case Reason.CATCH_UP_LIMIT:
            return f"{missed}, and more times were missed than the catch-up policy allows{policy}"
        case Reason.CLOCK_JUMP:
            return "it was missed: the leader's clock was set forward past it"
        case Reason.JOB_REMOVED:
            return "it was missed: no pack defined the job any more when a leader reached it"
        case Reason.NOT_LEADING if catch_up is not None:
            return f"{missed}, and missed times do not run{policy}"
        case Reason.NOT_LEADING:
            return f"{missed}, and it was not caught up: the job had another schedule when a leader reached it"
        case _:
            return f"it was {record.state}"


def _policy(catch_up: CatchUp) -> str:
    if catch_up.newest == 0:
        return "none"
    within = f", none older than {duration(catch_up.within)}" if catch_up.within else ""
    return ("latest" if catch_up.newest == 1 else f"the newest {catch_up.newest}") + within


def _recorded_by(at: datetime, record: OccurrenceRecord, evidence: Evidence) -> Parts:
    """Which leader wrote the row, and how long after the scheduled time if that explains why it did not run on time."""
    joined = record.reason is Reason.NOTHING_TO_DO and record.instants > 1  # each one when it was due
    behind = record.recorded_at - (record.last_due_at if joined else at) - record.shift
    when = ("one by one, the last time at " if joined else "") + local_time(record.recorded_at, evidence.tz)
    if behind > ON_TIME:
        when += f", {duration(behind)} after the scheduled time"
    lease = evidence.lease
    if lease is not None and lease.token == record.token and lease.holder is not None:
        who = f"{lease.holder.who} on {lease.holder.host}"
        yield f"it was recorded {when}, by the leader with token {record.token}: {who}, who still leads"
        yield proof_of_lease(lease)
        return
    host = f" on {evidence.host}" if evidence.host else ""
    yield f"it was recorded {when}, by the leader with token {record.token}{host}"


def _unrecorded(at: datetime, evidence: Evidence) -> Parts:
    found, tz = evidence.registration, evidence.tz
    shift = evidence.loaded.shift if evidence.loaded is not None else timedelta(0)
    if found is None:
        yield "no leader has registered the job yet; its scheduled times count from its registration"
        if at + shift > evidence.now:
            yield from _due_later(at, shift, evidence)
        yield from _leadership(evidence)
    elif found.removed_at is not None and at > found.removed_at:
        yield f"no pack has defined the job since {local_time(found.removed_at, tz)}; later times are not scheduled"
        if evidence.loaded is not None:
            yield "it is loaded here again; its scheduled times count from the moment a leader registers it"
        yield proof_of_registration(found)
    elif at + shift > evidence.now:
        yield from _due_later(at, shift, evidence)
        if found.planned_until > evidence.now or evidence.record is not None:
            yield "it was planned before, by a clock that was ahead, and did not run; it is planned again"
            yield proof_of_registration(found)
        if evidence.pauses:
            yield "it will be skipped unless the job is resumed before then"
            yield from _paused(evidence)
    elif at <= found.registered_at:
        yield f"the job was registered at {local_time(found.registered_at, tz)}; earlier times do not count"
        yield proof_of_registration(found)
    elif at > found.planned_until:
        yield f"it is not planned yet: the schedule is planned up to {local_time(found.planned_until, tz)}"
        yield proof_of_registration(found)
        yield from _leadership(evidence)
    elif (removed := removed_occurrence(evidence.retention, at, evidence.now)) is not None:
        yield removed
        yield proof_of_registration(found)
    else:
        yield "it has no row: the job had another schedule or was removed at that time, or the row was deleted"
        yield proof_of_registration(found)
        if (previous := evidence.previous) is not None:
            yield f"the last row before it is number {previous.id}, up to {local_time(previous.last_due_at, tz)}"
            yield Proof("ops_occurrences", previous.id, asdict(previous))


def _due_later(at: datetime, shift: timedelta, evidence: Evidence) -> Parts:
    now = evidence.now
    if at > now:
        yield f"it is due in {duration(at - now)}"
    if shift and evidence.loaded is not None:
        starts = f"its run starts {duration(shift)} later, in {duration(at + shift - now)}"
        yield f"{starts}: the job has a jitter of up to {duration(evidence.loaded.jitter)}"


def _not_scheduled(evidence: Evidence) -> Parts:
    cron, tz = evidence.cron, evidence.tz
    if cron is None:
        yield "the job has no schedule; it runs only when an operator starts it"
    else:
        yield f"it is not a scheduled time of {cron.text!r} ({cron.tz})"
    record = evidence.record
    if record is not None and (cron is None or not matches(record, cron)):
        since, until = local_time(record.due_at, tz), local_time(record.last_due_at, tz)
        times = f"{record.instants:,} scheduled times from {since} to {until} were {record.state} ({record.reason})"
        yield f"{times} by the job's schedule then; it is not recorded whether this was one of them"
        yield Proof("ops_occurrences", record.id, asdict(record))
    found, loaded = evidence.registration, evidence.loaded
    if found is not None and loaded is not None and (found.cron, found.tz) != (loaded.cron, loaded.tz):
        here = f"{loaded.cron!r} ({loaded.tz})" if loaded.cron is not None else "manual"
        yield f"the schedule configured here is {here}; the old one applies until a leader registers it"
        yield proof_of_registration(found)


def _leadership(evidence: Evidence) -> Parts:
    lease, tz = evidence.lease, evidence.tz
    start = "start a console or `opsconsole headless` to run it"
    if lease is None:
        yield f"no process has ever led; {start}"
        return
    if lease.holder is None:
        since = f" since {local_time(lease.renewed_at, tz)}" if lease.renewed_at else ""
        yield f"no process has led{since} (the last token was {lease.token}); {start}"
    else:
        who = f"{lease.holder.who} on {lease.holder.host}, pid {lease.holder.pid}, token {lease.token}"
        if lease.renewed_at is not None and abs(evidence.now - lease.renewed_at) > SILENT:
            yield f"{who}, leads, but last renewed its lease at {local_time(lease.renewed_at, tz)}"
        else:
            since = f" since {local_time(lease.since, tz)}" if lease.since else ""
            yield f"{who}, leads{since} and will handle it within seconds"
    yield proof_of_lease(lease)
