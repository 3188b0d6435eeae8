"""Runs over HTTP: lists, details, failed items and logs."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from opsconsole.authoring.extensions import Answer
from opsconsole.authoring.run import RunState, Trigger
from opsconsole.http.fields import check_order, past_time
from opsconsole.http.operations import AnyOperation, Call, Limit, Name, Number, PastTime, get
from opsconsole.http.responses import HttpError
from opsconsole.rules.run_search import RunSearch
from opsconsole.service.history import Place
from opsconsole.service.run_documents import (
    FailedItemDocument,
    LogLineDocument,
    RunDetails,
    RunDocument,
    failed_item,
    log_line,
    run_details,
    run_document,
)

Query = Annotated[
    str,
    Meta(max_length=500, description="A filter as the console reads it: `cache_day last tue failed by asha`"),
]
Cursor = Annotated[str, Meta(max_length=50, pattern=r"^[0-9]+\.[0-9]+$", description="`next` of the page before")]


class RunsFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """Which runs: those that meet every condition."""

    q: Query = ""
    job: Name | None = None
    state: tuple[RunState, ...] = ()
    trigger: tuple[Trigger, ...] = ()
    by: Name | None = None
    since: PastTime | None = None
    until: PastTime | None = None

    @property
    def conditions(self) -> dict[str, Any]:
        """Those that are given, as JSON."""
        names = RunsFilter.__struct_fields__
        return {name: msgspec.to_builtins(value) for name in names if (value := getattr(self, name))}

    def search(self, call: Call) -> RunSearch:
        """The runs that are meant. Raises HttpError, BadSearch, UnknownJob."""
        service, now, zone = call.service, call.service.now(), call.zone(self.job)
        only = RunSearch(
            jobs=(service.catalog.find(self.job).name,) if self.job else None,
            states=self.state or None,
            triggers=self.trigger or None,
            person=self.by,
            since=past_time("since", self.since, zone, now),
            until=past_time("until", self.until, zone, now),
        )
        check_order(only.since, only.until)
        typed = service.history.parsed(self.q, me=call.actor.name) if self.q.strip() else RunSearch()
        return typed.limited_to(only)


class RunsRequest(RunsFilter, frozen=True, forbid_unknown_fields=True):
    """Which runs: those that meet every condition."""

    before: Number | None = None
    limit: Limit = 50


class RunsAnswer(Answer, frozen=True, kw_only=True):
    """A page of runs, newest first. Send `next` as `before` for the page after it; it is null on the last one.
    `searched_to` is the run at which the search of this page gave up because few runs match. `total` is how many match,
    more with `more_in_total`; it is null on all pages but the first.
    """

    runs: tuple[RunDocument, ...]
    next: int | None
    searched_to: int | None
    total: int | None
    more_in_total: bool


class RunRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which run."""

    run: Number


class RunAnswer(Answer, frozen=True, kw_only=True):
    """A run in detail."""

    run: RunDetails


class FailuresRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which failed items of a run."""

    run: Number
    after: Cursor | None = None
    limit: Limit = 500


class FailuresAnswer(Answer, frozen=True, kw_only=True):
    """Items that failed in a run. Send `next` as `after` for the page after it; it is null on the last one."""

    failures: tuple[FailedItemDocument, ...]
    next: str | None


class LogRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines of a run's log."""

    run: Number
    after: Annotated[int, Meta(ge=0, le=2**63 - 1, description="`next` of the page before")] = 0


class LogAnswer(Answer, frozen=True, kw_only=True):
    """Up to 1,000 lines of a run's log, oldest first. Send `next` as `after` for those after them; it is null when
    there are none yet.
    """

    log: tuple[LogLineDocument, ...]
    next: int | None


def list_runs(call: Call, request: RunsRequest) -> RunsAnswer:
    """Runs, newest first, in pages."""
    found = call.service.history.select(request.search(call), before=request.before, limit=request.limit)
    return RunsAnswer(
        runs=tuple(run_document(run) for run in found.runs),
        next=found.next_before,
        searched_to=found.searched_to,
        total=found.total,
        more_in_total=found.more_in_total,
    )


def show_run(call: Call, request: RunRequest) -> RunAnswer:
    """A run with its counts, the causes of its failures and its log."""
    return RunAnswer(run=run_details(call.service.queries.run_page(request.run)))


def list_failures(call: Call, request: FailuresRequest) -> FailuresAnswer:
    """Every item that failed in a run, in pages."""
    after = None
    if request.after is not None:
        batch, items = (int(part) for part in request.after.split("."))
        if max(batch, items) >= 2**31:
            raise HttpError(400, "bad_field", "after must be the `next` of an earlier page", "after")
        after = Place(batch, items)
    page = call.service.history.failed_items(request.run, after=after, limit=request.limit)
    return FailuresAnswer(
        failures=tuple(failed_item(each) for each in page.items),
        next=f"{page.next.batch}.{page.next.items}" if page.next is not None else None,
    )


def list_log(call: Call, request: LogRequest) -> LogAnswer:
    """The log of a run, in pages."""
    lines = call.service.queries.log(request.run, after=request.after)
    return LogAnswer(log=tuple(log_line(line) for line in lines), next=lines[-1].number if lines else None)


OPERATIONS: tuple[AnyOperation, ...] = (
    get("/api/runs", "List runs", RunsRequest, RunsAnswer, list_runs),
    get("/api/runs/{run}", "Show a run", RunRequest, RunAnswer, show_run),
    get(
        "/api/runs/{run}/failures",
        "List the items that failed in a run",
        FailuresRequest,
        FailuresAnswer,
        list_failures,
    ),
    get("/api/runs/{run}/log", "Show the log of a run", LogRequest, LogAnswer, list_log),
)
