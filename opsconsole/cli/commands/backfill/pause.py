"""`backfill pause`: pauses a backfill."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.commands.backfill.apply import print_command
from opsconsole.cli.completion import complete_backfill
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.prompts import json_option, note_option
from opsconsole.cli.session import open_service


@click.command("pause", cls=Command, exit_codes=ACTING)
@click.argument("number", metavar="ID", type=int, shell_complete=complete_backfill)
@note_option
@json_option
@click.pass_obj
def command(options: Options, number: int, note: str, as_json: bool) -> None:
    """Pause a backfill.

    Running windows finish; no further window starts. `opsconsole backfill resume ID` continues.

    \b
    Examples:
      opsconsole backfill pause 12
      opsconsole backfill pause 12 --note "the database is busy"
    """
    with open_service(load_settings(options)) as service:
        request = service.backfills.pause(number, note=note)
        outcome = carry_out(service, request)
        print_command(service, number, request, outcome.done, as_json=as_json)
