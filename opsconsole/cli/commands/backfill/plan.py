"""`backfill plan`: which past windows would be run, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from opsconsole.cli.backfill_output import document, print_plan
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_job
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.progress import bar
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.rules.actions import parse_date_range
from opsconsole.rules.backfill import Only

if TYPE_CHECKING:
    from opsconsole.service.service import Service

jobs_argument = click.argument("jobs", metavar="JOB...", nargs=-1, required=True, shell_complete=complete_job)
since_option = click.option("--from", "since", metavar="DATE", required=True, help="First date, in each job's zone.")
until_option = click.option("--to", "until", metavar="DATE", required=True, help="Last date, included.")
only_option = click.option(
    "--only",
    type=click.Choice([only.value for only in Only]),
    default=Only.MISSING.value,
    show_default=True,
    help="Select windows without a run, with outdated results, with failed items, or all.",
)
stop_option = click.option("--stop-on-failure", is_flag=True, help="Pause the backfill when a window fails.")
windows_option = click.option("--windows", "each_window", is_flag=True, help="List each window instead of ranges.")


@click.command("plan", cls=Command)
@jobs_argument
@since_option
@until_option
@only_option
@stop_option
@windows_option
@json_option
@click.pass_obj
def command(
    options: Options,
    jobs: tuple[str, ...],
    since: str,
    until: str,
    only: str,
    stop_on_failure: bool,
    each_window: bool,
    as_json: bool,
) -> None:
    """Plan which past windows to run.

    Stores the plan and prints what it would run or skip, and why. Nothing is run until it is applied.
    """
    with open_service(load_settings(options)) as service:
        number = make_plan(service, jobs, since, until, only, stop_on_failure=stop_on_failure)
        if as_json:
            print_json(document(service, number))
        else:
            print_plan(service, number, each_window=each_window)
            if service.backfills.get(number).to_run:
                echo(f"apply it with `opsconsole backfill apply {number}`")


def make_plan(
    service: Service, jobs: Sequence[str], since: str, until: str, only: str, *, stop_on_failure: bool
) -> int:
    """Stores a plan, with a progress bar on a terminal; its number."""
    first, last = parse_date_range(since, until)
    with bar("checking", "windows") as shown:
        return service.backfills.plan(
            jobs,
            first,
            last,
            only=Only(only),
            stop_on_failure=stop_on_failure,
            progress=lambda job, done, total: shown.update(done, total, job),
        )
