"""`cancel`: ends one run, or all matching runs, early."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsconsole.authoring.run import OPEN, Run
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_active_run
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import ANSWER_SECONDS, NotEnded, leading, outcome_of, wait_for_outcome
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table, run_document, run_sentence
from opsconsole.cli.prompts import (
    confirm,
    dry_run_option,
    json_option,
    note_option,
    require_yes,
    the_run,
    yes_option,
)
from opsconsole.cli.session import open_service
from opsconsole.core.errors import Exit
from opsconsole.rules.actions import NoRunToCancel, check_cancel
from opsconsole.service.wording import number_of_runs

if TYPE_CHECKING:
    from opsconsole.service.outcomes import Outcome
    from opsconsole.service.service import Service

NAMED = 5
END_SECONDS = 20.0
"""Longer than the grace period of a run and the time to end a worker."""


@click.command(
    "cancel", cls=Command, exit_codes=ACTING | {Exit.REFUSED: "the run has already ended, or no run matches"}
)
@click.argument("words", metavar="RUN | FILTER...", nargs=-1, required=True, shell_complete=complete_active_run)
@click.option("--force", is_flag=True, help="Do not wait for batches in flight: end their workers.")
@click.option("--wait", is_flag=True, help="Wait until every cancelled run has ended.")
@note_option
@dry_run_option
@yes_option
@json_option
@click.pass_obj
def command(
    options: Options,
    words: tuple[str, ...],
    force: bool,
    wait: bool,
    note: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Cancel a run, or all matching queued and running runs.

    A run ends when its batches in flight are done, after ten seconds at the latest. With --force it ends at once. Items
    that are done stay done, and `opsconsole retry RUN` runs the rest. FILTER is a filter of `opsconsole runs`; matching
    runs are counted before you confirm.

    \b
    Examples:
      opsconsole cancel 41 --wait
      opsconsole cancel cache_day queued --dry-run
      opsconsole cancel by asha since 1h --note "wrong date" --yes
    """
    with open_service(load_settings(options)) as service:
        number, typed = the_run(words), " ".join(words)
        if number is None:
            runs = service.history.cancellable(service.history.parsed(typed))
            if not runs and not dry_run:
                raise NoRunToCancel
        else:
            runs = [service.queries.run(number)]
            check_cancel(runs[0])
        if dry_run:
            _print_matching(runs, as_json=as_json)
        elif number is None:
            how = " at once" if force else ""
            require_yes(f"Cancel {number_of_runs(len(runs))}{how}? {_named(runs)}", yes=yes)
            numbers = [run.id for run in runs]
            request = service.commands.cancel_runs(numbers, force=force, note=note, matching={"q": typed})
            outcome, ended = _follow(service, request, runs, wait=wait)
            if as_json:
                documents = [run_document(run) for run in ended]
                print_json({"command": request, "message": outcome.done, "runs": documents})
            else:
                echo(outcome.done)
        else:
            _cancel_one(service, runs[0], force=force, wait=wait, note=note, yes=yes, as_json=as_json)


def _cancel_one(service: Service, run: Run, *, force: bool, wait: bool, note: str, yes: bool, as_json: bool) -> None:
    how = "at once, in the middle of its batches" if force else "when its batches in flight are done"
    confirm(f"Cancel run {run.id} of {run.job} for {run.window.label} {how}?{_progress(run)}", yes=yes)
    request = service.commands.cancel(run.id, force=force, note=note)
    outcome, (ended,) = _follow(service, request, [run], wait=wait)
    if as_json:
        print_json({"command": request, "message": outcome.done, **run_document(ended)})
    else:
        echo(run_sentence(ended) if ended.state not in OPEN else outcome.done)


def _follow(service: Service, request: int, runs: list[Run], *, wait: bool) -> tuple[Outcome, list[Run]]:
    """The outcome, and the runs as they are then; with `wait` once they have ended. Raises Refused, NotEnded."""
    outcome = outcome_of(service, request)
    if outcome is None or wait:
        # Also while another process leads: that one may end before the runs do.
        with leading(service, request) as engine:
            outcome = wait_for_outcome(service, engine, request)
            for run in runs:
                ended = service.commands.wait_for_run(run.id, END_SECONDS if wait else ANSWER_SECONDS)
                if wait and ended is None:
                    raise NotEnded(f"run {run.id} has not ended within {END_SECONDS:g} s; a leader will end it")
    return outcome, [service.queries.run(run.id) for run in runs]


def _print_matching(runs: list[Run], *, as_json: bool) -> None:
    if as_json:
        print_json([run_document(run) for run in runs])
        return
    if runs:
        rows = [(run.id, run.job, run.window.label, run.state, run.requested_by) for run in runs]
        print_table(("RUN", "JOB", "WINDOW", "STATE", "BY"), rows, right=(0,))
    echo(f"would cancel {number_of_runs(len(runs))}")


def _named(runs: list[Run]) -> str:
    shown = ", ".join(f"{run.id} {run.job}" for run in runs[:NAMED])
    return f"({shown}{f' and {len(runs) - NAMED:,} more' if len(runs) > NAMED else ''})"


def _progress(run: Run) -> str:
    counts = run.counts
    return f" {counts.tried:,} of {counts.planned:,} items are done." if counts.planned else ""
