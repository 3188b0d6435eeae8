"""`backfill apply`: runs exactly what was planned."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from opsconsole.authoring.run import LIVE
from opsconsole.cli.backfill_output import document, print_result
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_plan
from opsconsole.cli.exit_codes import BACKFILLING
from opsconsole.cli.following import leading, outcome_of, print_waiting, wait_for_outcome
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.progress import bar
from opsconsole.cli.prompts import confirm, json_option, require_yes, wait_option, yes_option
from opsconsole.cli.session import open_service
from opsconsole.core.errors import Exit
from opsconsole.core.humanize import count
from opsconsole.rules.backfill import StepState
from opsconsole.rules.backfill_status import Backfill, BackfillState
from opsconsole.service import confirmations

if TYPE_CHECKING:
    from opsconsole.service.service import Service

POLL_SECONDS = 0.2
ACTIVE_RUNS = 50
"""Active runs among which those of one backfill are looked for."""


@click.command("apply", cls=Command, exit_codes=BACKFILLING)
@click.argument("number", metavar="PLAN", type=int, shell_complete=complete_plan)
@yes_option
@wait_option
@json_option
@click.pass_obj
def command(options: Options, number: int, yes: bool, wait: bool, as_json: bool) -> None:
    """Run exactly what was planned.

    It is refused, naming the differences, if something has changed since.

    \b
    Examples:
      opsconsole backfill apply 12
      opsconsole backfill apply 12 --wait --json
    """
    with open_service(load_settings(options), waits=wait) as service:
        environment = service.settings.console.environment
        # The plan was reviewed before; in production it has to be confirmed all the same.
        ask = require_yes if confirmations.is_production(environment) else confirm
        ask(question(service, number), yes=yes)
        follow(service, number, service.backfills.apply(number), wait=wait, as_json=as_json)


def question(service: Service, number: int) -> str:
    """The question before a plan is applied."""
    plan, environment = service.backfills.get(number), service.settings.console.environment
    where = f" in {environment}" if environment else ""
    return f"Run {count(plan.to_run, 'window')} of {', '.join(plan.jobs)}, {plan.since} to {plan.until}{where}?"


def follow(service: Service, number: int, command: int, *, wait: bool, as_json: bool) -> None:
    """Prints the outcome of a command about a backfill: once it has started, or with `wait` once it has ended."""
    if wait:
        ended = _wait_for_end(service, number, command)
        if as_json:
            print_json(document(service, number))
        else:
            print_result(ended, service.backfills.steps(number))
        sys.exit(_exit_code(ended))
    outcome = outcome_of(service, command)
    if outcome is None:
        print_waiting(command)
    message = f"{outcome.done}; `opsconsole backfill show {number}` shows its progress" if outcome else None
    print_command(service, number, command, message, as_json=as_json)


def print_command(service: Service, number: int, command: int, message: str | None, *, as_json: bool) -> None:
    """Prints the outcome of a command about a backfill; None while it waits for a leader."""
    if as_json:
        print_json({**document(service, number), "command": command, "message": message})
    elif message is not None:
        echo(message)


def _wait_for_end(service: Service, number: int, command: int) -> Backfill:
    """Waits until none of its windows is running. While no other process leads, this one carries it out."""
    while True:
        with leading(service, command) as engine, bar(f"backfill {number}", "windows") as shown:
            try:
                wait_for_outcome(service, engine, command)
                while (ended := service.backfills.wait_for(number, POLL_SECONDS)) is None:
                    backfill = service.backfills.get(number)
                    shown.update(
                        backfill.ended, backfill.to_run, _active_windows(service, backfill) if shown.is_shown else ""
                    )
                    if backfill.command is not None and backfill.command != command:
                        # It was paused and resumed meanwhile: its runs belong to the newer command.
                        command = backfill.command
                        break
                else:
                    return ended
            except KeyboardInterrupt:
                hint = f"backfill {number} continues when a process leads"
                echo(f"{hint}; end it with `opsconsole backfill cancel {number}`", err=True)
                raise


def _active_windows(service: Service, backfill: Backfill) -> str:
    runs = [run for run in service.queries.runs(limit=ACTIVE_RUNS, states=LIVE) if run.command == backfill.command]
    return ", ".join(f"{run.job} {run.window.label}" for run in reversed(runs))


def _exit_code(ended: Backfill) -> Exit:
    if ended.state is not BackfillState.DONE:
        return Exit.FAILED
    done, partial = (ended.counts.get(state, 0) for state in (StepState.DONE, StepState.PARTIAL))
    if done == ended.to_run:
        return Exit.DONE
    return Exit.ITEMS_FAILED if done or partial else Exit.FAILED
