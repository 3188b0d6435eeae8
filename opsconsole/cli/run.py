"""`run` and `retry`: asks for a run, and follows it to its end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from opsconsole.cli import printing
from opsconsole.cli.opening import Options, desk_of, log_to_file, settings_of
from opsconsole.errors import Exit, OpsconsoleError, Refused

if TYPE_CHECKING:
    from opsconsole.desk import Desk
    from opsconsole.desk.values import Outcome
    from opsconsole.engine import Engine
    from opsconsole.model import Run

ANSWER_SECONDS = 2.0
FOLLOW_SECONDS = 0.1
PATIENCE = 5
"""So many looks in a row, a second apart, may find the engine in trouble."""


class EngineStumbles(OpsconsoleError):
    """The engine of this process cannot work."""


_wait = click.option("--wait", is_flag=True, help="Follow it to its end; the exit code is its result.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what it would do.")
_json = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.command()
@click.argument("job")
@click.option("--date", "day", metavar="D", help="The window that holds this day (2026-01-19), in the job's zone.")
@_wait
@_dry_run
@_json
@click.pass_obj
def run(options: Options, job: str, day: str | None, wait: bool, dry_run: bool, as_json: bool) -> None:
    """Runs a job once, for the window of now or of a date.

    Without --wait the process that leads carries it out. With --wait this one does, if nobody leads. Exit codes with
    --wait: 0 done, 3 finished with failed items, 1 failed, 4 refused.
    """
    with desk_of(settings_of(options), note=wait) as desk:
        if dry_run:
            told = desk.preview(job, day)
            if as_json:
                printing.as_json({"job": told.job, "window": told.window.label, "items": told.items})
            else:
                click.echo(f"would run {told.job} for {told.window.label} ({told.tz}): {told.items:,} items")
            return
        _carry(desk, desk.trigger(job, day), wait=wait, as_json=as_json)


@click.command()
@click.argument("run_number", metavar="RUN", type=int)
@click.option("--all", "everything", is_flag=True, help="All of its items, not only those that failed.")
@_wait
@_dry_run
@_json
@click.pass_obj
def retry(options: Options, run_number: int, everything: bool, wait: bool, dry_run: bool, as_json: bool) -> None:
    """Runs what failed in a run once more: a new run with the same window."""
    with desk_of(settings_of(options), note=wait) as desk:
        if dry_run:
            counts = desk.run(run_number).counts
            items = counts.planned if everything else counts.failed + counts.not_reached
            if as_json:
                printing.as_json({"run": run_number, "items": items})
            else:
                click.echo(f"would retry {items:,} items of run {run_number}")
            return
        _carry(desk, desk.retry(run_number, everything=everything), wait=wait, as_json=as_json)


def _carry(desk: Desk, command: int, *, wait: bool, as_json: bool) -> None:
    if not wait:
        made = _answer(desk.outcome(command, ANSWER_SECONDS))
        if made is None:
            click.echo(
                f"asked for as command {command}, but nobody leads now: it is carried out when a console or "
                "`opsconsole headless` runs; --wait does it here",
                err=True,
            )
            if as_json:
                printing.as_json({"command": command, "state": "asked"})
        elif as_json:
            printing.as_json(printing.run_facts(desk.run(made)))
        else:
            click.echo(f"run {made} is queued; `opsconsole show {made}` tells how it goes")
        return
    from opsconsole.engine import Engine

    log_to_file(desk.settings.folder)
    engine = Engine(desk.settings, desk.store, desk.catalog, only=command)
    engine.start()
    try:
        made = _carried_out(desk, engine, command)
        ended = _follow(desk, made)
    finally:
        engine.stop()
    if as_json:
        printing.as_json(printing.run_facts(ended))
    else:
        click.echo(printing.sentence(ended))
    sys.exit(_exit_code(ended))


def _carried_out(desk: Desk, engine: Engine, command: int) -> int:
    """Waits until some leader has carried the command out; the run it made. Raises Refused, or EngineStumbles when
    this process would have to lead and cannot.
    """
    stumbles = 0
    while (made := _answer(desk.outcome(command, 1.0))) is None:
        stumbles = stumbles + 1 if engine.problem else 0
        if stumbles == PATIENCE:
            raise EngineStumbles(f"{engine.problem}; command {command} waits for a leader")
    return made


def _answer(outcome: Outcome | None) -> int | None:
    """The run that a command made; None while nobody has carried it out. Raises Refused."""
    if outcome is None:
        return None
    if outcome.refused is not None:
        refused = Refused(outcome.refused)
        refused.exit_code = Exit(outcome.exit_code)
        raise refused
    return outcome.run


def _follow(desk: Desk, number: int) -> Run:
    """Waits for a run's end, with a progress bar when somebody looks."""
    if not sys.stderr.isatty():
        while (ended := desk.wait_for(number, 60)) is None:
            pass
        return ended
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"run {number}", total=None)
        while True:
            found = desk.run(number)
            bar.update(task, completed=found.counts.tried, total=found.counts.planned or None)
            if (ended := desk.wait_for(number, FOLLOW_SECONDS)) is not None:
                return ended


def _exit_code(run: Run) -> Exit:
    from opsconsole.model import RunState

    if run.state is RunState.SUCCEEDED:
        return Exit.DONE
    return Exit.ITEMS_FAILED if run.state is RunState.PARTIAL else Exit.FAILED
