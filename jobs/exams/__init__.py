"""Exams made ahead with the Claude API, so that nobody waits for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.common import metadata
from jobs.exams.cleanup import cleanup, clear_stuck
from jobs.exams.generate import generate
from jobs.exams.options import Options, settings_of, what_is_missing
from jobs.exams.panels import PANELS
from jobs.exams.routes import ROUTES
from jobs.exams.sample import add_exams
from jobs.exams.work_queue import work_queue
from opsconsole import Pack


def notes(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Why no exam can be made, if none can."""
    missing = what_is_missing(settings_of(options))
    return () if missing is None else (missing,)


pack = Pack(
    "exams",
    jobs=(generate, work_queue, cleanup, clear_stuck),
    metadata=metadata,
    settings=Options,
    routes=ROUTES,
    panels=PANELS,
    sample=add_exams,
    notes=notes,
)
