"""Commands about runs over HTTP: trigger, retry, cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from opsconsole.authoring.extensions import Answer
from opsconsole.authoring.run import Run, RunState, Selection
from opsconsole.http.operations import AnyOperation, Call, Name, Note, Number, Operation, Sent, done, post
from opsconsole.http.responses import HttpError
from opsconsole.http.run_lists import RunsFilter
from opsconsole.rules.actions import MAX_RUNS, Verb
from opsconsole.rules.run_search import RunSearch
from opsconsole.service.documents import Document
from opsconsole.service.wording import number_of_runs

Day = Annotated[str, Meta(max_length=40, description="A day of the window's data: 2026-01-19")]
Params = Annotated[dict[str, Any], Meta(description="Parameters that the job declares; /api/jobs lists them")]
Numbers = Annotated[tuple[Number, ...], Meta(min_length=1, max_length=1000)]
Counted = Annotated[
    int, Meta(ge=0, le=MAX_RUNS, description="The number of runs that a dry run has found; 409 when more match now")
]


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


class NoCondition(HttpError):
    """A request about several runs that would be about every run: its filter is missing, blank, or `all`."""

    def __init__(self) -> None:
        fields = ", ".join(RunsFilter.__struct_fields__)
        super().__init__(400, "missing", f"give runs, or at least one condition with {fields}", "q")


class SelectedRuns(RunsFilter, frozen=True, forbid_unknown_fields=True):
    """Which runs: exactly `runs`, or those that match the other fields, as in /api/runs. These are only counted, unless
    `dry_run` is false.
    """

    runs: Numbers | None = None
    dry_run: bool | None = None
    counted: Counted | None = None

    @property
    def only_counts(self) -> bool:
        """Whether nothing is requested."""
        return self.runs is None if self.dry_run is None else self.dry_run

    def check(self) -> None:
        """Raises HttpError unless the fields select either some runs or those that match something."""
        if self.runs is None and not self.conditions:
            raise NoCondition
        if self.runs is not None and self.conditions:
            raise HttpError(400, "bad_body", "give runs or a filter, not both", "runs")

    def condition(self, call: Call) -> RunSearch:
        """The filter. Raises NoCondition for one that limits nothing, and what `search` raises."""
        search = self.search(call)
        if search == RunSearch():
            raise NoCondition
        return search


SelectedT = TypeVar("SelectedT", bound=SelectedRuns)


class RetryRunsRequest(SelectedRuns, frozen=True, forbid_unknown_fields=True):
    """Which runs are repeated: exactly `runs`, or those that match the other fields, as in /api/runs, ended without
    success, and have no retry yet. Those that match are only counted, unless `dry_run` is false.
    """

    all_items: bool = field(default=False, name="all")


class CancelRunsRequest(SelectedRuns, frozen=True, forbid_unknown_fields=True):
    """Which runs end: exactly `runs`, or those that match the other fields, as in /api/runs, and have not ended. Those
    that match are only counted, unless `dry_run` is false.
    """

    force: bool = False
    note: Note = ""


class SelectedRunsAnswer(Answer, frozen=True, kw_only=True):
    """The runs that were created or that end; those that were counted, the `command` being null, after a dry run."""

    command: int | None
    message: str
    runs: tuple[int, ...]


class CancelRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which run ends: when its batches in flight are done, or at once."""

    run: Number
    force: bool = False
    note: Note = ""


def trigger(call: Call, request: TriggerRequest) -> Sent:
    """Starts a run of a job."""
    only = Selection.STALE if request.stale_only else Selection.ALL
    return queued(call, call.commands.trigger(request.job, request.date, only=only, params=request.params))


def retry(call: Call, request: RetryRequest) -> Sent:
    """Repeats a run for the items that failed, or for all."""
    return queued(call, call.commands.retry(request.run, everything=request.all_items))


def retry_runs(call: Call, request: RetryRunsRequest) -> Sent:
    """Repeats several runs: these, or every run that matches a filter and has no retry yet."""
    command = call.commands.retry_runs(
        request.runs or (), everything=request.all_items, matching=request.conditions, counted=request.counted
    )
    return _several(command, request)


