"""`show`: one run in detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsconsole.authoring.run import Run, Trigger
from opsconsole.cli.commands import Command
from opsconsole.cli.commands.logs import LONGEST_LINE
from opsconsole.cli.completion import complete_run
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table, run_sentence
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import count, timestamp, words
from opsconsole.core.text import safe
from opsconsole.service import wording

if TYPE_CHECKING:
    from opsconsole.service.run_details import RunPage
    from opsconsole.store.failed_items import FailedItem


@click.command("show", cls=Command)
@click.argument("run_number", metavar="RUN", type=int, shell_complete=complete_run)
@click.option("--failed", is_flag=True, help="List every item that failed, with its batch, kind and message.")
@json_option
@click.pass_obj
def command(options: Options, run_number: int, failed: bool, as_json: bool) -> None:
    """Show one run: counts, causes of failures, log.

    \b
    Examples:
      opsconsole show 41
      opsconsole show 41 --failed --json
    """
    with open_service(load_settings(options), reads=True) as service:
        if failed:
            _print_failed(list(service.history.all_failed_items(run_number)), as_json=as_json)
            return
        page = service.queries.run_page(run_number)
    if as_json:
        from opsconsole.service.run_documents import run_details  # loads the service

        print_json(run_details(page))
    else:
        _print_page(page)


def _print_failed(items: list[FailedItem], *, as_json: bool) -> None:
    if as_json:
        from opsconsole.service.run_documents import failed_item  # loads the service

        print_json([failed_item(each) for each in items])
    elif not items:
        echo("no item failed")
    else:
        rows = [(each.item, each.batch, words(each.kind or ""), each.message or "") for each in items]
        print_table(("ITEM", "BATCH", "KIND", "MESSAGE"), rows, right=(1,))


def _print_page(page: RunPage) -> None:
    run, tz = page.progress.run, page.progress.tz
    how = f" ({run.trigger})" if run.trigger in (Trigger.RETRY, Trigger.BACKFILL) else ""
    by = "the schedule" if run.trigger is Trigger.SCHEDULE else f"{run.requested_by}{how}"
    echo(run_sentence(run))
    echo(f"requested by {by}, data as of {timestamp(run.as_of, tz)}, {_attempt(run)}")
    if page.progress.waits:
        echo(f"waiting for {wording.wait(page.progress.waits)}")
    if run.params:
        echo(f"parameters: {wording.parameters(run.params)}")
    if run.stop:
        end = "" if run.ended_at else f"; forced at {timestamp(run.stop.force_at, tz)}"
        echo(f"stop requested {timestamp(run.stop.at, tz)}: {safe(run.stop.message)}{end}")
    if run.parent:
        echo(f"retry of run {run.parent}")
    if page.retried_by:
        echo(f"retried by {', '.join(f'run {child}' for child in page.retried_by)}")
    if run.keys_removed:
        echo(wording.KEYS_REMOVED)
    if run.metrics:
        echo(", ".join(f"{name} {n:,}" for name, n in run.metrics.items()))
    for cause in page.causes:
        echo(f"{cause.count:>7,}  {cause.message}   {' '.join(safe(item, 60) for item in cause.items)}")
    for at, line in page.log:
        echo(f"{timestamp(at, tz)}  {safe(line, LONGEST_LINE)}")


def _attempt(run: Run) -> str:
    interrupted = f", interrupted {count(run.recoveries, 'time')}" if run.recoveries else ""
    return f"attempt {run.attempt}{interrupted}"
