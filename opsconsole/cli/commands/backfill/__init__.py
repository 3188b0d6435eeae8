"""`backfill`: runs past windows of jobs."""

from __future__ import annotations

import click

from opsconsole.cli.commands import LazyGroup

SUMMARIES = {
    "plan": "Plan which past windows to run.",
    "apply": "Run exactly what was planned.",
    "run": "Plan, confirm, and apply the plan.",
    "pause": "Pause a backfill.",
    "resume": "Run the unfinished windows of a backfill.",
    "cancel": "Cancel a backfill and its active runs.",
    "list": "List the newest backfills and plans.",
    "show": "Show the progress of a backfill and its windows.",
    "windows": "Show the states of a job's past windows.",
}


@click.group("backfill", cls=LazyGroup, package=__name__, summaries=SUMMARIES)
def command() -> None:
    """Run past windows of jobs, oldest first.

    A backfill runs exactly what its plan lists, and is refused if something has changed since.

    \b
    Examples:
      opsconsole backfill plan reporting.daily_report --from 2026-01-01 --to 2026-01-31
      opsconsole backfill apply 12 --wait
      opsconsole backfill windows reporting.daily_report
    """
