"""`alerts show`: one alert in detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_alert
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import age, count, local_time, timestamp, words
from opsconsole.core.text import safe
from opsconsole.rules.findings import Remedy
from opsconsole.rules.runbook import section

if TYPE_CHECKING:
    from opsconsole.service.snapshot import Alert, AlertCard, AlertPage

MAX_TEXT = 500


@click.command("show", cls=Command)
@click.argument("number", metavar="ALERT", type=int, shell_complete=complete_alert)
@json_option
@click.pass_obj
def command(options: Options, number: int, as_json: bool) -> None:
    """Show one alert: its evidence, notifications and earlier alerts.

    \b
    Example:
      opsconsole alerts show 7
    """
    with open_service(load_settings(options), reads=True) as service:
        page = service.alerts.page(number)
    if as_json:
        from opsconsole.service.alert_documents import page_document  # loads the service

        print_json(page_document(page))
    else:
        _print_page(page)


def _print_page(page: AlertPage) -> None:
    card, alert = page.card, page.card.alert
    echo(safe(f"{alert.subject} {alert.message}", MAX_TEXT))
    lasted = age((alert.resolved_at or page.at) - alert.since)
    duration = f"for {lasted}" if alert.is_open else f"after {lasted}"
    echo(f"alert {alert.id}: {alert.rule}, {alert.severity.name.lower()}, {card.state} {duration}")
    echo(f"since {timestamp(alert.since)}" + (f", worse at {timestamp(alert.worse_at)}" if alert.worse_at else ""))
    if alert.resolved_at is not None:
        echo(f"resolved {timestamp(alert.resolved_at)}")
    if card.acknowledged is not None:
        given = card.acknowledged
        until = f" until {local_time(given.until, 'UTC')}" if given.until else ""
        echo(safe(f"acknowledged by {given.who}{until}{': ' if given.note else ''}{given.note}", MAX_TEXT))
    if card.silence is not None:
        echo(safe(f"silenced by {card.silence.who}: {card.silence.target} {card.silence.note}".rstrip(), MAX_TEXT))
    if alert.run is not None:
        echo(f"run {alert.run}: `opsconsole show {alert.run}`")
    if remedy := _remedy(card):
        echo(f"to fix it: `{remedy}`")
    _print_evidence(alert)
    echo(f"runbook: {section(alert.rule, safe(alert.subject))}")
    if page.cause is not None:
        echo(f"probably explained by alert {page.cause.alert.id}: {_line(page.cause.alert)}")
    for each in page.explains:
        echo(f"probably explains alert {each.alert.id}: {_line(each.alert)}")
    for sent in page.notifications:
        how = f"after {count(sent.attempts, 'attempt')}" if sent.attempts > 1 else ""
        why = f": {sent.error}" if sent.error else ""
        line = f"{timestamp(sent.created_at)}  {sent.event} to {sent.channel}: {words(sent.state)} {how}".rstrip()
        echo(safe(line + why, MAX_TEXT))
    for before in page.earlier:
        ended = age((before.resolved_at or page.at) - before.since)
        echo(f"{timestamp(before.since)}  alert {before.id}, for {ended}: {_line(before)}")


def _remedy(card: AlertCard) -> str | None:
    """The command that helps, or that shows what would."""
    alert = card.alert
    match card.remedy:
        case Remedy.RETRY if alert.run is not None:
            return f"opsconsole retry {alert.run}"
        case Remedy.TRIGGER if alert.job is not None:
            return f"opsconsole run {alert.job}"
        case Remedy.BACKFILL if alert.job is not None:
            return f"opsconsole backfill windows {alert.job}"
        case _:
            return None


def _print_evidence(alert: Alert) -> None:
    for name, value in alert.evidence.get("numbers", {}).items():
        echo(f"{words(name)}: {value:,}")
    if items := alert.evidence.get("items"):
        echo("items: " + safe(" ".join(items), MAX_TEXT))


def _line(alert: Alert) -> str:
    return safe(f"{alert.subject} {alert.message}", MAX_TEXT)
