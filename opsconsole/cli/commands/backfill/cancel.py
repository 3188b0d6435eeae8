"""`backfill cancel`: ends a backfill early, with its runs."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.commands.backfill.apply import print_command
from opsconsole.cli.completion import complete_backfill
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import NotEnded, leading, outcome_of, wait_for_outcome
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.prompts import confirm, json_option, note_option, yes_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import count

END_SECONDS = 20.0
"""Longer than the grace period of a run and the time to end a worker."""


@click.command("cancel", cls=Command, exit_codes=ACTING)
@click.argument("number", metavar="ID", type=int, shell_complete=complete_backfill)
@click.option("--wait", is_flag=True, help="Wait until none of its windows is running.")
@note_option
@yes_option
@json_option
@click.pass_obj
def command(options: Options, number: int, wait: bool, note: str, yes: bool, as_json: bool) -> None:
    """Cancel a backfill and its active runs.

    Active runs end when their batches in flight are done. Finished windows stay as they are, and
    `opsconsole backfill resume ID` runs the rest.

    \b
    Examples:
      opsconsole backfill cancel 12
      opsconsole backfill cancel 12 --note "wrong dates" --yes
    """
    with open_service(load_settings(options)) as service:
        backfill = service.backfills.get(number)
        progress = f"{backfill.ended:,} of {count(backfill.to_run, 'window')} are finished."
        confirm(f"Cancel backfill {number}? {progress}", yes=yes)
        request = service.backfills.cancel(number, note=note)
        outcome = outcome_of(service, request)
        if outcome is None or wait:
            # Also while another process leads: that one may end before the last run does.
            with leading(service, request) as engine:
                outcome = wait_for_outcome(service, engine, request)
                if service.backfills.wait_for(number, END_SECONDS) is None:
                    raise NotEnded(f"a run of backfill {number} has not ended within {END_SECONDS:g} s")
        print_command(service, number, request, outcome.done, as_json=as_json)