def find_retries(call: Call, request: RetryRunsRequest) -> SelectedRunsAnswer | RetryRunsRequest:
    """The answer to a dry run; otherwise the request with the runs that match its filter."""
    history = call.service.history
    possible = partial(history.still_retryable, everything=request.all_items)
    return _find(call, request, "would retry", matching=history.retryable, possible=possible)


def cancel(call: Call, request: CancelRequest) -> Sent:
    """Ends a run early. Items that are done stay done."""
    return done(call.commands.cancel(request.run, force=request.force, note=request.note))


def cancel_runs(call: Call, request: CancelRunsRequest) -> Sent:
    """Ends several runs early: these, or every run that matches a filter and has not ended."""
    command = call.commands.cancel_runs(
        request.runs or (),
        force=request.force,
        note=request.note,
        matching=request.conditions,
        counted=request.counted,
    )
    return _several(command, request)


def find_cancelled(call: Call, request: CancelRunsRequest) -> SelectedRunsAnswer | CancelRunsRequest:
    """The answer to a dry run; otherwise the request with the runs that match its filter."""
    history = call.service.history
    return _find(call, request, "would cancel", matching=history.cancellable, possible=history.still_open)


def _find(
    call: Call,
    request: SelectedT,
    would: str,
    *,
    matching: Callable[[RunSearch], Iterable[Run]],
    possible: Callable[[Sequence[int]], Iterable[int]],
) -> SelectedRunsAnswer | SelectedT:
    """Finds the runs of a request: those `matching` its filter, or for a dry run the `possible` ones of its numbers."""
    runs = request.runs
    if runs is None:
        runs = tuple(run.id for run in matching(request.condition(call)))
    elif request.only_counts:
        runs = tuple(possible(runs))
    if not request.only_counts:
        return replace(request, runs=runs)
    message = f"{would} {number_of_runs(len(runs))}"
    return SelectedRunsAnswer(command=None, message=message, runs=tuple(sorted(runs)))


def _several(command: int, request: SelectedRuns) -> Sent:
    rest = "; more runs may match" if len(request.runs or ()) == MAX_RUNS else ""
    return Sent(
        command,
        lambda outcome: SelectedRunsAnswer(command=command, message=f"{outcome.done or ''}{rest}", runs=outcome.runs),
    )


def queued(call: Call, command: int) -> Sent:
    """A command that is answered with the run that it created."""
    return Sent(command, lambda outcome: RunQueuedAnswer(run=_queued_run(call, outcome.run or 0)))


def _queued_run(call: Call, number: int) -> QueuedRun:
    run = call.service.queries.run(number)
    return QueuedRun(id=run.id, job=run.job, window=run.window.label, state=run.state)


def _post_for_several(
    verb: Verb,
    title: str,
    fields: type[SelectedT],
    handler: Callable[[Call, SelectedT], Sent],
    find: Callable[[Call, SelectedT], SelectedRunsAnswer | SelectedT],
) -> Operation[SelectedT]:
    return post(
        verb,
        f"/api/runs/{verb}",
        f"{title} several runs, or every run that matches",
        fields,
        handler,
        answer=SelectedRunsAnswer,
        check=lambda _call, request: request.check(),
        resolve=find,
    )


TRIGGER: Operation[TriggerRequest] = post(
    Verb.TRIGGER,
    "/api/cron/run/{job}",
    "Start a run of a job",
    TriggerRequest,
    trigger,
    answer=RunQueuedAnswer,
    status=202,
    check=lambda call, request: call.service.catalog.find(request.job),
)
OPERATIONS: tuple[AnyOperation, ...] = (
    TRIGGER,
    post(Verb.RETRY, "/api/runs/{run}/retry", "Retry a run", RetryRequest, retry, answer=RunQueuedAnswer, status=202),
    _post_for_several(Verb.RETRY, "Retry", RetryRunsRequest, retry_runs, find_retries),
    post(Verb.CANCEL, "/api/runs/{run}/cancel", "Cancel a run", CancelRequest, cancel),
    _post_for_several(Verb.CANCEL, "Cancel", CancelRunsRequest, cancel_runs, find_cancelled),
)
