"""`backfill resume`: runs the unfinished windows."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.commands.backfill.apply import follow
from opsconsole.cli.completion import complete_backfill
from opsconsole.cli.exit_codes import BACKFILLING
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.prompts import json_option, wait_option
from opsconsole.cli.session import open_service
from opsconsole.rules.backfill_status import BackfillState


@click.command("resume", cls=Command, exit_codes=BACKFILLING)
@click.argument("number", metavar="ID", type=int, shell_complete=complete_backfill)
@wait_option
@json_option
@click.pass_obj
def command(options: Options, number: int, wait: bool, as_json: bool) -> None:
    """Run the unfinished windows of a backfill.

    The backfill was paused or cancelled, or has failed windows. With --wait, it may also be running.

    \b
    Examples:
      opsconsole backfill resume 12
      opsconsole backfill resume 12 --wait
    """
    with open_service(load_settings(options), waits=wait) as service:
        backfill = service.backfills.get(number)
        if wait and backfill.state is BackfillState.RUNNING and backfill.command is not None:
            request = backfill.command
        else:
            request = service.backfills.resume(number)
        follow(service, number, request, wait=wait, as_json=as_json)
