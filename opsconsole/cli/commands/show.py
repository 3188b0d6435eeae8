"""`show`: one run in detail."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from opsconsole.authoring.run import Run, Stop, Trigger
from opsconsole.cli.commands import Command
from opsconsole.cli.commands.logs import LONGEST_LINE
from opsconsole.cli.completion import complete_run
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table, run_document, run_sentence, utc
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import count, timestamp, words
from opsconsole.core.text import safe
from opsconsole.service import wording

if TYPE_CHECKING:
    from opsconsole.service.snapshot import RunPage
    from opsconsole.store.failed_items import FailedItem


@click.command("show", cls=Command)
@click.argument("run_number", metavar="RUN", type=int, shell_complete=complete_run)
@click.option("--failed", is_flag=True, help="List every item that failed, with its batch, kind and message.")
@json_option
@click.pass_obj
def command(options: Options, run_number: int, failed: bool, as_json: bool) -> None:
    """Show one run: counts, causes of failures, log."""
    with open_service(load_settings(options), reads=True) as service:
        if failed:
            _print_failed(list(service.history.all_failed_items(run_number)), as_json=as_json)
            return
        page = service.queries.run_page(run_number)
    if as_json:
        print_json({**run_document(page.progress.run), **_details(page)})
    else:
        _print_page(page)


def _print_failed(items: list[FailedItem], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(each) for each in items])
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


def _details(page: RunPage) -> dict[str, Any]:
    run = page.progress.run
    return {
        "trigger": run.trigger,
        "requested_by": run.requested_by,
        "parent": run.parent,
        "retried_by": page.retried_by,
        "params": dict(run.params),
        "attempt": run.attempt,
        "keys_removed": run.keys_removed,
        "recoveries": run.recoveries,
        "waiting_for": asdict(page.progress.waits) if page.progress.waits else None,
        "stop": _stop(run.stop),
        "host": run.host,
        "as_of": utc(run.as_of),
        "created_at": utc(run.created_at),
        "started_at": utc(run.started_at),
        "ended_at": utc(run.ended_at),
        "error": run.error,
        "causes": [
            {"kind": cause.kind, "message": cause.message, "count": cause.count, "items": cause.items}
            for cause in page.causes
        ],
        "log": [{"at": utc(at), "line": line} for at, line in page.log],
    }


def _stop(stop: Stop | None) -> dict[str, Any] | None:
    if stop is None:
        return None
    return {
        "reason": stop.reason,
        "requested_by": stop.by,
        "requested_at": utc(stop.at),
        "force_at": utc(stop.force_at),
        "note": stop.note,
        "replaced_by": stop.run,
    }
