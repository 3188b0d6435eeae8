"""`panels`: the panels that packs define, as on page 7 of the console."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_pack
from opsconsole.cli.exit_codes import READING
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.errors import Exit

if TYPE_CHECKING:
    from opsconsole.service.snapshot import PanelView


@click.command("panels", cls=Command, exit_codes=READING | {Exit.FAILED: "a panel cannot be read"})
@click.argument("pack", required=False, shell_complete=complete_pack)
@json_option
@click.pass_obj
def command(options: Options, pack: str | None, as_json: bool) -> None:
    """Show the panels of packs, or of one PACK.

    \b
    Examples:
      opsconsole panels
      opsconsole panels exams --json
    """
    with open_service(load_settings(options)) as service:
        names = [each.name for each in service.catalog.packs]
        if pack is not None and pack not in names:
            raise click.UsageError(f"unknown pack {pack!r}; the packs are {', '.join(names) or 'none'}")
        panels = [panel for panel in service.queries.panels() if pack in (None, panel.pack)]
    if as_json:
        print_json(
            [
                {
                    "pack": panel.pack,
                    "title": panel.title,
                    "facts": dict(panel.content.facts),
                    "columns": panel.content.columns,
                    "rows": panel.content.rows,
                    "message": panel.content.message,
                    "failed": panel.failed,
                }
                for panel in panels
            ]
        )
    else:
        for number, panel in enumerate(panels):
            if number:
                echo()
            _print_panel(panel)
    if any(panel.failed for panel in panels):
        sys.exit(Exit.FAILED)


def _print_panel(panel: PanelView) -> None:
    echo(f"{panel.pack}: {panel.title}")
    if panel.content.message:
        echo(panel.content.message)
    if panel.content.facts:
        width = max(len(name) for name, _ in panel.content.facts)
        for name, value in panel.content.facts:
            echo(f"  {name.ljust(width)}  {value}")
    if panel.content.columns:
        print_table(panel.content.columns, panel.content.rows)
