"""`backfill plan`: which past windows would be run, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from opsconsole.authoring.definition import MAX_AT_ONCE
from opsconsole.cli.backfill_output import document, print_plan
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_job
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.progress import bar
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.rules.backfill import BadSelection, Only, Order
from opsconsole.rules.dates import parse_date_range

if TYPE_CHECKING:
    from opsconsole.service.service import Service


class OnlyType(click.ParamType[Only]):
    """A selection of windows such as `missing,failed`."""

    name = "selection"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Only:
        """The selection. Raises BadParameter."""
        try:
            return value if isinstance(value, Only) else Only.parse(value)
        except BadSelection as error:
            self.fail(error.sentence, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 - of click
        """The placeholder in help."""
        return "|".join(map(str, Only))

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - of click
        param: click.Parameter,  # noqa: ARG002 - of click
        incomplete: str,
    ) -> list[CompletionItem]:
        """The words that can follow the last comma."""
        before, comma, typed = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{each}") for each in Only if str(each).startswith(typed)]


jobs_argument = click.argument("jobs", metavar="JOB...", nargs=-1, required=True, shell_complete=complete_job)
since_option = click.option("--from", "since", metavar="DATE", required=True, help="First date, in each job's zone.")
until_option = click.option("--to", "until", metavar="DATE", required=True, help="Last date, included.")
only_option = click.option(
    "--only",
    type=OnlyType(),
    default=str(Only.MISSING),
    show_default=True,
    help="Windows to select: without a run, with outdated results, with failed items, or all. Combine with commas.",
)
newest_first_option = click.option("--newest-first", is_flag=True, help="Run the newest windows first.")
at_once_option = click.option(
    "--at-once", metavar="N", type=click.IntRange(1, MAX_AT_ONCE), help="Run at most N windows at once."
)
stop_option = click.option("--stop-on-failure", is_flag=True, help="Pause the backfill when a window fails.")
windows_option = click.option("--windows", "each_window", is_flag=True, help="List each window instead of ranges.")


@click.command("plan", cls=Command, exit_codes=ACTING)
@jobs_argument
@since_option
@until_option
@only_option
@newest_first_option
@at_once_option
@stop_option
@windows_option
@json_option
@click.pass_obj
def command(
    options: Options,
    jobs: tuple[str, ...],
    since: str,
    until: str,
    only: Only,
    newest_first: bool,
    at_once: int | None,
    stop_on_failure: bool,
    each_window: bool,
    as_json: bool,
) -> None:
    """Plan which past windows to run.

    Stores the plan and prints what it would run or skip, and why. Nothing is run until it is applied.

    \b
    Examples:
      opsconsole backfill plan reporting.daily_report --from 2026-01-01 --to 2026-01-31
      opsconsole backfill plan reporting.daily_report --from 2026-01-01 --to 2026-01-31 --only missing,failed
      opsconsole backfill plan attempts.cache_day --from 2026-01-01 --to 2026-01-31 --newest-first --at-once 2
    """
    with open_service(load_settings(options)) as service:
        order = Order(newest_first, at_once)
        number = make_plan(service, jobs, since, until, only, order, stop_on_failure=stop_on_failure)
        if as_json:
            print_json(document(service, number))
        else:
            print_plan(service, number, each_window=each_window)
            if service.backfills.get(number).to_run:
                echo(f"apply it with `opsconsole backfill apply {number}`")


def make_plan(
    service: Service, jobs: Sequence[str], since: str, until: str, only: Only, order: Order, *, stop_on_failure: bool
) -> int:
    """Stores a plan, with a progress bar on a terminal; its number."""
    first, last = parse_date_range(since, until)
    with bar("checking", "windows") as shown:
        return service.backfills.plan(
            jobs,
            first,
            last,
            only=only,
            order=order,
            stop_on_failure=stop_on_failure,
            progress=lambda job, done, total: shown.update(done, total, job),
        )
