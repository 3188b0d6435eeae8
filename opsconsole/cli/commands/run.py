"""`run`: one run of a job, started by hand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from opsconsole.authoring.parameters import BadParameter
from opsconsole.authoring.run import Selection
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_job
from opsconsole.cli.exit_codes import WAITING
from opsconsole.cli.following import exit_code, follow_run, leading, outcome_of, print_waiting, wait_for_outcome
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, run_document, run_sentence
from opsconsole.cli.prompts import dry_run_option, json_option, wait_option
from opsconsole.cli.session import open_service
from opsconsole.core.bounds import shown
from opsconsole.core.errors import Exit
from opsconsole.core.humanize import count

if TYPE_CHECKING:
    from opsconsole.service.service import Service


@click.command("run", cls=Command, exit_codes=WAITING | {Exit.REFUSED: "the window already has an active run"})
@click.argument("job", shell_complete=complete_job)
@click.option("--date", "day", metavar="DATE", help="Run the window that contains this date, in the job's zone.")
@click.option("--only", type=click.Choice(["stale"]), help="Run only items with a missing or outdated result.")
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="Set a parameter of the job. Repeatable.")
@wait_option
@dry_run_option
@json_option
@click.pass_obj
def command(
    options: Options,
    job: str,
    day: str | None,
    only: str | None,
    params: tuple[str, ...],
    wait: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run a job once, for the current window or that of a date.

    The leading process carries it out.

    \b
    Examples:
      opsconsole run attempts.cache_day --dry-run
      opsconsole run attempts.cache_day --date 2026-01-19 --wait
      opsconsole run billing.daily_statements --param customer=asha --wait
    """
    selection, given = Selection(only or Selection.ALL), parsed_parameters(params)
    with open_service(load_settings(options), waits=wait) as service:
        if dry_run:
            preview = service.queries.preview(job, day, only=selection, params=given)
            if as_json:
                print_json({"job": preview.job, "window": preview.window.label, "items": preview.items})
            else:
                what = f"{preview.job} for {preview.window.label} ({preview.tz})"
                echo(f"would run {what}: {count(preview.items, 'item')}")
            return
        follow(service, service.commands.trigger(job, day, only=selection, params=given), wait=wait, as_json=as_json)


def parsed_parameters(given: Sequence[str]) -> dict[str, str]:
    """The parameters of `NAME=VALUE` texts. Raises BadParameter."""
    found: dict[str, str] = {}
    for each in given:
        name, is_set, value = each.partition("=")
        if not is_set or not name:
            raise BadParameter(name, f"a parameter is written as NAME=VALUE, not {shown(each)}")
        if name in found:
            raise BadParameter(name, f"the parameter {name} is given twice; give it once")
        found[name] = value
    return found


def follow(service: Service, number: int, *, wait: bool, as_json: bool) -> None:
    """Prints the run that a command makes: once it is queued, or with `wait` once it has ended."""
    if wait:
        with leading(service, number) as engine:
            made = wait_for_outcome(service, engine, number).run
            assert made is not None  # noqa: S101 - a command that makes a run names it
            ended = follow_run(service, made)
        if as_json:
            print_json(run_document(ended))
        else:
            echo(run_sentence(ended))
        sys.exit(exit_code([ended]))
    outcome = outcome_of(service, number)
    if outcome is None or outcome.run is None:
        print_waiting(number)
        if as_json:
            print_json({"command": number, "state": "requested"})
    elif as_json:
        print_json(run_document(service.queries.run(outcome.run)))
    else:
        echo(f"run {outcome.run} is queued; `opsconsole show {outcome.run}` shows its progress")
