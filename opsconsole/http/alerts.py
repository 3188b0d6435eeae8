"""Alerts over HTTP: lists, details, acknowledgements and silences."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct

from opsconsole.authoring.extensions import Answer
from opsconsole.http.operations import (
    UTC,
    AnyOperation,
    Call,
    Lasting,
    Note,
    Number,
    Sent,
    done,
    get,
    post,
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


class AckRequest(Lasting, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which alert is acknowledged, and for how long: until it is resolved by default."""

    alert: Number


class UnackRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which acknowledgement ends."""

    alert: Number
    note: Note = ""


class SilenceRequest(Lasting, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The target of a silence, and its duration: 12 hours by default."""

    target: Target


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
    end = request.end(UTC, call.service.now())
    return done(call.alerts.acknowledge(request.alert, until=end, note=request.note))


def unacknowledge(call: Call, request: UnackRequest) -> Sent:
    """Ends the acknowledgement of an alert."""
    return done(call.alerts.unacknowledge(request.alert, note=request.note))


def silence(call: Call, request: SilenceRequest) -> Sent:
    """Stops notifications about an alert, a job, a pack or a rule for a while."""
    now = call.service.now()
    end = request.end(UTC, now) or now + DEFAULT_SILENCE
    return done(call.alerts.silence(request.target, until=end, note=request.note))


def unsilence(call: Call, request: UnsilenceRequest) -> Sent:
    """Ends the silence of exactly this target."""
    return done(call.alerts.unsilence(request.target, note=request.note))


def firing(service: Service) -> dict[str, Any]:
    """How many alerts of each severity are firing, without those that another alert explains."""
    counted = Counter(card.alert.severity for card in service.alerts.firing())
    return {severity.name.lower(): counted[severity] for severity in reversed(Severity)}


OPERATIONS: tuple[AnyOperation, ...] = (
    get("/api/alerts", "List alerts and silences", AlertsRequest, AlertsAnswer, list_alerts),
    get("/api/alerts/{alert}", "Show an alert", AlertRequest, AlertAnswer, show_alert),
    post(Verb.ACKNOWLEDGE, "/api/alerts/{alert}/ack", "Acknowledge an alert", AckRequest, acknowledge),
    post(Verb.UNACKNOWLEDGE, "/api/alerts/{alert}/unack", "End an acknowledgement", UnackRequest, unacknowledge),
    post(Verb.SILENCE, "/api/silences", "Silence an alert, a job, a pack or a rule", SilenceRequest, silence),
    post(Verb.UNSILENCE, "/api/silences/end", "End a silence", UnsilenceRequest, unsilence),
)
