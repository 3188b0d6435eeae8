"""`events failed`: the events that could not be published."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table, utc
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import local_time


@click.command("failed", cls=Command)
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Number of events.")
@json_option
@click.pass_obj
def command(options: Options, limit: int, as_json: bool) -> None:
    """List the events that could not be published, newest first.

    They are skipped, so that later events are published. After you have corrected them in the table `events`, publish
    them with `opsconsole events replay`.

    \b
    Examples:
      opsconsole events failed
      opsconsole events failed --json
    """
    with open_service(load_settings(options), reads=True) as service:
        found = service.queries.failed_events(limit=limit)
    if as_json:
        print_json(
            [
                {"id": int(each.subject), "event": each.name, "since": utc(each.since), "reason": each.reason}
                for each in found
            ]
        )
    elif found:
        rows = [(each.subject, each.name, local_time(each.since, "UTC"), each.reason) for each in found]
        print_table(("ID", "EVENT", "SINCE", "REASON"), rows)
    else:
        echo("no event has failed")
