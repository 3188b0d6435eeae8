"""`events`: the events that jobs publish."""

from __future__ import annotations

import click

from opsconsole.cli.commands import LazyGroup

SUMMARIES = {
    "failed": "List the events that could not be published.",
    "replay": "Publish the events since a time again.",
}


@click.group("events", cls=LazyGroup, package=__name__, summaries=SUMMARIES)
def command() -> None:
    """List events that failed; publish events again.

    \b
    Examples:
      opsconsole events failed
      opsconsole events replay --since 2h
    """
