"""`panels`: what packs say of themselves, as on screen 7."""

from __future__ import annotations

import sys

import click

from opsconsole.cli import output as printing
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import Options, open_service, settings_of
from opsconsole.core.errors import Exit


@click.command()
@click.argument("pack", required=False)
@json_option
@click.pass_obj
def panels(options: Options, pack: str | None, as_json: bool) -> None:
    """Shows what packs say of themselves now; of one of them when it is named.

    Ends with 1 when one of them cannot be read.

    \b
    Examples:
      opsconsole panels
      opsconsole panels exams --json
    """
    with open_service(settings_of(options)) as service:
        names = [each.name for each in service.catalog.packs]
        if pack is not None and pack not in names:
            raise click.UsageError(f"there is no pack {pack!r}; the packs are {', '.join(names)}")
        found = [view for view in service.queries.panels() if pack in (None, view.pack)]
    if as_json:
        printing.as_json(
            [
                {
                    "pack": view.pack,
                    "title": view.title,
                    "facts": dict(view.shown.facts),
                    "columns": view.shown.columns,
                    "rows": view.shown.rows,
                    "message": view.shown.message,
                    "troubled": view.troubled,
                }
                for view in found
            ]
        )
    for number, view in enumerate([] if as_json else found):
        click.echo(("\n" if number else "") + f"{view.pack}: {view.title}")
        if view.shown.message:
            click.echo(view.shown.message)
        if view.shown.facts:
            width = max(len(name) for name, _ in view.shown.facts)
            for name, value in view.shown.facts:
                click.echo(f"  {name.ljust(width)}  {value}")
        if view.shown.columns:
            printing.table(view.shown.columns, view.shown.rows)
    if any(view.troubled for view in found):
        sys.exit(Exit.FAILED)
