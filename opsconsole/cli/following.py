"""Waits for the outcome of a command; while no other process leads, this process leads for that long."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opsconsole.authoring.run import Run, RunState
from opsconsole.cli.log_setup import log_to_file
from opsconsole.cli.output import echo
from opsconsole.cli.progress import bar
from opsconsole.cli.session import create_engine
from opsconsole.core.errors import Exit, OpsconsoleError, Refused, Unavailable

if TYPE_CHECKING:
    from opsconsole.leader.engine import Engine
    from opsconsole.service.outcomes import Outcome
    from opsconsole.service.service import Service

ANSWER_SECONDS = 2.0
POLL_SECONDS = 0.1
LONG_POLL_SECONDS = 60.0
OUTAGE_POLL_SECONDS = 0.5
OUTAGE_SECONDS = 300.0
"""How long a command waits for a store that has become unreachable, before it ends without the result."""
TRIES = 5
"""Checks in a row, a second apart, that may find the engine in trouble."""


class CannotLead(OpsconsoleError):
    """This process has to lead, and its engine cannot."""


class NotEnded(OpsconsoleError):
    """What was cancelled has not ended in time."""


def outcome_of(service: Service, command: int, seconds: float | None = None) -> Outcome | None:
    """The outcome of a command; None when no process carries it out within `seconds`, by default two while another
    process leads and none otherwise. Raises Refused.
    """
    if seconds is None:
        seconds = ANSWER_SECONDS if service.queries.leader() else 0.0
    outcome = service.commands.outcome(command, seconds)
    if outcome is not None and outcome.refused is not None:
        refused = Refused(outcome.refused)
        refused.exit_code = Exit(outcome.exit_code)
        raise refused
    return outcome


def carry_out(service: Service, command: int) -> Outcome:
    """The outcome of a command, which this process carries out if no other does. Raises Refused, CannotLead."""
    outcome = outcome_of(service, command)
    if outcome is None:
        with leading(service, command) as engine:
            outcome = wait_for_outcome(service, engine, command)
    return outcome


@contextmanager
def leading(service: Service, command: int) -> Iterator[Engine]:
    """Until the end of the block, this process carries out a command and its runs whenever no other process leads."""
    log_to_file(service.settings.folder)
    engine = create_engine(service, only_command=command)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def wait_for_outcome(service: Service, engine: Engine, command: int) -> Outcome:
    """Waits until a leader has carried the command out. Raises Refused, or CannotLead when this process has to lead and
    cannot.
    """
    failures, outages = 0, Outages()
    while True:
        with outages:
            if (outcome := outcome_of(service, command, 1.0)) is not None:
                return outcome
            failures = failures + 1 if engine.problem else 0
            if failures == TRIES:
                raise CannotLead(f"{engine.problem}; command {command} is waiting for a leader")


def follow_run(service: Service, number: int) -> Run:
    """Waits for a run's end, with a progress bar on a terminal. Raises Unavailable when the store stays unreachable."""
    outages = Outages()
    with bar(f"run {number}", "items") as shown:
        while True:
            with outages:
                if shown.is_shown:
                    counts = service.queries.run(number).counts
                    shown.update(counts.tried, counts.planned)
                seconds = POLL_SECONDS if shown.is_shown else LONG_POLL_SECONDS
                if (ended := service.commands.wait_for_run(number, seconds)) is not None:
                    return ended


class Outages:
    """A context manager that suppresses Unavailable, waits for a moment, and prints it once for each outage. Raises one
    that lasts longer than OUTAGE_SECONDS, or that is permanent.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, Unavailable):
            self._since = None
            return False
        if self._since is None:
            self._since = time.monotonic()
            echo(f"{error.sentence}; waiting until it responds", err=True)
        if error.permanent or time.monotonic() - self._since > OUTAGE_SECONDS:
            return False
        time.sleep(OUTAGE_POLL_SECONDS)
        return True


def print_waiting(command: int) -> None:
    """Prints on standard error that a command waits for a leader."""
    echo(
        f"command {command} is waiting: no process is leading. A console or `opsconsole headless` will carry it out; "
        "with --wait, the command carries it out itself",
        err=True,
    )


def exit_code(ended: Sequence[Run]) -> Exit:
    """The exit code of the worst of these runs."""
    states = {run.state for run in ended}
    if states <= {RunState.SUCCEEDED}:
        return Exit.DONE
    return Exit.ITEMS_FAILED if states <= {RunState.SUCCEEDED, RunState.PARTIAL} else Exit.FAILED
