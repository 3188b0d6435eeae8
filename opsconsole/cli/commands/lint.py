"""`lint`: schedules, windows and limits that are probably mistakes."""

from __future__ import annotations

import sys

import click

from opsconsole.authoring import catalog
from opsconsole.cli.commands import Command
from opsconsole.cli.exit_codes import READING
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, utc
from opsconsole.cli.prompts import json_option
from opsconsole.core.clock import now
from opsconsole.core.errors import Exit
from opsconsole.core.humanize import count
from opsconsole.rules.lint import lint


@click.command("lint", cls=Command, exit_codes=READING | {Exit.FAILED: "there are warnings"})
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Warn about questionable schedules, windows and limits.

    \b
    Examples:
      opsconsole lint
      opsconsole lint --json
    """
    settings = load_settings(options)
    jobs = catalog.load(settings.packs, settings.overrides, settings.options, settings.compress_over)
    warnings = lint(jobs, now())
    if as_json:
        print_json(
            [
                {"job": each.job, "rule": each.rule, "message": each.message, "at": [utc(at) for at in each.at]}
                for each in warnings
            ]
        )
    else:
        for each in warnings:
            echo(f"{each.job}: {each.message} [{each.rule}]")
        echo(count(len(warnings), "warning") if warnings else "no warnings")
    sys.exit(Exit.FAILED if warnings else Exit.DONE)
