"""Schedules of jobs that have one."""

from __future__ import annotations

from opsconsole.authoring.job import Job
from opsconsole.calendar.cron import Cron


def cron_of(job: Job) -> Cron:
    """The schedule of a job that is not manual."""
    assert job.cron is not None
    return Cron(job.cron, job.tz)
