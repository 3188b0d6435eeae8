"""Jobs over HTTP: lists, details, explanations, scheduled times, and pauses."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from msgspec import Meta, Struct

from opsconsole.authoring.extensions import Answer
from opsconsole.authoring.occurrence import OccurrenceFilter, OccurrenceState
from opsconsole.core.times import BadTime, utc
from opsconsole.http.fields import check_order, past_time
from opsconsole.http.operations import (
    AnyOperation,
    Call,
    Lasting,
    Limit,
    Name,
    NoFields,
    Note,
    PastTime,
    Sent,
    done,
    get,
    post,
)
from opsconsole.http.responses import HttpError
from opsconsole.rules.actions import Verb
from opsconsole.service.documents import Document, Time
from opsconsole.service.job_documents import JobDocument, job_document
from opsconsole.service.occurrence_documents import (
    OccurrenceDocument,
    TotalDocument,
    WhyDocument,
    occurrence_document,
    total_document,
    why_document,
)
from opsconsole.service.run_documents import RunSummary, run_summary

DEFAULT_PAUSE = timedelta(hours=12)
"""A forgotten pause must end."""
NEWEST_RUNS = 20

Target = Annotated[str, Meta(min_length=1, max_length=200, description="A job (name or alias), a pack, or all")]
When = Annotated[str, Meta(min_length=1, max_length=100, description="A time, in the job's zone if it has no zone")]


class JobsAnswer(Answer, frozen=True, kw_only=True):
    """Every job."""

    jobs: tuple[JobDocument, ...]


class JobDetails(Document, frozen=True, kw_only=True):
    """A job in detail: `scheduled` are its next scheduled times, `runs` its newest ended runs, and `open` those that
    have not ended.
    """

    job: JobDocument
    description: str
    scheduled: tuple[Time | None, ...]
    open: tuple[RunSummary, ...]
    runs: tuple[RunSummary, ...]
    usual_seconds: float | None
    after: tuple[str, ...]
    followers: tuple[str, ...]
    excludes: tuple[str, ...]


class JobAnswer(Answer, frozen=True, kw_only=True):
    """A job in detail."""

    details: JobDetails


class JobRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which job."""

    job: Name


class OccurrencesRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which scheduled times."""

    job: Name | None = None
    state: tuple[OccurrenceState, ...] = ()
    since: PastTime | None = None
    until: PastTime | None = None
    limit: Limit = 50


class OccurrencesAnswer(Answer, frozen=True, kw_only=True):
    """Scheduled times and their outcomes, newest first; `count` and `totals` are of all that match."""

    since: Time | None
    until: Time | None
    count: int
    totals: tuple[TotalDocument, ...]
    occurrences: tuple[OccurrenceDocument, ...]


class WhyRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which scheduled time: the newest one, the one at a time, or the one that covers a window."""

    job: Name
    at: When | None = None
    window: Annotated[str, Meta(min_length=1, max_length=40, description="2026-01-19, or 2026-01")] | None = None


class WhyAnswer(Answer, frozen=True, kw_only=True):
    """Why a job ran or did not run."""

    why: WhyDocument


