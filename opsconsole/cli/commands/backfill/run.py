"""`backfill run`: plans, confirms and applies."""

from __future__ import annotations

import click

from opsconsole.cli.backfill_output import print_plan
from opsconsole.cli.commands import Command
from opsconsole.cli.commands.backfill.apply import follow, question
from opsconsole.cli.commands.backfill.plan import (
    at_once_option,
    jobs_argument,
    make_plan,
    newest_first_option,
    only_option,
    since_option,
    stop_option,
    until_option,
    windows_option,
)
from opsconsole.cli.exit_codes import BACKFILLING
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.prompts import json_option, require_yes, wait_option, yes_option
from opsconsole.cli.session import open_service
from opsconsole.rules.backfill import Only, Order


@click.command("run", cls=Command, exit_codes=BACKFILLING)
@jobs_argument
@since_option
@until_option
@only_option
@newest_first_option
@at_once_option
@stop_option
@windows_option
@yes_option
@wait_option
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
    yes: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Plan, confirm, and apply the plan.

    The plan is stored, printed, and run once you have confirmed it.

    \b
    Examples:
      opsconsole backfill run reporting.daily_report --from 2026-01-01 --to 2026-01-31 --wait
      opsconsole backfill run attempts.cache_day --from 2026-01-01 --to 2026-01-31 --only missing,failed --yes
    """
    with open_service(load_settings(options), waits=wait) as service:
        order = Order(newest_first, at_once)
        number = make_plan(service, jobs, since, until, only, order, stop_on_failure=stop_on_failure)
        if not as_json:
            print_plan(service, number, each_window=each_window)
        if service.backfills.get(number).to_run:
            require_yes(question(service, number), yes=yes)
        follow(service, number, service.backfills.apply(number), wait=wait, as_json=as_json)
