"""`mcp`: a server of the Model Context Protocol on standard input and output."""

from __future__ import annotations

from importlib.util import find_spec

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.log_setup import log_to_file
from opsconsole.cli.options import Options, load_settings
from opsconsole.core.errors import BadSettings
from opsconsole.core.trust import make_private


@click.command("mcp", cls=Command)
@click.option(
    "--allow-actions",
    is_flag=True,
    help="Also offer tools that act: run, retry, cancel, pause, backfill, clear.",
)
@click.pass_obj
def command(options: Options, allow_actions: bool) -> None:
    """Let assistants read jobs, runs and alerts (MCP).

    Serves the Model Context Protocol on standard input and output, for an assistant that starts this command. The
    assistant reads jobs, runs with their failures and logs, scheduled times, backfills, alerts and health. It acts only
    with --allow-actions; the audit trail then names you and the assistant.

    \b
    Examples:
      opsconsole mcp
      opsconsole mcp --allow-actions
    """
    if find_spec("mcp") is None:
        raise BadSettings(["`mcp` needs the MCP SDK, which is not installed: pip install 'opsconsole[mcp]'"])
    settings = load_settings(options)
    make_private(settings.folder)
    log_to_file(settings.folder)
    from opsconsole.cli.mcp.server import run  # an optional extra

    run(settings, may_act=allow_actions)
