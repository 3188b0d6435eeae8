"""`events replay`: publishes events again, for consumers that lost them."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import confirm, json_option, past_time, yes_option
from opsconsole.cli.session import open_service
from opsconsole.core.clock import now
from opsconsole.core.humanize import local_time


@click.command("replay", cls=Command, exit_codes=ACTING)
@click.option("--since", metavar="TIME", required=True, help="First time, in UTC; 7d means seven days ago.")
@yes_option
@json_option
@click.pass_obj
def command(options: Options, since: str, yes: bool, as_json: bool) -> None:
    """Publish the events since a time again.

    An event keeps its id, so that consumers can ignore duplicates.

    \b
    Examples:
      opsconsole events replay --since 2h
      opsconsole events replay --since 2026-01-19T18:20:00Z --yes
    """
    with open_service(load_settings(options)) as service:
        start = past_time("--since", since, service.queries.zone(None), now())
        assert start is not None  # noqa: S101 - the option is required
        environment = service.settings.console.environment
        where = f" in {environment}" if environment else ""
        confirm(f"Publish all events since {local_time(start, 'UTC')} again{where}?", yes=yes)
        number = service.commands.replay_events(start)
        outcome = carry_out(service, number)
    if as_json:
        document = {"command": number, "state": "done", "message": outcome.done}
        print_json({**document, "events": outcome.facts["events"]})
    else:
        echo(outcome.done)
