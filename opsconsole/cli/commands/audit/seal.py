"""`audit seal`: the newest row of the audit trail and its hash."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service


@click.command("seal", cls=Command)
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Print the newest row and its hash.

    Store it outside the database, and pass it to `opsconsole audit verify --seal` later.

    \b
    Examples:
      opsconsole audit seal
      opsconsole audit seal --json
    """
    with open_service(load_settings(options)) as service:
        seal = service.audit.seal()
    if as_json:
        print_json({"seal": str(seal) if seal else None})
    else:
        echo(str(seal or "the audit trail is empty"))
