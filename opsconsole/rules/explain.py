"""Says why a scheduled instant ran, ran late or did not run, and names the rows that prove it: pure functions of what
the store and the catalog know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from opsconsole.authoring.job import CatchUp, Job
from opsconsole.authoring.occurrence import ON_TIME, OccurrenceRecord, OccurrenceState, Reason, Registration
from opsconsole.authoring.run import Run
from opsconsole.calendar.cron import TICK, Cron
from opsconsole.core.humanize import duration, local_time
from opsconsole.rules.leadership import Lease
from opsconsole.rules.pauses import Pause

SILENT = timedelta(seconds=15)
"""A leader whose lease is older than this is in trouble, or gone."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A row that shows it: its table, its number (of a job its name), and what it holds."""

    table: str
    key: int | str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a job around a moment. `cron` is the schedule that leaders go by; `loaded` the job as it is
    configured here, None when no pack has it; `account` the row that the moment lies in, with its `run`, the run
    `blocking` it and the `host` of the leader that wrote it, as far as they are kept; `pauses` those that hold at the
    moment; `stood_in` the next instant with a run; `before` the last row that ends earlier; `waits` what the run waits
    for.
    """

    job: str
    cron: Cron
    now: datetime
    loaded: Job | None = None
    registration: Registration | None = None
    account: OccurrenceRecord | None = None
    run: Run | None = None
    waits: str | None = None
    blocking: Run | None = None
    pauses: tuple[Pause, ...] = ()
    stood_in: OccurrenceRecord | None = None
    before: OccurrenceRecord | None = None
    lease: Lease | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a moment, in sentences, with the rows that prove it, the most telling first."""

    at: datetime
    is_instant: bool
    state: OccurrenceState | None
    reason: Reason | None
    says: tuple[str, ...]
    rows: tuple[Proof, ...]


Told = Iterator[str | Proof]


# --- what became of a moment --------------------------------------------------------------------------------------


def explain(at: datetime, known: Evidence) -> Answer:
    """What became of a moment, and why."""
    is_instant = known.cron.previous(at) == at
    account = _of_the_moment(at, is_instant, known)
    if account is not None:
        found = [*_accounted(account, known), *_by_whom(at, account, known)]
    elif is_instant:
        found = list(_unaccounted(at, known))
    else:
        found = list(_no_instant(known))
    return Answer(
        at,
        is_instant or account is not None,
        account.state if account else None,
        account.reason if account else None,
        tuple(each for each in found if isinstance(each, str)),
        tuple(each for each in found if isinstance(each, Proof)),
    )


def fits(account: OccurrenceRecord, cron: Cron) -> bool:
    """Whether a row is about exactly the instants that a schedule has in its stretch."""
    start, end = account.due_at - TICK, account.last_due_at
    ends = (cron.next(start), cron.previous(end))
    return ends == (account.due_at, end) and cron.count(start, end) == account.instants


def _of_the_moment(at: datetime, is_instant: bool, known: Evidence) -> OccurrenceRecord | None:
    """The row that is about the moment itself; one of a stretch is, when the schedule it was made by names it."""
    account = known.account
    if account is None or at in (account.due_at, account.last_due_at):
        return account
    return account if is_instant and fits(account, known.cron) else None


def _accounted(account: OccurrenceRecord, known: Evidence) -> Told:
    yield Proof("ops_occurrences", account.id, asdict(account))
    if account.state is OccurrenceState.DUE:
        yield from _due(known)
    elif account.state in (OccurrenceState.RAN, OccurrenceState.LATE):
        yield from _ran(account, known)
    elif account.reason in (Reason.OVERLAP, Reason.CAPACITY):
        yield from _blocked(account, known)
    elif account.reason is Reason.PAUSED:
        yield "it was skipped: the job was paused"
        yield from _paused(known)
    else:
        yield _missed(account, known)
        if account.reason is Reason.SUPERSEDED and known.stood_in is not None:
            instead = known.stood_in
            yield f"run {instead.run} stood in for it, as that of {local_time(instead.due_at, known.cron.tz)}"
            yield Proof("ops_occurrences", instead.id, asdict(instead))
    if account.instants > 1:
        since, until = local_time(account.due_at, known.cron.tz), local_time(account.last_due_at, known.cron.tz)
        yield f"the same holds for all {account.instants:,} instants from {since} to {until}"


