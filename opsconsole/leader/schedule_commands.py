"""Executes commands about the schedules of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.changed_schedule import ChangedSchedule
from opsconsole.core.database import Connection
from opsconsole.rules import actions
from opsconsole.store import schedules
from opsconsole.store.commands import Command


def change(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    """Changes the schedule of a job. Raises UnknownJob, BadCron, BadZone, SameSchedule."""
    job, base = catalog.find(command.target), catalog.base(command.target)
    cron, tz = command.arguments["cron"], command.arguments["tz"]
    actions.check_schedule(job, cron, tz)
    note = command.arguments.get("note") or ""
    schedules.change(db, ChangedSchedule(job.name, cron, tz, command.actor.name, note, at, base.cron, base.tz))
    return {"job": job.name, "cron": cron, "tz": tz, "before": [job.cron, job.tz]}


def reset(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:  # noqa: ARG001 - a handler
    """Gives a job the schedule of code and configuration again. Raises UnknownJob, ScheduleNotChanged."""
    job, base = catalog.find(command.target), catalog.base(command.target)
    if not schedules.reset(db, job.name):
        raise actions.ScheduleNotChanged(job.name)
    return {"job": job.name, "cron": base.cron, "tz": base.tz, "before": [job.cron, job.tz]}
