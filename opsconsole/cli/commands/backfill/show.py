"""`backfill show`: the progress of one backfill."""

from __future__ import annotations

import click

from opsconsole.cli.backfill_output import document, print_steps, ranges, summary
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_backfill
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import timestamp
from opsconsole.core.text import safe
from opsconsole.service import wording


@click.command("show", cls=Command)
@click.argument("number", metavar="ID", type=int, shell_complete=complete_backfill)
@click.option("--windows", "each_window", is_flag=True, help="List each window instead of ranges.")
@json_option
@click.pass_obj
def command(options: Options, number: int, each_window: bool, as_json: bool) -> None:
    """Show the progress of a backfill and its windows.

    \b
    Examples:
      opsconsole backfill show 12
      opsconsole backfill show 12 --windows
    """
    with open_service(load_settings(options), reads=True) as service:
        if as_json:
            print_json(document(service, number))
            return
        backfill, steps = service.backfills.get(number), service.backfills.steps(number)
        tz = str(service.queries.zone(backfill.jobs[0]))
    echo(summary(backfill))
    started = f", started {timestamp(backfill.started_at, tz)}" if backfill.started_at else ""
    echo(f"planned {timestamp(backfill.created_at, tz)} by {backfill.requested_by}{started}")
    if backfill.stop is not None:
        echo(safe(wording.backfill_stop(backfill.stop)))
    if each_window:
        print_steps(steps)
        return
    for job in backfill.jobs:
        echo(f"{job}:")
        for line in ranges((view.step.window.label, view.state) for view in steps if view.step.job == job):
            echo(f"  {line}")
