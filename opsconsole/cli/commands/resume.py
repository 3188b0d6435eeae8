"""`resume`: ends a pause."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_pausable
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_outcome
from opsconsole.cli.prompts import json_option, note_option
from opsconsole.cli.session import open_service


@click.command("resume", cls=Command, exit_codes=ACTING)
@click.argument("target", metavar="JOB|PACK|all", shell_complete=complete_pausable)
@note_option
@json_option
@click.pass_obj
def command(options: Options, target: str, note: str, as_json: bool) -> None:
    """Resume a paused job, pack, or all jobs, from the next scheduled time on.

    \b
    Examples:
      opsconsole resume attempts.cache_day
      opsconsole resume all --note "maintenance is over"
    """
    with open_service(load_settings(options)) as service:
        number = service.commands.resume(target, note=note)
        print_outcome(number, carry_out(service, number), as_json=as_json)
