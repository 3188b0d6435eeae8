"""`migrate`: brings tables to this version."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo


@click.command("migrate", cls=Command)
@click.option("--data", "with_data", is_flag=True, help="Also create missing tables and indexes of the packs.")
@click.pass_obj
def command(options: Options, with_data: bool) -> None:
    """Upgrade the tables of the store to this version."""
    from opsconsole.cli.installation import run_migrations  # loads SQLAlchemy

    for line in run_migrations(load_settings(options), with_data=with_data):
        echo(line)
