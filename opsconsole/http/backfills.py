"""Backfills over HTTP: plans for past windows, and commands about them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from opsconsole.authoring.definition import MAX_AT_ONCE
from opsconsole.authoring.extensions import Answer
from opsconsole.core.errors import BadWindow
from opsconsole.http.operations import AnyOperation, Call, Limit, Name, Note, Number, Sent, done, get, post
from opsconsole.http.responses import HttpError
from opsconsole.rules.actions import Verb
from opsconsole.rules.backfill import Only, Order
from opsconsole.rules.dates import parse_date
from opsconsole.service.backfill_documents import (
    BackfillDetails,
    BackfillDocument,
    backfill_details,
    backfill_document,
)

Day = Annotated[str, Meta(min_length=1, max_length=40, description="A date in each job's zone: 2026-01-19")]


Selected = Annotated[tuple[Literal["missing", "stale", "failed", "all"], ...], Meta(min_length=1, max_length=4)]


class BackfillsRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """How many backfills."""

    limit: Limit = 50


class BackfillsAnswer(Answer, frozen=True, kw_only=True):
    """Backfills, newest first, including plans that were never applied."""

    backfills: tuple[BackfillDocument, ...]


class BackfillRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which backfill."""

    backfill: Number


class BackfillNoteRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which backfill, and why."""

    backfill: Number
    note: Note = ""


class PlanRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which windows: those of some jobs from one date to another, both included. With `stop_on_failure`, one that fails
    pauses the rest.
    """

    jobs: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100)]
    from_: Day = field(name="from")
    to: Day
    only: Selected = ("missing",)
    newest_first: bool = False
    at_once: Annotated[int, Meta(ge=1, le=MAX_AT_ONCE)] | None = None
    stop_on_failure: bool = False


class BackfillAnswer(Answer, frozen=True, kw_only=True):
    """A backfill with all its windows."""

    backfill: BackfillDetails


def list_backfills(call: Call, request: BackfillsRequest) -> BackfillsAnswer:
    """Backfills, newest first."""
    found = call.service.backfills.newest(limit=request.limit)
    return BackfillsAnswer(backfills=tuple(backfill_document(each) for each in found))


def show_backfill(call: Call, request: BackfillRequest) -> BackfillAnswer:
    """A backfill with all its windows."""
    return BackfillAnswer(backfill=backfill_details(call.service.backfills, request.backfill))


def plan(call: Call, request: PlanRequest) -> BackfillAnswer:
    """Stores a plan: what would be run or skipped, and why. Nothing is run until it is applied."""
    if len(set(request.jobs)) < len(request.jobs):
        raise HttpError(400, "bad_field", "jobs has a name more than once", "jobs")
    since, until = _date("from", request.from_), _date("to", request.to)
    if since > until:
        raise HttpError(400, "bad_date", "from must not be later than to", "from")
    number = call.backfills.plan(
        request.jobs,
        since,
        until,
        only=Only.parse(",".join(request.only)),
        order=Order(request.newest_first, request.at_once),
        stop_on_failure=request.stop_on_failure,
    )
    return BackfillAnswer(backfill=backfill_details(call.service.backfills, number))


def _date(name: str, text: str) -> date:
    try:
        return parse_date(text)
    except BadWindow as error:
        raise HttpError(400, "bad_date", error.sentence, name) from None


def apply(call: Call, request: BackfillRequest) -> Sent:
    """Runs exactly what was planned."""
    return done(call.backfills.apply(request.backfill))


def pause(call: Call, request: BackfillNoteRequest) -> Sent:
    """Starts no further window; running ones finish."""
    return done(call.backfills.pause(request.backfill, note=request.note))


def resume(call: Call, request: BackfillRequest) -> Sent:
    """Runs the windows that are not done, failed ones included."""
    return done(call.backfills.resume(request.backfill))


def cancel(call: Call, request: BackfillNoteRequest) -> Sent:
    """Ends a backfill and its active runs."""
    return done(call.backfills.cancel(request.backfill, note=request.note))


OPERATIONS: tuple[AnyOperation, ...] = (
    get("/api/backfills", "List backfills", BackfillsRequest, BackfillsAnswer, list_backfills),
    get("/api/backfills/{backfill}", "Show a backfill", BackfillRequest, BackfillAnswer, show_backfill),
    post(
        Verb.PLAN_BACKFILL,
        "/api/backfills",
        "Plan a backfill",
        PlanRequest,
        plan,
        answer=BackfillAnswer,
        status=201,
        slow=True,
    ),
    post(Verb.APPLY_BACKFILL, "/api/backfills/{backfill}/apply", "Apply a plan", BackfillRequest, apply),
    post(Verb.PAUSE_BACKFILL, "/api/backfills/{backfill}/pause", "Pause a backfill", BackfillNoteRequest, pause),
    post(Verb.RESUME_BACKFILL, "/api/backfills/{backfill}/resume", "Resume a backfill", BackfillRequest, resume),
    post(Verb.CANCEL_BACKFILL, "/api/backfills/{backfill}/cancel", "Cancel a backfill", BackfillNoteRequest, cancel),
)
