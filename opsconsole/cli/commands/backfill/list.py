"""`backfill list`: the newest backfills."""

from __future__ import annotations

import click

from opsconsole.cli.backfill_output import progress, time_taken
from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import duration, timestamp


@click.command("list", cls=Command)
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Number of backfills.")
@json_option
@click.pass_obj
def command(options: Options, limit: int, as_json: bool) -> None:
    """List the newest backfills and plans.

    \b
    Examples:
      opsconsole backfill list
      opsconsole backfill list -n 50 --json
    """
    with open_service(load_settings(options), reads=True) as service:
        backfills = service.backfills.newest(limit=limit)
    if as_json:
        from opsconsole.service.backfill_documents import backfill_document  # loads the service

        print_json([backfill_document(each) for each in backfills])
        return
    if not backfills:
        echo("no backfills yet; plan one with `opsconsole backfill plan JOB --from DATE --to DATE`")
        return
    print_table(
        ("ID", "STATE", "JOBS", "FROM", "TO", "ONLY", "WINDOWS", "BY", "CREATED", "TOOK"),
        [
            (
                each.id,
                each.state,
                ", ".join(each.jobs),
                each.since,
                each.until,
                str(each.only),
                progress(each),
                each.requested_by,
                timestamp(each.created_at),
                duration(took) if (took := time_taken(each)) else "-",
            )
            for each in backfills
        ],
        right=(0,),
    )