class PauseRequest(Lasting, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long a job, a pack or `all` is paused: 12 hours by default."""

    job: Target
    until_resumed: bool = False


class ScheduleRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The schedule that a job gets: a cron expression, in its zone or in another one."""

    job: Name
    cron: Annotated[str, Meta(max_length=100, description="Five fields, or @daily and its like")]
    tz: Annotated[str, Meta(max_length=100, description="An IANA name such as Asia/Kolkata")] | None = None
    note: Note = ""


class ResetScheduleRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which job returns to the schedule in code and configuration."""

    job: Name
    note: Note = ""


class ResumeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which job, pack or `all` continues."""

    job: Target
    note: Note = ""


def list_jobs(call: Call, _request: NoFields) -> JobsAnswer:
    """Every job with its next scheduled time, its newest run and its pauses."""
    cards, pauses = call.service.queries.jobs_and_pauses()
    return JobsAnswer(jobs=tuple(job_document(card, pauses) for card in cards))


def show_job(call: Call, request: JobRequest) -> JobAnswer:
    """A job in detail."""
    queries = call.service.queries
    page = queries.job_page(request.job)
    card = next(card for card in queries.jobs() if card.name == page.job.name)
    return JobAnswer(
        details=JobDetails(
            job=job_document(card, queries.pauses()),
            description=page.job.description,
            scheduled=tuple(utc(at) for at in page.scheduled),
            open=tuple(run_summary(progress.run) for progress in page.open),
            runs=tuple(run_summary(run) for run in page.newest[:NEWEST_RUNS]),
            usual_seconds=page.usual.middle if page.usual is not None else None,
            after=page.job.after,
            followers=page.followers,
            excludes=page.excludes,
        )
    )


def list_occurrences(call: Call, request: OccurrencesRequest) -> OccurrencesAnswer:
    """Scheduled times and their outcomes, with totals."""
    queries, now = call.service.queries, call.service.now()
    zone = call.zone(request.job)
    since, end = past_time("since", request.since, zone, now), past_time("until", request.until, zone, now)
    check_order(since, end)
    found = queries.occurrences(OccurrenceFilter(request.job, request.state, since, end), limit=request.limit)
    return OccurrencesAnswer(
        since=utc(since),
        until=utc(end),
        count=sum(total.instants for total in found.totals),
        totals=tuple(total_document(total) for total in found.totals),
        occurrences=tuple(occurrence_document(row) for row in found.rows),
    )


def why(call: Call, request: WhyRequest) -> WhyAnswer:
    """Why a job ran or did not run at a scheduled time, with the rows that prove it."""
    queries = call.service.queries
    if request.window is None:
        try:
            return WhyAnswer(why=why_document(queries.why(request.job, request.at)))
        except BadTime as error:
            raise HttpError(400, "bad_time", error.sentence, "at") from None
    if request.at is not None:
        raise HttpError(400, "bad_query", "give at or window, not both", "window")
    return WhyAnswer(why=why_document(queries.why_window(request.job, request.window)))


def pause(call: Call, request: PauseRequest) -> Sent:
    """Skips the scheduled times of a job, a pack or `all` for a while. Runs that are started by hand still start."""
    if request.until_resumed and (request.for_ is not None or request.until is not None):
        raise HttpError(400, "bad_body", "give only one of for, until and until_resumed", "until_resumed")
    now = call.service.now()
    end = request.end(call.service.queries.zone(request.job), now)
    if end is None and not request.until_resumed:
        end = now + DEFAULT_PAUSE
    return done(call.commands.pause(request.job, until=end, note=request.note))


def resume(call: Call, request: ResumeRequest) -> Sent:
    """Ends a pause."""
    return done(call.commands.resume(request.job, note=request.note))


def schedule(call: Call, request: ScheduleRequest) -> Sent:
    """Changes the schedule of a job: it applies from now on, and nothing runs at once."""
    return done(call.commands.schedule(request.job, request.cron, request.tz, note=request.note))


def reset_schedule(call: Call, request: ResetScheduleRequest) -> Sent:
    """Returns a job to the schedule in code and configuration."""
    return done(call.commands.reset_schedule(request.job, note=request.note))


OPERATIONS: tuple[AnyOperation, ...] = (
    get("/api/jobs", "List jobs", NoFields, JobsAnswer, list_jobs),
    get("/api/jobs/{job}", "Show a job", JobRequest, JobAnswer, show_job),
    get(
        "/api/occurrences",
        "List scheduled times and their outcomes",
        OccurrencesRequest,
        OccurrencesAnswer,
        list_occurrences,
    ),
    get("/api/why", "Explain why a job ran or did not run", WhyRequest, WhyAnswer, why),
    post(Verb.PAUSE, "/api/jobs/{job}/pause", "Pause a job, a pack or all jobs", PauseRequest, pause),
    post(Verb.RESUME, "/api/jobs/{job}/resume", "End a pause", ResumeRequest, resume),
    post(Verb.SCHEDULE, "/api/jobs/{job}/schedule", "Change the schedule of a job", ScheduleRequest, schedule),
    post(
        Verb.RESET_SCHEDULE,
        "/api/jobs/{job}/schedule/reset",
        "Reset the schedule of a job",
        ResetScheduleRequest,
        reset_schedule,
    ),
)
