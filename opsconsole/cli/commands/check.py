"""`check`: everything that is wrong with an installation, at once."""

from __future__ import annotations

import sys

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.exit_codes import READING
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option
from opsconsole.core.errors import Exit
from opsconsole.core.humanize import count


@click.command("check", cls=Command, exit_codes=READING | {Exit.CONFIGURATION: "there are problems"})
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Check configuration, connections, tables and jobs.

    Prints the effective configuration with secrets masked, then every problem and how to fix it.

    \b
    Examples:
      opsconsole check
      opsconsole --config /etc/opsconsole.toml check --json
    """
    from opsconsole.cli.installation import find_notes, find_problems  # loads SQLAlchemy and redis

    settings = load_settings(options)
    problems, notes = find_problems(settings), [*settings.warnings, *find_notes(settings)]
    if as_json:
        print_json({"ok": not problems, "problems": problems, "notes": notes, "settings": settings.effective()})
    else:
        for name, value in settings.effective().items():
            echo(f"{name:<22} {value}")
        for note in notes:
            echo(f"· {note}")
        for problem in problems:
            echo(f"✗ {problem}")
        echo(count(len(problems), "problem") if problems else "✓ no problems")
    sys.exit(Exit.CONFIGURATION if problems else Exit.DONE)
