"""`notify-test`: sends a message to the configured channels."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option
from opsconsole.core.errors import Exit, OpsconsoleError
from opsconsole.core.settings import Channel, Settings


class NoChannel(OpsconsoleError):
    """There is no channel to send to."""

    exit_code = Exit.USAGE


@click.command("notify-test", cls=Command, exit_codes=ACTING | {Exit.FAILED: "a message was not delivered"})
@click.argument("name", metavar="[CHANNEL]", required=False)
@json_option
@click.pass_obj
def command(options: Options, name: str | None, as_json: bool) -> None:
    """Send a test message to the notification channels.

    Without CHANNEL it goes to all of them, regardless of their filters. The command sends it itself, without the
    leader.

    \b
    Examples:
      opsconsole notify-test
      opsconsole notify-test mail
    """
    from opsconsole.rules.actions import check_actor  # not loaded for `--help`

    settings = load_settings(options)
    check_actor("notify-test", settings.actor)
    channels = _chosen(settings, name)
    width = max(len(channel.name) for channel in channels)
    with ThreadPoolExecutor(len(channels)) as threads:
        results = list(threads.map(lambda channel: _send(settings, channel), channels))
    tried = list(zip(channels, results, strict=True))
    if as_json:
        print_json(
            {"channels": [{"channel": c.name, "sent": problem is None, "error": problem} for c, problem in tried]}
        )
    else:
        for channel, problem in tried:
            echo(f"{channel.name:<{width}}  {'sent' if problem is None else f'not delivered: {problem}'}")
    sys.exit(Exit.DONE if not any(results) else Exit.FAILED)


def _chosen(settings: Settings, name: str | None) -> list[Channel]:
    if not settings.channels:
        raise NoChannel("no channel is configured; add a section [notify.NAME] with the url of one")
    chosen = [channel for channel in settings.channels if name in (None, channel.name)]
    if not chosen:
        names = ", ".join(channel.name for channel in settings.channels)
        raise NoChannel(f"there is no channel of this name; the channels are {names}")
    return chosen


def _send(settings: Settings, channel: Channel) -> str | None:
    """Why the message was not delivered; None if it was."""
    from opsconsole.core.time_limit import TimedOut, TimeLimit
    from opsconsole.leader.channels import send
    from opsconsole.leader.notifications import SEND_SECONDS
    from opsconsole.rules.alerts import AlertEvent
    from opsconsole.rules.findings import Severity

    where = f"[{settings.console.environment}] " if settings.console.environment else ""
    title = f"{where}test: notifications of opsconsole on {settings.host}"
    body = f"{settings.actor.name} sent this with `opsconsole notify-test`. Alerts arrive in the same way."
    try:
        TimeLimit(channel.name, SEND_SECONDS).call(
            lambda: send(channel, uuid4().hex, title, body, Severity.WARNING, AlertEvent.RESOLVED)
        )
    except OpsconsoleError as error:
        return error.sentence
    except TimedOut as error:
        return str(error)
    return None
