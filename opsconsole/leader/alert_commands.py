"""Executes commands about alerts: acknowledging and silencing them, and ending that."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from opsconsole.authoring.catalog import Catalog
from opsconsole.core.database import Connection
from opsconsole.rules import alert_actions
from opsconsole.rules.alerts import Acknowledgement, target_of
from opsconsole.store import alerts, silences
from opsconsole.store.commands import Command


def acknowledge(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    """Records who knows of an alert; replaces an earlier acknowledgement."""
    alert, until = alerts.get(db, int(command.target)), _until(command)
    alert_actions.check_acknowledge(alert, until, at)
    note = command.arguments.get("note") or ""
    alerts.acknowledge(db, alert.id, Acknowledgement(command.actor.name, at, until, note))
    return {"alert": alert.id, "target": target_of(alert), "until": command.arguments.get("until")}


def unacknowledge(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    """Ends the acknowledgement of an alert, which then fires."""
    alert = alerts.get(db, int(command.target))
    alert_actions.check_unacknowledge(alert, at)
    alerts.unacknowledge(db, alert.id)
    return {"alert": alert.id, "target": target_of(alert)}


def silence(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    """Adds a silence; replaces one of the same target that ends earlier."""
    target, until = command.target, _until(command)
    alert_actions.check_silence(target, until, silences.in_force(db, at), at)
    replaced = silences.end(db, target, at)
    note = command.arguments.get("note") or ""
    number = silences.add(db, target, since=at, until=until, who=command.actor.name, note=note)
    return {"silence": number, "target": target, "until": command.arguments.get("until"), "replaced": replaced}


def unsilence(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    """Ends the silence of exactly that target."""
    alert_actions.check_unsilence(command.target, silences.in_force(db, at))
    silences.end(db, command.target, at)
    return {"target": command.target}


def _until(command: Command) -> datetime | None:
    given = command.arguments.get("until")
    return datetime.fromisoformat(given) if given else None
