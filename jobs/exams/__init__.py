"""Exams generated ahead of time with the Claude API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.common import metadata
from jobs.exams.checks import CHECKS
from jobs.exams.cleanup import cleanup, clear_stuck
from jobs.exams.generate import generate
from jobs.exams.options import Options, configuration_problem, read_options
from jobs.exams.panels import PANELS
from jobs.exams.routes import ROUTES
from jobs.exams.sample import add_exams
from jobs.exams.work_queue import work_queue
from opsconsole import Pack


def notes(options: Mapping[str, Any]) -> tuple[str, ...]:
    """What to set before exams can be generated."""
    problem = configuration_problem(read_options(options))
    return () if problem is None else (problem,)


pack = Pack(
    "exams",
    jobs=(generate, work_queue, cleanup, clear_stuck),
    metadata=metadata,
    settings=Options,
    routes=ROUTES,
    panels=PANELS,
    checks=CHECKS,
    sample=add_exams,
    notes=notes,
)
