"""Counts the stale items of a window."""

from __future__ import annotations

from datetime import datetime

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import how_many
from opsconsole.authoring.job import Job
from opsconsole.authoring.scope import Scope
from opsconsole.calendar.windows import Window
from opsconsole.core.database import Database
from opsconsole.worker.work import stale


def count(data: Database, catalog: Catalog, job: Job, window: Window, now: datetime) -> int:
    """How many of the window's items are missing or out of date, up to now.

    Raises StaleNotSupported, BadPopulation, Unavailable.
    """
    return how_many(data, stale(job, Scope(window, min(window.end, now), {}, catalog.options(job))))