def _due(known: Evidence) -> Told:
    run = known.run
    if run is None:
        yield "it is due, and its run is not kept any more"
    elif run.stop is not None:
        yield f"it is due: run {run.id} is {run.state} and about to end, {run.stop.why}"
        yield _of_run(run)
    elif known.waits is not None:
        yield f"it is due: run {run.id} is {run.state} and waits for {known.waits}"
        yield _of_run(run)
    else:
        yield f"it is due: run {run.id} is {run.state} and begins as soon as a leader takes it up"
        yield _of_run(run)
        yield from _leading(known)


def _ran(account: OccurrenceRecord, known: Evidence) -> Told:
    started, run, tz = account.started_at, known.run, known.cron.tz
    word = "it ran late" if account.state is OccurrenceState.LATE else "it ran"
    after = f" {duration(started - account.due_at)} after it" if started else ""
    if run is None:
        yield f"{word},{after}; its run is not kept any more"
        return
    ended = f"ended {local_time(run.ended_at, tz)} as {run.state}" if run.ended_at else f"is {run.state}"
    if run.started_at is None:
        yield f"its run {run.id} never began: it {ended}"
    else:
        yield f"{word}: run {run.id} began{after} and {ended}"
    yield _of_run(run)
    if account.state is OccurrenceState.LATE and account.recorded_at - account.due_at <= ON_TIME:
        yield "it was planned in time, and its run had to wait before it could begin"


def _blocked(account: OccurrenceRecord, known: Evidence) -> Told:
    number, run = account.blocked_by, known.blocking
    if account.reason is Reason.CAPACITY:
        yield f"it was skipped: run {number} of the job still waited for a free place, as many runs went on as may"
    else:
        policy = f" (overlap: {known.loaded.overlap})" if known.loaded is not None else ""
        yield f"it was skipped: run {number} of the job had not ended{policy}"
    if run is None:
        yield f"run {number} is not kept any more"
        return
    tz = known.cron.tz
    began = f"began {local_time(run.started_at, tz)}" if run.started_at else "has not begun"
    ended = f"ended {local_time(run.ended_at, tz)} as {run.state}" if run.ended_at else f"is still {run.state}"
    yield f"run {number}, for {run.window.label}, {began} and {ended}"
    yield _of_run(run)


def _paused(known: Evidence) -> Told:
    tz = known.cron.tz
    for pause in known.pauses:
        until = f"until {local_time(pause.until, tz)}" if pause.until else "until it is resumed"
        note = f": {pause.note}" if pause.note else ""
        yield f"{pause.who} paused {pause.target} from {local_time(pause.since, tz)} {until}{note}"
        yield Proof("ops_pauses", pause.id, asdict(pause))


def _missed(account: OccurrenceRecord, known: Evidence) -> str:
    catch_up = known.loaded.catch_up if known.loaded is not None and known.loaded.spec == account.spec else None
    policy = f" (catch-up: {_in_words(catch_up)})" if catch_up is not None else ""
    nobody = "it was missed: no leader planned it in time"
    match account.reason:
        case Reason.SUPERSEDED:
            return f"{nobody}, and of missed instants only the newest is run{policy}"
        case Reason.CATCH_UP_LIMIT:
            return f"{nobody}, and more were missed than are caught up with{policy}"
        case Reason.CLOCK_JUMP:
            return "it was missed: the leader's clock was set forward over it"
        case Reason.JOB_REMOVED:
            return "it was missed: no pack had the job any more when a leader came to it"
        case Reason.NOT_LEADING if catch_up is not None:
            return f"{nobody}, and missed instants are not run{policy}"
        case Reason.NOT_LEADING:
            return f"{nobody}, and it was not caught up with: the job was scheduled otherwise when one came to it"
        case _:
            return f"it was {account.state}"


def _in_words(catch_up: CatchUp) -> str:
    if catch_up.newest == 0:
        return "none"
    within = f", none older than {duration(catch_up.within)}" if catch_up.within else ""
    return ("latest" if catch_up.newest == 1 else f"the newest {catch_up.newest}") + within


def _by_whom(at: datetime, account: OccurrenceRecord, known: Evidence) -> Told:
    """Who wrote the row; how long after the instant, when that tells why it did not run in time."""
    behind = account.recorded_at - at
    when = local_time(account.recorded_at, known.cron.tz)
    if behind > ON_TIME:
        when += f", {duration(behind)} after it"
    lease = known.lease
    if lease is not None and lease.token == account.token and lease.holder is not None:
        who = f"{lease.holder.who} on {lease.holder.host}"
        yield f"it was recorded {when}, by the leader with token {account.token}: {who}, who still leads"
        yield _of_lease(lease)
        return
    host = f" on {known.host}" if known.host else ""
    yield f"it was recorded {when}, by the leader with token {account.token}{host}"


