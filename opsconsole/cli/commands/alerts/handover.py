"""`alerts handover`: what the next shift has to know."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo
from opsconsole.cli.session import open_service


@click.command("handover", cls=Command)
@click.pass_obj
def command(options: Options) -> None:
    """Write what the next shift has to know, as Markdown.

    Covers what fires and who works on it, what runs, what is paused, and the next runs.

    \b
    Examples:
      opsconsole alerts handover > handover.md
    """
    from opsconsole.service import write_ups

    with open_service(load_settings(options)) as service:
        echo(write_ups.handover(service.snapshot(), service.now()).rstrip())
