"""`failures`: which items failed in how many of a job's last runs."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_job
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import count, percent

MAX_RUNS = 100


@click.command("failures", cls=Command)
@click.argument("job", shell_complete=complete_job)
@click.option("--runs", "last", default=5, show_default=True, type=click.IntRange(1, MAX_RUNS), help="Number of runs.")
@click.option(
    "--least",
    default=1,
    show_default=True,
    type=click.IntRange(1, MAX_RUNS),
    help="List items that failed in this many runs or more.",
)
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Number of items.")
@json_option
@click.pass_obj
def command(options: Options, job: str, last: int, least: int, limit: int, as_json: bool) -> None:
    """List which items failed in how many of a job's last runs.

    Backfills do not count. Items that failed in most runs come first.

    \b
    Examples:
      opsconsole failures attempts.cache_day
      opsconsole failures attempts.cache_day --runs 10 --least 2 --json
    """
    with open_service(load_settings(options), reads=True) as service:
        name = service.catalog.find(job).name
        found = service.queries.failing_items(name, last=last, least=least, limit=limit)
    of = len(found.runs)
    if as_json:
        items = [
            {
                "item": each.item,
                "failed": each.failed,
                "rate": each.failed / of,
                "last_run": each.last_run,
                "message": each.message,
            }
            for each in found.items
        ]
        print_json({"job": name, "runs": found.runs, "total": found.total, "items": items})
        return
    runs = count(of, "run")
    if not found.items:
        echo(f"no item failed in the last {runs} of {name}" if of else f"{name} has no runs yet")
        return
    print_table(
        ("ITEM", "FAILED", "RATE", "LAST RUN", "MESSAGE"),
        [
            (each.item, f"{each.failed} of {of}", f"{percent(each.failed / of)} %", each.last_run, each.message or "")
            for each in found.items
        ],
        right=(1, 2, 3),
    )
    if found.total > len(found.items):
        echo(f"{found.total - len(found.items):,} more failed in the last {runs}; -n lists more")
