"""`unack`: ends an acknowledgement."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_alert
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_outcome
from opsconsole.cli.prompts import json_option, note_option
from opsconsole.cli.session import open_service


@click.command("unack", cls=Command, exit_codes=ACTING)
@click.argument("number", metavar="ALERT", type=int, shell_complete=complete_alert)
@note_option
@json_option
@click.pass_obj
def command(options: Options, number: int, note: str, as_json: bool) -> None:
    """End an acknowledgement.

    The alert fires again, with its reminders.

    \b
    Example:
      opsconsole unack 7
    """
    with open_service(load_settings(options)) as service:
        command_number = service.alerts.unacknowledge(number, note=note)
        print_outcome(command_number, carry_out(service, command_number), as_json=as_json)
