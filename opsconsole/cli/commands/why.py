"""`why`: the reason why a job ran or did not run."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_job
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, utc
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.humanize import timestamp, words
from opsconsole.core.text import safe
from opsconsole.rules.proofs import Proof

if TYPE_CHECKING:
    from opsconsole.rules.backfill import WindowStatus
    from opsconsole.service.occurrence_details import Explanation
    from opsconsole.service.service import Service

LONGEST_SENTENCE = 1000
LONGEST_VALUE = 200


@click.command("why", cls=Command)
@click.argument("job", shell_complete=complete_job)
@click.option(
    "--at", metavar="TIME", help="ISO 8601, 2026-03-29 02:30, or 02:30 for today (default: the newest scheduled time)."
)
@click.option("--window", metavar="WINDOW", help="The scheduled time that covers a window: 2026-01-19, or 2026-01.")
@json_option
@click.pass_obj
def command(options: Options, job: str, at: str | None, window: str | None, as_json: bool) -> None:
    """Explain why a job ran or did not run at a time, with the rows that prove it.

    A time without a zone is in the job's zone.

    \b
    Examples:
      opsconsole why attempts.cache_day
      opsconsole why attempts.cache_day --at 23:50
      opsconsole why attempts.cache_day --at "2026-01-19 23:50"
      opsconsole why attempts.cache_day --at 2026-01-19T18:20:00Z
      opsconsole why attempts.cache_day --window 2026-01-19
    """
    if at is not None and window is not None:
        raise click.UsageError("give --at or --window, not both")
    with open_service(load_settings(options), reads=True) as service:
        queries = service.queries
        explanation = queries.why(job, at) if window is None else queries.why_window(job, window)
        if not as_json:
            _print(explanation)
        # Last, since it may wait for the data database.
        status = _status(service, job, window) if window is not None else None
    if as_json:
        from opsconsole.service.occurrence_documents import why_document, window_why_document  # loads the service

        state = status.state if status is not None else None
        print_json(why_document(explanation) if window is None else window_why_document(explanation, state))
    elif status is not None:
        from opsconsole.service import wording  # loads the service

        sentence = f"{status.window.label}: {words(status.state)}, {wording.window(status)}"
        echo(safe(sentence, LONGEST_SENTENCE))


def _print(explanation: Explanation) -> None:
    for sentence in explanation.notes:
        echo(safe(sentence, LONGEST_SENTENCE))
    for answer in explanation.answers:
        what = "a scheduled time" if answer.is_scheduled else "no scheduled time"
        echo(f"{timestamp(answer.at, explanation.tz)} ({utc(answer.at)}): {what} of {explanation.job}")
        for sentence in answer.explanation:
            echo(f"  {safe(sentence, LONGEST_SENTENCE)}")
        for row in answer.rows:
            echo(f"  row {row.key} of {row.table}: {_content(row)}")
    previous, following = timestamp(explanation.previous, explanation.tz), timestamp(explanation.next, explanation.tz)
    echo(f"previous: {previous}   next: {following}")


def _status(service: Service, job: str, label: str) -> WindowStatus | None:
    """The state of a window; None where it cannot be read, as for a job that keeps only its newest result."""
    try:
        return service.backfills.window(job, label)
    except OpsconsoleError:
        return None


def _content(row: Proof) -> str:
    shown = {name: value for name, value in row.content.items() if value not in (None, "")}
    return ", ".join(f"{name} {safe(_plain(value), LONGEST_VALUE)}" for name, value in shown.items())


def _plain(value: object) -> object:
    return utc(value) if isinstance(value, datetime) else value
