"""`runs`: the newest runs."""

from __future__ import annotations

import click

from opsconsole.authoring.run import RunState, Trigger
from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table, run_document
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import elapsed, timestamp


@click.command("runs", cls=Command)
@click.option("--job", metavar="JOB", help="List only runs of this job.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in RunState]),
    help="List only runs in this state. Repeatable.",
)
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Number of runs.")
@json_option
@click.pass_obj
def command(options: Options, job: str | None, states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List the newest runs."""
    with open_service(load_settings(options)) as service:
        runs = service.queries.runs(limit=limit, job=job, states=[RunState(state) for state in states] or None)
    if as_json:
        print_json([run_document(run) for run in runs])
        return
    if not runs:
        filtered = job is not None or bool(states)
        echo("no runs match" if filtered else "no runs yet; start one with `opsconsole run JOB --wait`")
        return
    print_table(
        ("RUN", "JOB", "WINDOW", "STATE", "BY", "OK", "FAILED", "OF", "TOOK", "STARTED"),
        [
            (
                run.id,
                run.job,
                run.window.label,
                run.state,
                "schedule" if run.trigger is Trigger.SCHEDULE else run.requested_by,
                f"{run.counts.ok:,}",
                f"{run.counts.failed:,}",
                f"{run.counts.planned:,}",
                elapsed(run.seconds),
                timestamp(run.started_at),
            )
            for run in runs
        ],
        right=(0, 5, 6, 7, 8),
    )
