"""The audit trail over HTTP, and events that are published again."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from opsconsole.authoring.extensions import Answer
from opsconsole.calendar.cron import zone
from opsconsole.http.fields import past_time
from opsconsole.http.operations import AnyOperation, Call, Limit, Number, PastTime, Sent, done, get, post
from opsconsole.rules.actions import Verb
from opsconsole.service.audit_documents import AuditDocument, audit_document

Query = Annotated[str, Meta(max_length=500, description="A filter as the console reads it: `by asha clear last tue`")]


class AuditRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows."""

    q: Query = ""
    before: Number | None = None
    limit: Limit = 50


class AuditAnswer(Answer, frozen=True, kw_only=True):
    """A page of the audit trail, newest first. Send `next` as `before` for the page after it; it is null on the last
    one.
    """

    rows: tuple[AuditDocument, ...]
    next: int | None


class ReplayRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The time from which events are published again."""

    since: PastTime


def list_audit(call: Call, request: AuditRequest) -> AuditAnswer:
    """Who requested what, and the outcomes."""
    found = call.service.audit.find(request.q, limit=request.limit + 1, before=request.before, me=call.actor.name)
    rows = found[: request.limit]
    return AuditAnswer(
        rows=tuple(audit_document(entry) for entry in rows), next=rows[-1].id if len(found) > len(rows) else None
    )


def replay(call: Call, request: ReplayRequest) -> Sent:
    """Publishes the events since a time again."""
    since = past_time("since", request.since, zone("UTC"), call.service.now())
    assert since is not None  # noqa: S101 - the field is required
    return done(call.commands.replay_events(since))


OPERATIONS: tuple[AnyOperation, ...] = (
    get("/api/audit", "List the audit trail", AuditRequest, AuditAnswer, list_audit),
    post(Verb.REPLAY, "/api/events/replay", "Publish events again", ReplayRequest, replay),
)
