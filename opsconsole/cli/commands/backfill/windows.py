"""`backfill windows`: the states of a job's past windows."""

from __future__ import annotations

from collections import Counter

import click

from opsconsole.cli.backfill_output import ranges
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_job
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import words
from opsconsole.rules.dates import parse_date


@click.command("windows", cls=Command)
@click.argument("job", shell_complete=complete_job)
@click.option("--from", "since", metavar="DATE", help="First date (default: 53 weeks ago).")
@click.option("--to", "until", metavar="DATE", help="Last date, included (default: today).")
@json_option
@click.pass_obj
def command(options: Options, job: str, since: str | None, until: str | None, as_json: bool) -> None:
    """Show the states of a job's past windows.

    A window is fresh, stale, partial, failed, missing, running or not due.

    \b
    Examples:
      opsconsole backfill windows reporting.daily_report
      opsconsole backfill windows attempts.cache_day --from 2026-01-01 --to 2026-01-31 --json
    """
    first = parse_date(since) if since else None
    last = parse_date(until) if until else None
    with open_service(load_settings(options)) as service:
        windows = service.backfills.windows(job, first, last)
        tz, name = str(service.queries.zone(job)), service.catalog.find(job).name
    counts = Counter(status.state.value for status in windows)
    if as_json:
        from opsconsole.service.backfill_documents import window_document  # loads the service

        documents = [window_document(status) for status in windows]
        print_json({"job": name, "tz": tz, "counts": counts, "windows": documents})
        return
    echo(f"{name} ({tz}): {', '.join(f'{n:,} {words(state)}' for state, n in counts.most_common())}")
    for line in ranges((status.window.label, words(status.state)) for status in windows):
        echo(f"  {line}")
