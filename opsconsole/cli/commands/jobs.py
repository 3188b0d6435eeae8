"""`jobs`: what is scheduled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_json, print_table
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.clock import now
from opsconsole.core.humanize import relative_time, timestamp
from opsconsole.rules.pauses import Pause

if TYPE_CHECKING:
    pass


@click.command("jobs", cls=Command)
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """List jobs with their schedules, next and last runs.

    \b
    Examples:
      opsconsole jobs
      opsconsole jobs --json
    """
    with open_service(load_settings(options), reads=True) as service:
        cards, active = service.queries.jobs(), service.queries.pauses()
    paused = {card.name: [pause for pause in active if pause.applies_to(card.name)] for card in cards}
    if as_json:
        from opsconsole.service.job_documents import job_document  # loads the service

        print_json([job_document(card, paused[card.name]) for card in cards])
        return
    at = now()
    print_table(
        ("JOB", "SCHEDULE", "ZONE", "NEXT", "", "PAUSED", "LAST RUN"),
        [
            (
                card.name,
                card.words,
                card.tz,
                timestamp(card.next_at, card.tz),
                relative_time(card.next_at, at) if card.next_at else "",
                _paused(paused[card.name], card.tz),
                f"{card.last.state} {card.last.window.label}" if card.last else "never ran",
            )
            for card in cards
        ],
    )


def _paused(active: list[Pause], tz: str) -> str:
    """How long a job is paused and by whom: by the pause that ends last."""
    if not active:
        return "-"
    last = max(active, key=lambda pause: (pause.until is None, pause.until or pause.since))
    until = f"until {timestamp(last.until, tz)}" if last.until else "until resumed"
    return f"by {last.who} {until}"
