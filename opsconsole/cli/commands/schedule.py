"""`schedule`: changes or resets the schedule of a job while opsconsole runs."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_job
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_outcome
from opsconsole.cli.prompts import json_option, note_option
from opsconsole.cli.session import open_service
from opsconsole.core.errors import Exit


@click.command("schedule", cls=Command, exit_codes=ACTING | {Exit.REFUSED: "there is nothing to change or reset"})
@click.argument("job", shell_complete=complete_job)
@click.option("--cron", metavar="CRON", help="The new schedule: five fields, or a name such as @daily.")
@click.option("--tz", metavar="ZONE", help="The timezone of the new schedule (default: the job's).")
@click.option("--reset", is_flag=True, help="Return to the schedule in code and configuration.")
@note_option
@json_option
@click.pass_obj
def command(
    options: Options, job: str, cron: str | None, tz: str | None, reset: bool, note: str, as_json: bool
) -> None:
    """Change the schedule of a job, or reset it.

    The job next runs at the first time of the new schedule, not at once. The change survives restarts, is recorded in
    the audit trail, and is marked wherever the schedule is shown until you reset it. To preview a schedule, use
    `opsconsole next CRON`.

    \b
    Examples:
      opsconsole schedule attempts.cache_day --cron "30 4 * * *" --note "the source is late this week"
      opsconsole schedule attempts.cache_day --cron "0 6 * * 1-5" --tz Europe/Berlin
      opsconsole schedule attempts.cache_day --reset --note "the source is on time again"
    """
    if reset == (cron is not None) or (reset and tz is not None):
        raise click.UsageError("give either --cron, optionally with --tz, or --reset")
    with open_service(load_settings(options)) as service:
        if cron is not None:
            number = service.commands.schedule(job, cron, tz, note=note)
        else:
            number = service.commands.reset_schedule(job, note=note)
        print_outcome(number, carry_out(service, number), as_json=as_json)
