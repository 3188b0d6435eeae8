"""`alerts report`: the write-up of an incident."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_alert
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo
from opsconsole.cli.session import open_service


@click.command("report", cls=Command)
@click.argument("numbers", nargs=-1, type=click.IntRange(min=1), metavar="[ALERT]...", shell_complete=complete_alert)
@click.pass_obj
def command(options: Options, numbers: tuple[int, ...]) -> None:
    """Write up alerts as Markdown: what happened, and when.

    Covers their state, likely causes, earlier alerts, and a timeline. Without numbers, it covers all open alerts that
    no other one explains.

    \b
    Examples:
      opsconsole alerts report > incident.md
      opsconsole alerts report 31 32
    """
    with open_service(load_settings(options), reads=True) as service:
        echo(service.alerts.write_up(numbers).rstrip())
