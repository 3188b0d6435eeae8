"""`next`: the next scheduled times of a job or a cron expression. Only changed schedules are in the store."""

from __future__ import annotations

from datetime import datetime

import click

from opsconsole.authoring import catalog
from opsconsole.authoring.job import Job
from opsconsole.calendar.cron import Cron, schedule, zone
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_job
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, in_zone, print_json, utc
from opsconsole.cli.prompts import json_option, past_time
from opsconsole.cli.session import changed_schedules
from opsconsole.core.clock import now
from opsconsole.core.humanize import duration, relative_time


@click.command("next", cls=Command)
@click.argument("job_or_cron", shell_complete=complete_job)
@click.option("--tz", metavar="ZONE", help="Evaluate the schedule in this zone.")
@click.option("--from", "start", metavar="TIME", help="List scheduled times after this time (default: now).")
@click.option(
    "-n", "--limit", default=5, show_default=True, type=click.IntRange(1, 1000), help="Number of scheduled times."
)
@json_option
@click.pass_obj
def command(options: Options, job_or_cron: str, tz: str | None, start: str | None, limit: int, as_json: bool) -> None:
    """List the next scheduled times of a job or a cron expression.

    A schedule that an operator changed is read from the store; a cron expression needs none.

    A job with jitter starts later than each of them, by a delay that is shown and never changes.

    The times are computed from the schedule alone. After the clock was set back, some may have run already:
    `opsconsole jobs` and `opsconsole why` read what is recorded.

    \b
    Examples:
      opsconsole next attempts.cache_day
      opsconsole next "0 0 * * 1" --tz Asia/Kolkata
      opsconsole next "30 2 * * *" --tz America/New_York --from 2026-03-07 -n 3
    """
    cron, job = _schedule(options, job_or_cron, tz)
    if cron is None:
        if as_json:
            print_json([])
        else:
            echo(f"{job_or_cron} has no schedule; it runs only by hand: `opsconsole run {job_or_cron}`")
        return
    at = now()
    scheduled = _after(cron, past_time("--from", start, zone(cron.tz), at) or at, limit)
    if as_json:
        print_json([_document(due, cron.tz, job) for due in scheduled])
        return
    echo(f"{cron.describe()} ({cron.tz})")
    if job is not None and job.shift:
        echo(f"each run starts {duration(job.shift)} later: the job has a jitter of up to {duration(job.jitter)}")
    for due in scheduled:
        local = due.astimezone(zone(cron.tz))
        echo(f"{local:%a %Y-%m-%d %H:%M %Z}   {utc(due)}   {relative_time(due, at)}")


def _document(due: datetime, tz: str, job: Job | None) -> dict[str, str | None]:
    starts = {"starts_at": utc(due + job.shift)} if job is not None and job.shift else {}
    return {"utc": utc(due), "local": in_zone(due, tz), "tz": tz, **starts}


def _schedule(options: Options, job_or_cron: str, tz: str | None) -> tuple[Cron | None, Job | None]:
    """The schedule of an expression, or of a job with the job; None for a manual job."""
    if len(job_or_cron.split()) > 1 or job_or_cron.startswith("@"):
        return Cron(job_or_cron, tz or "UTC"), None
    settings = load_settings(options)
    jobs = catalog.load(settings.packs, settings.overrides, settings.options)
    job = jobs.find(job_or_cron)
    if jobs.apply(changed_schedules(settings)):
        job = jobs.find(job_or_cron)
    return schedule(job.cron, tz or job.tz), job


def _after(cron: Cron, start: datetime, limit: int) -> list[datetime]:
    scheduled: list[datetime] = []
    while len(scheduled) < limit and (due := cron.next(start)) is not None:
        scheduled.append(due)
        start = due
    return scheduled
