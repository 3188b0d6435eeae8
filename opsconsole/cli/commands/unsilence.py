"""`unsilence`: ends a silence."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_silenceable
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_outcome
from opsconsole.cli.prompts import json_option, note_option
from opsconsole.cli.session import open_service


@click.command("unsilence", cls=Command, exit_codes=ACTING)
@click.argument("target", metavar="ALERT|JOB|PACK|RULE", shell_complete=complete_silenceable)
@note_option
@json_option
@click.pass_obj
def command(options: Options, target: str, note: str, as_json: bool) -> None:
    """End a silence.

    Alerts that still fire are then sent.

    \b
    Example:
      opsconsole unsilence attempts.cache_day
    """
    with open_service(load_settings(options)) as service:
        number = service.alerts.unsilence(target, note=note)
        print_outcome(number, carry_out(service, number), as_json=as_json)
