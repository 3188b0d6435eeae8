"""Commands about runs over HTTP: trigger, retry, cancel."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from opsconsole.authoring.run import RunFilter, RunState, Selection
from opsconsole.http.fields import check_order, past_time
from opsconsole.http.operations import (
    Answer,
    AnyOperation,
    Call,
    DoneAnswer,
    Name,
    Note,
    Number,
    Operation,
    PastTime,
    Sent,
    done,
)
from opsconsole.http.responses import HttpError
from opsconsole.rules.actions import Verb
from opsconsole.service.documents import Document

Day = Annotated[str, Meta(max_length=40, description="A day of the window's data: 2026-01-19")]


Params = Annotated[dict[str, Any], Meta(description="Parameters that the job declares; /api/jobs lists them")]


Numbers = Annotated[tuple[Number, ...], Meta(min_length=1, max_length=1000)]


class QueuedRun(Document, frozen=True, kw_only=True):
    """A run that was created."""

    id: int
    job: str
    window: str
    state: RunState


class TriggerRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which run starts: for the current window, or for the one of a day; over all items, or only the stale ones."""

    job: Name
    date: Day | None = None
    stale_only: bool = False
    params: Params = field(default_factory=dict)


class RunQueuedAnswer(Answer, frozen=True, kw_only=True):
    """The run that was created."""

    run: QueuedRun


class RetryRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which run is repeated, over the items that failed or over all."""

    run: Number
    all_items: bool = field(default=False, name="all")


class RetryMatchingRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which runs are repeated: those that meet every condition and have no retry yet."""

    job: Name | None = None
    state: tuple[RunState, ...] = ()
    since: PastTime | None = None
    until: PastTime | None = None
    all_items: bool = field(default=False, name="all")


class RunsQueuedAnswer(Answer, frozen=True, kw_only=True):
    """The runs that were created."""

    command: int
    message: str
    runs: tuple[int, ...]


class CancelRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which run ends: when its batches in flight are done, or at once."""

    run: Number
    force: bool = False
    note: Note = ""


class CancelRunsRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which runs end: exactly these, as /api/runs lists them. Those that have ended by then are left out."""

    runs: Numbers
    force: bool = False
    note: Note = ""


class RunsEndedAnswer(Answer, frozen=True, kw_only=True):
    """The runs that end."""

    command: int
    message: str
    runs: tuple[int, ...]


def trigger(call: Call, request: TriggerRequest) -> Sent:
    """Starts a run of a job."""
    only = Selection.STALE if request.stale_only else Selection.ALL
    return queued(call, call.commands.trigger(request.job, request.date, only=only, params=request.params))


def retry(call: Call, request: RetryRequest) -> Sent:
    """Repeats a run for the items that failed, or for all."""
    return queued(call, call.commands.retry(request.run, everything=request.all_items))


def retry_matching(call: Call, request: RetryMatchingRequest) -> Sent:
    """Repeats every run that matches and has no retry yet."""
    if not (request.job or request.state or request.since or request.until):
        raise HttpError(400, "missing", "give at least one of job, state, since and until", "job")
    zone, now = call.zone(request.job), call.service.now()
    since, until = past_time("since", request.since, zone, now), past_time("until", request.until, zone, now)
    check_order(since, until)
    matching = RunFilter(request.job, request.state, since, until)
    command = call.commands.retry_matching(matching, everything=request.all_items)
    return Sent(
        command, lambda outcome: RunsQueuedAnswer(command=command, message=outcome.done or "", runs=outcome.runs)
    )


def cancel(call: Call, request: CancelRequest) -> Sent:
    """Ends a run early. Items that are done stay done."""
    return done(call.commands.cancel(request.run, force=request.force, note=request.note))


def cancel_runs(call: Call, request: CancelRunsRequest) -> Sent:
    """Ends several runs early."""
    command = call.commands.cancel_runs(request.runs, force=request.force, note=request.note)
    return Sent(
        command, lambda outcome: RunsEndedAnswer(command=command, message=outcome.done or "", runs=outcome.runs)
    )


def queued(call: Call, command: int) -> Sent:
    """A command that is answered with the run that it created."""
    return Sent(command, lambda outcome: RunQueuedAnswer(run=_queued_run(call, outcome.run or 0)))


def _queued_run(call: Call, number: int) -> QueuedRun:
    run = call.service.queries.run(number)
    return QueuedRun(id=run.id, job=run.job, window=run.window.label, state=run.state)


TRIGGER: Operation[TriggerRequest] = Operation(
    method="POST",
    path="/api/cron/run/{job}",
    summary="Start a run of a job",
    request=TriggerRequest,
    answer=RunQueuedAnswer,
    handler=trigger,
    status=202,
    verb=Verb.TRIGGER,
    check=lambda call, request: call.service.catalog.find(request.job),
)
OPERATIONS: tuple[AnyOperation, ...] = (
    TRIGGER,
    Operation(
        method="POST",
        path="/api/runs/{run}/retry",
        summary="Retry a run",
        request=RetryRequest,
        answer=RunQueuedAnswer,
        handler=retry,
        status=202,
        verb=Verb.RETRY,
    ),
    Operation(
        method="POST",
        path="/api/runs/retry",
        summary="Retry every run that matches",
        request=RetryMatchingRequest,
        answer=RunsQueuedAnswer,
        handler=retry_matching,
        status=202,
        verb=Verb.RETRY,
    ),
    Operation(
        method="POST",
        path="/api/runs/{run}/cancel",
        summary="Cancel a run",
        request=CancelRequest,
        answer=DoneAnswer,
        handler=cancel,
        verb=Verb.CANCEL,
    ),
    Operation(
        method="POST",
        path="/api/runs/cancel",
        summary="Cancel several runs",
        request=CancelRunsRequest,
        answer=RunsEndedAnswer,
        handler=cancel_runs,
        verb=Verb.CANCEL,
    ),
)
