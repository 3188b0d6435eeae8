"""`check` and `migrate`: looking after the installation."""

from __future__ import annotations

import sys

import click

from opsconsole.cli import output as printing
from opsconsole.cli.session import Options, settings_of
from opsconsole.core.errors import Exit


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def check(options: Options, as_json: bool) -> None:
    """Checks configuration, connections, tables and jobs, and says how to mend what is wrong."""
    from opsconsole.cli.installation import findings, notes

    settings = settings_of(options)
    problems, noted = findings(settings), notes(settings)
    if as_json:
        printing.as_json({"ok": not problems, "problems": problems, "notes": noted, "settings": settings.effective()})
    else:
        for name, value in settings.effective().items():
            click.echo(f"{name:<22} {value}")
        for note in noted:
            click.echo(f"· {note}")
        for problem in problems:
            click.echo(f"✗ {problem}")
        click.echo(f"{len(problems)} to mend" if problems else "✓ all is well")
    sys.exit(Exit.CONFIGURATION if problems else Exit.DONE)


@click.command()
@click.option("--data", "with_data", is_flag=True, help="Also create tables and indexes that the jobs' packs miss.")
@click.pass_obj
def migrate(options: Options, with_data: bool) -> None:
    """Brings the store's tables to this version."""
    from opsconsole.cli.installation import migrated

    for line in migrated(settings_of(options), with_data=with_data):
        click.echo(line)
