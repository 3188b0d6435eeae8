"""`migrate`: brings tables to this version."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option


@click.command("migrate", cls=Command, exit_codes=ACTING)
@click.option("--data", "with_data", is_flag=True, help="Also create missing tables and indexes of the packs.")
@json_option
@click.pass_obj
def command(options: Options, with_data: bool, as_json: bool) -> None:
    """Upgrade the tables of the store to this version.

    \b
    Examples:
      opsconsole migrate
      opsconsole migrate --data
    """
    from opsconsole.cli.installation import run_migrations  # loads SQLAlchemy

    lines = run_migrations(load_settings(options), with_data=with_data)
    if as_json:
        print_json({"done": list(lines)})
        return
    for line in lines:
        echo(line)
