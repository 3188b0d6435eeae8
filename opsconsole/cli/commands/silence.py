"""`silence`: stops notifications about an alert, a job, a pack or a rule."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import click

from opsconsole.calendar.windows import hours
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_silenceable
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_outcome
from opsconsole.cli.prompts import duration, future_time, json_option, note_option
from opsconsole.cli.session import open_service

DEFAULT_DURATION = hours(12)
"""A forgotten silence must end."""


@click.command("silence", cls=Command, exit_codes=ACTING)
@click.argument("target", metavar="ALERT|JOB|PACK|RULE", shell_complete=complete_silenceable)
@click.option("--for", "length", metavar="DURATION", help="Duration of the silence, such as 90m or 2h (default: 12h).")
@click.option("--until", metavar="TIME", help="End of the silence, in UTC.")
@note_option
@json_option
@click.pass_obj
def command(options: Options, target: str, length: str | None, until: str | None, note: str, as_json: bool) -> None:
    """Stop notifications about an alert, a job, a pack or a rule.

    Alerts still fire and are shown, but nobody is notified. A silence by the number of an alert applies to its rule and
    subject, and stays in force when the alert is resolved and fires again.

    \b
    Examples:
      opsconsole silence 7 --for 2h
      opsconsole silence attempts.cache_day --note "source is being moved"
      opsconsole silence slow_run --for 1d
    """
    if length is not None and until is not None:
        raise click.UsageError("--for and --until exclude each other")
    given = duration("--for", length)
    with open_service(load_settings(options)) as service:
        at = service.now()
        end = future_time("--until", until, ZoneInfo("UTC"), at) or at + (given or DEFAULT_DURATION)
        number = service.alerts.silence(target, until=end, note=note)
        print_outcome(number, carry_out(service, number), as_json=as_json)
