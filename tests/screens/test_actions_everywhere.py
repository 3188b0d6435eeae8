"""Whatever an operator can request has a command, a route, and a key with the command line behind `=`, or a reason."""

from __future__ import annotations

import click
import pytest

from opsconsole.cli import cli
from opsconsole.core.keys import DEFAULTS
from opsconsole.http.api import OPERATIONS
from opsconsole.rules.actions import Verb
from tests.screens.test_command_lines import ALL

COMMANDS: dict[Verb, str] = {
    Verb.TRIGGER: "run",
    Verb.RETRY: "retry",
    Verb.CANCEL: "cancel",
    Verb.PAUSE: "pause",
    Verb.RESUME: "resume",
    Verb.SCHEDULE: "schedule",
    Verb.RESET_SCHEDULE: "schedule",
    Verb.PLAN_BACKFILL: "backfill run",
    Verb.APPLY_BACKFILL: "backfill apply",
    Verb.PAUSE_BACKFILL: "backfill pause",
    Verb.RESUME_BACKFILL: "backfill resume",
    Verb.CANCEL_BACKFILL: "backfill cancel",
    Verb.CLEAR: "cache clear",
    Verb.CANCEL_CLEARING: "cache cancel",
    Verb.REPLAY: "events replay",
    Verb.ACKNOWLEDGE: "ack",
    Verb.UNACKNOWLEDGE: "unack",
    Verb.SILENCE: "silence",
    Verb.UNSILENCE: "unsilence",
}
"""The command of each action."""
WITHOUT_KEY = {Verb.REPLAY: "it repairs what another program has lost; the page of the audit trail shows its outcome"}
"""Why actions have no key."""
WITHOUT_ROUTE: dict[Verb, str] = {}
"""Why actions have no route."""


@pytest.mark.parametrize("verb", Verb)
def test_every_action_has_a_command_a_route_and_a_key(verb: Verb) -> None:
    words = COMMANDS[verb].split()
    command: click.Command | None = cli
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None, f"there is no command {COMMANDS[verb]}"

    routes = [operation.path for operation in OPERATIONS if operation.verb is verb]
    assert bool(routes) != (verb in WITHOUT_ROUTE), f"{verb} needs a route, or a reason"

    keys = {line.action for line in ALL if list(line.argv[: len(words)]) == words}
    assert bool(keys & DEFAULTS.keys()) != (verb in WITHOUT_KEY), f"{verb} needs a key with a command line, or a reason"
