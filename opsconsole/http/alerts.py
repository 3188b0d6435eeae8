"""Alerts over HTTP: lists, details, acknowledgements and silences."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from opsconsole.authoring.extensions import Answer
from opsconsole.calendar.cron import zone
from opsconsole.http.fields import until
from opsconsole.http.operations import (
    AnyOperation,
    Call,
    DoneAnswer,
    FutureTime,
    Length,
    Note,
    Number,
    Operation,
    Sent,
    done,
)
from opsconsole.rules.actions import Verb
from opsconsole.rules.alerts import AlertState
from opsconsole.rules.findings import Severity
from opsconsole.service.alert_documents import (
    AlertDetails,
    AlertDocument,
    SilenceDocument,
    alert_document,
    page_document,
    silence_document,
)
from opsconsole.service.service import Service

DEFAULT_SILENCE = timedelta(hours=12)
"""A forgotten silence must end."""

Target = Annotated[
    str, Meta(min_length=1, max_length=300, description="The number of an alert, a job, a pack or a rule")
]


class AlertsRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which alerts: those in one of these states."""

    state: tuple[AlertState, ...] = ()


class AlertsAnswer(Answer, frozen=True, kw_only=True):
    """The open alerts, worst first, each followed by those that it explains, then those resolved in the last day; and
    the active silences.
    """

    alerts: tuple[AlertDocument, ...]
    silences: tuple[SilenceDocument, ...]


class AlertRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which alert."""

    alert: Number


class AlertAnswer(Answer, frozen=True, kw_only=True):
    """An alert in detail."""

    alert: AlertDetails


class AckRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which alert is acknowledged, and for how long: until it is resolved by default."""

    alert: Number
    for_: Length | None = field(default=None, name="for")
    until: FutureTime | None = None
    note: Note = ""


class UnackRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which acknowledgement ends."""

    alert: Number
    note: Note = ""


class SilenceRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The target of a silence, and its duration: 12 hours by default."""

    target: Target
    for_: Length | None = field(default=None, name="for")
    until: FutureTime | None = None
    note: Note = ""


class UnsilenceRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which silence ends."""

    target: Target
    note: Note = ""


def list_alerts(call: Call, request: AlertsRequest) -> AlertsAnswer:
    """The current alerts and the active silences."""
    now = call.service.now()
    cards, silences = call.service.alerts.overview(request.state)
    return AlertsAnswer(
        alerts=tuple(alert_document(card, now) for card in cards),
        silences=tuple(silence_document(silence) for silence in silences),
    )


def show_alert(call: Call, request: AlertRequest) -> AlertAnswer:
    """An alert with what was sent about it."""
    return AlertAnswer(alert=page_document(call.service.alerts.page(request.alert)))


def acknowledge(call: Call, request: AckRequest) -> Sent:
    """Stops the reminders of an alert."""
    end = until(request.for_, request.until, zone("UTC"), call.service.now())
    return done(call.alerts.acknowledge(request.alert, until=end, note=request.note))


def unacknowledge(call: Call, request: UnackRequest) -> Sent:
    """Ends the acknowledgement of an alert."""
    return done(call.alerts.unacknowledge(request.alert, note=request.note))


def silence(call: Call, request: SilenceRequest) -> Sent:
    """Stops notifications about an alert, a job, a pack or a rule for a while."""
    now = call.service.now()
    end = until(request.for_, request.until, zone("UTC"), now) or now + DEFAULT_SILENCE
    return done(call.alerts.silence(request.target, until=end, note=request.note))


def unsilence(call: Call, request: UnsilenceRequest) -> Sent:
    """Ends the silence of exactly this target."""
    return done(call.alerts.unsilence(request.target, note=request.note))


def firing(service: Service) -> dict[str, Any]:
    """How many alerts of each severity are firing, without those that another alert explains."""
    counted = Counter(card.alert.severity for card in service.alerts.firing())
    return {severity.name.lower(): counted[severity] for severity in reversed(Severity)}


OPERATIONS: tuple[AnyOperation, ...] = (
    Operation(
        method="GET",
        path="/api/alerts",
        summary="List alerts and silences",
        request=AlertsRequest,
        answer=AlertsAnswer,
        handler=list_alerts,
    ),
    Operation(
        method="GET",
        path="/api/alerts/{alert}",
        summary="Show an alert",
        request=AlertRequest,
        answer=AlertAnswer,
        handler=show_alert,
    ),
    Operation(
        method="POST",
        path="/api/alerts/{alert}/ack",
        summary="Acknowledge an alert",
        request=AckRequest,
        answer=DoneAnswer,
        handler=acknowledge,
        verb=Verb.ACKNOWLEDGE,
    ),
    Operation(
        method="POST",
        path="/api/alerts/{alert}/unack",
        summary="End an acknowledgement",
        request=UnackRequest,
        answer=DoneAnswer,
        handler=unacknowledge,
        verb=Verb.UNACKNOWLEDGE,
    ),
    Operation(
        method="POST",
        path="/api/silences",
        summary="Silence an alert, a job, a pack or a rule",
        request=SilenceRequest,
        answer=DoneAnswer,
        handler=silence,
        verb=Verb.SILENCE,
    ),
    Operation(
        method="POST",
        path="/api/silences/end",
        summary="End a silence",
        request=UnsilenceRequest,
        answer=DoneAnswer,
        handler=unsilence,
        verb=Verb.UNSILENCE,
    ),
)
