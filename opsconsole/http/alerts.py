"""Alerts over HTTP."""

from __future__ import annotations

from collections import Counter
from typing import Any

from opsconsole.authoring.extensions import Reply, Request
from opsconsole.core.text import safe
from opsconsole.http.responses import HttpError
from opsconsole.rules.alerts import AlertState
from opsconsole.rules.findings import Severity
from opsconsole.service.alert_documents import alert_document, silence_document
from opsconsole.service.service import Service


def list_alerts(service: Service, request: Request) -> Reply:
    """The open alerts, worst first, each followed by those that it explains, then those resolved in the last day; with
    `state`, one or several with commas between them, only those. Raises HttpError.
    """
    for name in request.query:
        if name != "state":
            raise HttpError(400, "unknown_field", 'the only parameter is "state"', safe(name, 100))
    states = _states(request.query.get("state", ""))
    now = service.now()
    return Reply(
        {
            "success": True,
            "alerts": [alert_document(card, now) for card in service.alerts.current(states)],
            "silences": [silence_document(silence) for silence in service.alerts.silences()],
        }
    )


def firing(service: Service) -> dict[str, Any]:
    """How many alerts of each severity are firing, without those that another alert explains."""
    counted = Counter(card.alert.severity for card in service.alerts.firing())
    return {severity.name.lower(): counted[severity] for severity in reversed(Severity)}


def _states(text: str) -> tuple[AlertState, ...]:
    try:
        return tuple(AlertState(state) for state in text.split(",") if state)
    except ValueError:
        raise HttpError(400, "bad_state", f"the states are {', '.join(AlertState)}", "state") from None
