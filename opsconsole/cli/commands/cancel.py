"""`pause`, `resume` and `cancel`: holds schedules up, lets them go on, and ends runs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from opsconsole.calendar.windows import hours
from opsconsole.cli import following as carrying, output as printing
from opsconsole.cli.prompts import coming, confirm, json_option, length, note_option, yes_option
from opsconsole.cli.session import Options, open_service, settings_of
from opsconsole.core.clock import now
from opsconsole.core.errors import OpsconsoleError, Refused

if TYPE_CHECKING:
    from opsconsole.authoring.run import Run
    from opsconsole.service.service import Service
    from opsconsole.service.snapshot import Outcome

PAUSE = hours(12)
"""A pause that nobody remembers ends by itself."""
END_SECONDS = 20.0
"""A run ends within its grace and what it takes to end a worker, or is in trouble."""


class NotEnded(OpsconsoleError):
    """A run that was cancelled still goes on."""


@click.command()
@click.argument("target", metavar="JOB|PACK|all")
@click.option("--for", "lasting", metavar="2h", help="So long; 12 hours if nothing is said.")
@click.option("--until", metavar="T", help="Until this time, in the job's zone.")
@click.option("--until-resumed", "open_ended", is_flag=True, help="Until somebody resumes it.")
@note_option
@json_option
@click.pass_obj
def pause(
    options: Options, target: str, lasting: str | None, until: str | None, open_ended: bool, note: str, as_json: bool
) -> None:
    """Skips the scheduled instants of a job, a pack, or all, for a while. Runs by hand still begin.

    \b
    Examples:
      opsconsole pause attempts.cache_day --for 2h --note "the database is being moved"
      opsconsole pause all --until 06:00
    """
    if sum((lasting is not None, until is not None, open_ended)) > 1:
        raise click.UsageError("say one of --for, --until and --until-resumed")
    span = length("--for", lasting)
    with open_service(settings_of(options)) as service:
        at = now()
        end: datetime | None = None
        if not open_ended:
            end = coming("--until", until, service.queries.zone(target), at) or at + (span or PAUSE)
        command = service.commands.pause(target, until=end, note=note)
        _tell(command, carrying.settled(service, command), as_json=as_json)


@click.command()
@click.argument("target", metavar="JOB|PACK|all")
@note_option
@json_option
@click.pass_obj
def resume(options: Options, target: str, note: str, as_json: bool) -> None:
    """Lets a paused job, pack, or all go on with the next instant."""
    with open_service(settings_of(options)) as service:
        command = service.commands.resume(target, note=note)
        _tell(command, carrying.settled(service, command), as_json=as_json)


@click.command()
@click.argument("run_number", metavar="RUN", type=int)
@click.option("--force", is_flag=True, help="Do not wait for the batches in flight: end their workers.")
@click.option("--wait", is_flag=True, help="Until it has ended.")
@note_option
@yes_option
@json_option
@click.pass_obj
def cancel(options: Options, run_number: int, force: bool, wait: bool, note: str, yes: bool, as_json: bool) -> None:
    """Ends a run: when its batches in flight are done or ten seconds are over, with --force at once.

    What it has done stays done, and `opsconsole retry RUN` does the rest.
    """
    from opsconsole.authoring.run import OPEN

    with open_service(settings_of(options)) as service:
        found = service.queries.run(run_number)
        if found.state not in OPEN:
            raise Refused(f"run {run_number} has ended already, as {found.state}")
        how = "at once, in the middle of its batches" if force else "when its batches in flight are done"
        confirm(f"End run {run_number} of {found.job} for {found.window.label} {how}?{_done(found)}", yes=yes)
        command = service.commands.cancel(run_number, force=force, note=note)
        outcome = carrying.answer(service, command)
        ended: Run | None = None
        if outcome is None or wait:
            # Also with a leader: it may go before the run has ended.
            with carrying.leading_for(service, command) as engine:
                outcome = carrying.carried_out(service, engine, command)
                ended = service.commands.wait_for_run(run_number, END_SECONDS if wait else carrying.ANSWER_SECONDS)
        if wait and ended is None:
            raise NotEnded(f"run {run_number} has not ended within {END_SECONDS:g} s; a leader ends it")
        _tell_cancelled(service, command, outcome, run_number, ended, as_json=as_json)


def _done(run: Run) -> str:
    counts = run.counts
    return f" It has done {counts.tried:,} of {counts.planned:,} items." if counts.planned else ""


def _tell(command: int, outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        printing.as_json({"command": command, "state": "done", "done": outcome.done})
    else:
        click.echo(outcome.done)


def _tell_cancelled(
    service: Service, command: int, outcome: Outcome, number: int, ended: Run | None, *, as_json: bool
) -> None:
    if as_json:
        facts = printing.run_facts(ended or service.queries.run(number))
        printing.as_json({"command": command, "done": outcome.done, **facts})
    else:
        click.echo(printing.sentence(ended) if ended else outcome.done)
