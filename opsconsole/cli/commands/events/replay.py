"""`events`: what jobs told other programs, and telling it again."""

from __future__ import annotations

import click

from opsconsole.cli import following as carrying, output as printing
from opsconsole.cli.prompts import confirm, json_option, moment, yes_option
from opsconsole.cli.session import Options, open_service, settings_of
from opsconsole.core.clock import now
from opsconsole.core.humanize import local_time


@click.group()
def events() -> None:
    """What jobs told other programs."""


@events.command()
@click.option("--since", metavar="T", required=True, help="From this time on, in UTC, or from so long ago (7d).")
@yes_option
@json_option
@click.pass_obj
def replay(options: Options, since: str, yes: bool, as_json: bool) -> None:
    """Publishes once more what happened since then, for programs that have lost it.

    \b
    Examples:
      opsconsole events replay --since 2h
      opsconsole events replay --since 2026-01-19T18:20:00Z --yes
    """
    with open_service(settings_of(options)) as service:
        start = moment("--since", since, service.queries.zone(None), now())
        assert start is not None  # noqa: S101 - the option is required
        environment = service.settings.console.environment
        where = f" in {environment}" if environment else ""
        confirm(f"Publish all events since {local_time(start, 'UTC')} once more{where}?", yes=yes)
        command = service.commands.replay_events(start)
        outcome = carrying.settled(service, command)
    if as_json:
        facts = {"command": command, "state": "done", "done": outcome.done}
        printing.as_json({**facts, "events": outcome.facts["events"]})
    else:
        click.echo(outcome.done)
