"""Exams made ahead with the Claude API, so that nobody waits for one."""

from __future__ import annotations

from jobs.common import metadata
from jobs.exams.cleanup import cleanup, clear_stuck
from jobs.exams.generate import generate
from jobs.exams.options import Options
from jobs.exams.panels import PANELS
from jobs.exams.routes import ROUTES
from jobs.exams.sample import add_exams
from jobs.exams.work_queue import work_queue
from opsconsole import Pack

pack = Pack(
    "exams",
    jobs=(generate, work_queue, cleanup, clear_stuck),
    metadata=metadata,
    settings=Options,
    routes=ROUTES,
    panels=PANELS,
    sample=add_exams,
)
