"""`pause`: skips the scheduled times of jobs for a while."""

from __future__ import annotations

import click

from opsconsole.calendar.windows import hours
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_pausable
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_outcome
from opsconsole.cli.prompts import duration, future_time, json_option, note_option
from opsconsole.cli.session import open_service
from opsconsole.core.clock import now

DEFAULT_DURATION = hours(12)
"""A forgotten pause must end."""


@click.command("pause", cls=Command, exit_codes=ACTING)
@click.argument("target", metavar="JOB|PACK|all", shell_complete=complete_pausable)
@click.option("--for", "length", metavar="DURATION", help="Duration of the pause, such as 90m or 2h (default: 12h).")
@click.option("--until", metavar="TIME", help="End of the pause, in the job's zone.")
@click.option("--until-resumed", is_flag=True, help="Pause until `opsconsole resume`.")
@note_option
@json_option
@click.pass_obj
def command(
    options: Options,
    target: str,
    length: str | None,
    until: str | None,
    until_resumed: bool,
    note: str,
    as_json: bool,
) -> None:
    """Pause a job, a pack, or all jobs.

    Scheduled times are skipped while the pause lasts. Runs that are started by hand still start.

    \b
    Examples:
      opsconsole pause attempts.cache_day --for 2h --note "database maintenance"
      opsconsole pause all --until 06:00
    """
    if sum((length is not None, until is not None, until_resumed)) > 1:
        raise click.UsageError("--for, --until and --until-resumed exclude each other")
    given = duration("--for", length)
    with open_service(load_settings(options)) as service:
        at = now()
        end = None
        if not until_resumed:
            zone = service.queries.zone(target)
            end = future_time("--until", until, zone, at) or at + (given or DEFAULT_DURATION)
        number = service.commands.pause(target, until=end, note=note)
        print_outcome(number, carry_out(service, number), as_json=as_json)
