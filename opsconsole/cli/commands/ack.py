"""`ack`: acknowledges an alert."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_alert
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_outcome
from opsconsole.cli.prompts import duration, future_time, json_option, note_option
from opsconsole.cli.session import open_service


@click.command("ack", cls=Command, exit_codes=ACTING)
@click.argument("number", metavar="ALERT", type=int, shell_complete=complete_alert)
@click.option(
    "--for", "length", metavar="DURATION", help="Duration, such as 2h (default: until the alert is resolved)."
)
@click.option("--until", metavar="TIME", help="End of the acknowledgement, in UTC.")
@note_option
@json_option
@click.pass_obj
def command(options: Options, number: int, length: str | None, until: str | None, note: str, as_json: bool) -> None:
    """Acknowledge an alert.

    Shows other operators who is working on it, and stops its reminders. The alert fires again when it becomes worse,
    or when the acknowledgement expires.

    \b
    Example:
      opsconsole ack 7 --for 2h --note "ticket 81"
    """
    if length is not None and until is not None:
        raise click.UsageError("--for and --until exclude each other")
    given = duration("--for", length)
    with open_service(load_settings(options)) as service:
        at = service.now()
        end = at + given if given is not None else future_time("--until", until, ZoneInfo("UTC"), at)
        command_number = service.alerts.acknowledge(number, until=end, note=note)
        print_outcome(command_number, carry_out(service, command_number), as_json=as_json)
