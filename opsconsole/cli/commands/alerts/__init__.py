"""`alerts`: what is wrong, since when, and who acknowledged it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from opsconsole.cli.commands import LazyGroup
from opsconsole.cli.exit_codes import READING
from opsconsole.cli.options import load_settings
from opsconsole.cli.output import echo, print_json, print_table
from opsconsole.cli.prompts import json_option, past_time
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import age, local_time, timestamp
from opsconsole.core.text import safe
from opsconsole.rules.alerts import AlertState

if TYPE_CHECKING:
    from opsconsole.service.snapshot import AlertCard, Silence

SUMMARIES = {
    "handover": "Write what the next shift has to know, as Markdown.",
    "report": "Write up alerts as Markdown: what happened, and when.",
    "show": "Show one alert: its evidence, notifications and earlier alerts.",
}
OPEN = (AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.SILENCED)


@click.group(
    "alerts", cls=LazyGroup, exit_codes=READING, package=__name__, summaries=SUMMARIES, invoke_without_command=True
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in AlertState]),
    help="List only alerts in this state. Repeatable. (default: all but resolved)",
)
@click.option("--since", metavar="TIME", help="List every alert that was open at this time or later; 7d is a week ago.")
@json_option
@click.pass_context
def command(ctx: click.Context, states: tuple[str, ...], since: str | None, as_json: bool) -> None:
    """List what is wrong, since when, and who acknowledged it.

    Each alert is followed by those that it probably explains. Without --since, `--state resolved` lists those of
    the last day.

    \b
    Examples:
      opsconsole alerts
      opsconsole alerts --state firing --json
      opsconsole alerts --since 7d
    """
    if ctx.invoked_subcommand is not None:
        return
    selected = tuple(AlertState(state) for state in states)
    with open_service(load_settings(ctx.obj), reads=True) as service:
        now = service.now()
        start = past_time("--since", since, ZoneInfo("UTC"), now)
        if start is not None:
            cards = service.alerts.history(start, selected)
        else:
            cards = service.alerts.current(selected or OPEN)
        silences = service.alerts.silences()
    if as_json:
        from opsconsole.service.alert_documents import alert_document, silence_document  # loads the service

        print_json(
            {
                "alerts": [alert_document(card, now) for card in cards],
                "silences": [silence_document(silence) for silence in silences],
            }
        )
        return
    _print_alerts(cards, now)
    for silence in silences:
        echo(_silence(silence))


def _print_alerts(cards: tuple[AlertCard, ...], now: datetime) -> None:
    if not cards:
        echo("no alerts")
        return
    listed = {card.alert.id for card in cards}
    print_table(
        ("ID", "STATE", "SEVERITY", "SINCE", "FOR", "ALERT"),
        [
            (
                alert.id,
                card.state,
                alert.severity.name.lower(),
                timestamp(alert.since),
                age((alert.resolved_at or now) - alert.since),
                ("  " if alert.cause in listed else "") + f"{alert.subject} {alert.message}{_note(card)}",
            )
            for card in cards
            for alert in (card.alert,)
        ],
        right=(0, 4),
    )


def _note(card: AlertCard) -> str:
    given = card.acknowledged
    if given is None:
        return ""
    until = f" until {local_time(given.until, 'UTC')}" if given.until else ""
    return f" ({given.who}{until}{': ' if given.note else ''}{given.note})"


def _silence(silence: Silence) -> str:
    until = f"until {local_time(silence.until, 'UTC')}" if silence.until else "until `opsconsole unsilence`"
    note = f": {silence.note}" if silence.note else ""
    return safe(f"{silence.target} is silenced by {silence.who} {until}{note}")
