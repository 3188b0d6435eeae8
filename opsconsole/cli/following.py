"""Waits for what a command comes to; when nobody leads, this process leads for as long as that takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from opsconsole.cli.session import log_to_file
from opsconsole.core.errors import Exit, OpsconsoleError, Refused

if TYPE_CHECKING:
    from opsconsole.authoring.run import Run
    from opsconsole.leader.engine import Engine
    from opsconsole.service.service import Service
    from opsconsole.service.snapshot import Outcome

ANSWER_SECONDS = 2.0
FOLLOW_SECONDS = 0.1
PATIENCE = 5
"""So many looks in a row, a second apart, may find the engine in trouble."""


class EngineStumbles(OpsconsoleError):
    """The engine of this process cannot work."""


def answer(service: Service, command: int, seconds: float | None = None) -> Outcome | None:
    """What came of a command; None when nobody has carried it out within so long, which is no time at all by default
    when nobody leads. Raises Refused.
    """
    if seconds is None:
        seconds = ANSWER_SECONDS if service.queries.leader() else 0.0
    outcome = service.commands.outcome(command, seconds)
    if outcome is not None and outcome.refused is not None:
        refused = Refused(outcome.refused)
        refused.exit_code = Exit(outcome.exit_code)
        raise refused
    return outcome


def settled(service: Service, command: int) -> Outcome:
    """What came of a command, which this process carries out when nobody else does. Raises Refused, or EngineStumbles
    when it cannot.
    """
    outcome = answer(service, command)
    if outcome is None:
        with leading_for(service, command) as engine:
            outcome = carried_out(service, engine, command)
    return outcome


@contextmanager
def leading_for(service: Service, command: int) -> Iterator[Engine]:
    """Until the end of the block this process carries out a command and its runs, whenever nobody else leads."""
    from opsconsole.leader.engine import Engine

    log_to_file(service.settings.folder)
    engine = Engine(service.settings, service.store, service.catalog, only=command)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def carried_out(service: Service, engine: Engine, command: int) -> Outcome:
    """Waits until some leader has carried the command out. Raises Refused, or EngineStumbles when this process would
    have to lead and cannot.
    """
    stumbles = 0
    while (outcome := answer(service, command, 1.0)) is None:
        stumbles = stumbles + 1 if engine.problem else 0
        if stumbles == PATIENCE:
            raise EngineStumbles(f"{engine.problem}; command {command} waits for a leader")
    return outcome


def followed(service: Service, number: int) -> Run:
    """Waits for a run's end, with a progress bar when somebody looks."""
    if not sys.stderr.isatty():
        while (ended := service.commands.wait_for_run(number, 60)) is None:
            pass
        return ended
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"run {number}", total=None)
        while True:
            found = service.queries.run(number)
            bar.update(task, completed=found.counts.tried, total=found.counts.planned or None)
            if (ended := service.commands.wait_for_run(number, FOLLOW_SECONDS)) is not None:
                return ended


def nobody_leads(command: int) -> None:
    """Tells that a command waits, on standard error."""
    click.echo(
        f"asked for as command {command}, but nobody leads now: it is carried out when a console or "
        "`opsconsole headless` runs; --wait does it here",
        err=True,
    )


def exit_code(ended: Sequence[Run]) -> Exit:
    """The exit code of the worst of these runs."""
    from opsconsole.authoring.run import RunState

    states = {run.state for run in ended}
    if states <= {RunState.SUCCEEDED}:
        return Exit.DONE
    return Exit.ITEMS_FAILED if states <= {RunState.SUCCEEDED, RunState.PARTIAL} else Exit.FAILED
