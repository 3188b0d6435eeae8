"""`cache cancel`: ends a clearing of the cache."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import outcome_of, print_waiting
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_json, print_outcome
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.errors import Exit


@click.command("cancel", cls=Command, exit_codes=ACTING | {Exit.REFUSED: "no clearing is running"})
@click.argument("number", metavar="[COMMAND]", type=int, required=False)
@json_option
@click.pass_obj
def command(options: Options, number: int | None, as_json: bool) -> None:
    """Cancel a clearing of the cache: the one that COMMAND started, or the newest one.

    Keys that are already cleared stay cleared; `opsconsole audit` shows how many.

    \b
    Examples:
      opsconsole cache cancel
      opsconsole cache cancel 17 --json
    """
    with open_service(load_settings(options)) as service:
        request = service.commands.cancel_clearing(number)
        outcome = outcome_of(service, request)
    if outcome is not None:
        print_outcome(request, outcome, as_json=as_json)
        return
    print_waiting(request)
    if as_json:
        print_json({"command": request, "state": "requested", "message": None})
