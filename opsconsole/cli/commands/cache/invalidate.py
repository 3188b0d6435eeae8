"""`cache invalidate`: removes what was computed from data that another program has changed."""

from __future__ import annotations

import click

from opsconsole.cache.filters import ClearFilter
from opsconsole.cli.commands import Command
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service


@click.command("invalidate", cls=Command, exit_codes=ACTING)
@click.option("--user", metavar="ID", help="Only what was computed for this user.")
@click.option("--subject", metavar="ID", help="Only what was computed for this subject.")
@click.option("--source", metavar="TABLE", help="Only what was computed from this; see `opsconsole cache families`.")
@json_option
@click.pass_obj
def command(options: Options, user: str | None, subject: str | None, source: str | None, as_json: bool) -> None:
    """Remove cached values after another program has changed data.

    A value has to match every option that is given. Readers compute it again. Families without such an id in their keys
    are skipped. It does not ask for confirmation: programs call it after each change.

    \b
    Examples:
      opsconsole cache invalidate --user u0417
      opsconsole cache invalidate --source questions --subject s3
      opsconsole cache invalidate --source session_configs
    """
    if user is None and subject is None and source is None:
        raise click.UsageError("give a user, a subject or a source: nothing is removed without a condition")
    with open_service(load_settings(options)) as service:
        number = service.commands.clear_cache(ClearFilter(user, subject, source=source))
        outcome = carry_out(service, number)
    facts = outcome.facts
    if as_json:
        cleared = {name: facts[name] for name in ("cleared", "families", "skipped_families")}
        print_json({"command": number, "message": outcome.done, **cleared})
        return
    echo(outcome.done)
    if facts["skipped_families"]:
        echo(f"skipped families without such an id: {', '.join(facts['skipped_families'])}")
