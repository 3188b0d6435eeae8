"""`cancel`: ends a run early."""

from __future__ import annotations

import click

from opsconsole.authoring.run import Run
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_active_run
from opsconsole.cli.following import ANSWER_SECONDS, NotEnded, leading, outcome_of, wait_for_outcome
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, run_document, run_sentence
from opsconsole.cli.prompts import confirm, json_option, note_option, yes_option
from opsconsole.cli.session import open_service
from opsconsole.rules.actions import check_cancel

END_SECONDS = 20.0
"""Longer than the grace period of a run and the time to end a worker."""


@click.command("cancel", cls=Command)
@click.argument("run_number", metavar="RUN", type=int, shell_complete=complete_active_run)
@click.option("--force", is_flag=True, help="Do not wait for batches in flight: end their workers.")
@click.option("--wait", is_flag=True, help="Wait until the run has ended.")
@note_option
@yes_option
@json_option
@click.pass_obj
def command(options: Options, run_number: int, force: bool, wait: bool, note: str, yes: bool, as_json: bool) -> None:
    """Cancel a run.

    It ends when its batches in flight are done, after ten seconds at the latest; with --force it ends at once. Items
    that are done stay done, and `opsconsole retry RUN` runs the rest.
    """
    with open_service(load_settings(options)) as service:
        run = service.queries.run(run_number)
        check_cancel(run)
        how = "at once, in the middle of its batches" if force else "when its batches in flight are done"
        confirm(f"Cancel run {run_number} of {run.job} for {run.window.label} {how}?{_progress(run)}", yes=yes)
        number = service.commands.cancel(run_number, force=force, note=note)
        outcome = outcome_of(service, number)
        ended: Run | None = None
        if outcome is None or wait:
            # Also while another process leads: that one may end before the run does.
            with leading(service, number) as engine:
                outcome = wait_for_outcome(service, engine, number)
                ended = service.commands.wait_for_run(run_number, END_SECONDS if wait else ANSWER_SECONDS)
        if wait and ended is None:
            raise NotEnded(f"run {run_number} has not ended within {END_SECONDS:g} s; a leader will end it")
        if as_json:
            document = run_document(ended or service.queries.run(run_number))
            print_json({"command": number, "message": outcome.done, **document})
        else:
            echo(run_sentence(ended) if ended else outcome.done)


def _progress(run: Run) -> str:
    counts = run.counts
    return f" {counts.tried:,} of {counts.planned:,} items are done." if counts.planned else ""