def _unaccounted(at: datetime, known: Evidence) -> Told:
    found, tz = known.registration, known.cron.tz
    if found is None:
        yield "no leader has registered the job yet; its instants count from the moment one does"
        if at > known.now:
            yield f"it would be {duration(at - known.now)} from now"
        yield from _leading(known)
    elif found.removed_at is not None and at > found.removed_at:
        yield f"no pack has had the job since {local_time(found.removed_at, tz)}; it has no instants after that"
        if known.loaded is not None:
            yield "it is loaded here again; its instants count from the moment a leader registers it"
        yield _of_registration(found)
    elif at > known.now:
        yield f"it is still to come, in {duration(at - known.now)}"
        if known.pauses:
            yield "it will be skipped if nobody resumes the job by then"
            yield from _paused(known)
    elif at <= found.registered_at:
        yield f"the job was registered only {local_time(found.registered_at, tz)}; instants before that do not count"
        yield _of_registration(found)
    elif at > found.planned_until:
        yield f"it is not planned yet: the schedule is worked out up to {local_time(found.planned_until, tz)}"
        yield _of_registration(found)
        yield from _leading(known)
    else:
        yield "there is no row for it: the job had another schedule, or was gone, at that time, or the row was pruned"
        yield _of_registration(found)
        if known.before is not None:
            yield f"the last row before it is number {known.before.id}, up to {local_time(known.before.last_due_at, tz)}"
            yield Proof("ops_occurrences", known.before.id, asdict(known.before))


def _no_instant(known: Evidence) -> Told:
    yield f"it is no instant of the schedule {known.cron.text!r} ({known.cron.tz})"
    account = known.account
    if account is not None and not fits(account, known.cron):
        since, until = local_time(account.due_at, known.cron.tz), local_time(account.last_due_at, known.cron.tz)
        instants = f"{account.instants:,} instants from {since} to {until} were {account.state} ({account.reason})"
        yield f"by the schedule that the job had then, {instants}; whether this was one of them is not kept"
        yield Proof("ops_occurrences", account.id, asdict(account))
    found, loaded = known.registration, known.loaded
    if found is not None and loaded is not None and (found.cron, found.tz) != (loaded.cron, loaded.tz):
        yield (
            f"here the job is configured as {loaded.cron!r} ({loaded.tz}); no leader has taken that up, and the old "
            "schedule holds until one does"
        )
        yield _of_registration(found)


def _leading(known: Evidence) -> Told:
    lease, tz = known.lease, known.cron.tz
    if lease is None:
        yield "nobody has ever led; it is dealt with when a console or `opsconsole headless` runs"
        return
    if lease.holder is None:
        gone = f"nobody leads since {local_time(lease.renewed_at, tz)}" if lease.renewed_at else "nobody leads"
        then = "it is dealt with when a console or `opsconsole headless` runs"
        yield f"{gone} (the last token was {lease.token}); {then}"
    else:
        who = f"{lease.holder.who} on {lease.holder.host}, pid {lease.holder.pid}, token {lease.token}"
        if lease.renewed_at is not None and known.now - lease.renewed_at > SILENT:
            yield f"{who}, leads, but has not been heard of since {local_time(lease.renewed_at, tz)}"
        else:
            since = f" since {local_time(lease.since, tz)}" if lease.since else ""
            yield f"{who}, leads{since} and deals with it within seconds"
    yield _of_lease(lease)


# --- rows --------------------------------------------------------------------------------------------------------


def _of_run(run: Run) -> Proof:
    content = {
        "job": run.job,
        "window": run.window.label,
        "trigger": run.trigger,
        "state": run.state,
        "attempt": run.attempt,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "error": run.error,
    }
    return Proof("ops_runs", run.id, content)


def _of_registration(found: Registration) -> Proof:
    return Proof("ops_jobs", found.job, asdict(found))


def _of_lease(lease: Lease) -> Proof:
    holder = lease.holder
    content = {
        "token": lease.token,
        "who": holder.who if holder else None,
        "host": holder.host if holder else None,
        "pid": holder.pid if holder else None,
        "since": lease.since,
        "renewed_at": lease.renewed_at,
    }
    return Proof("ops_lease", 1, content)
