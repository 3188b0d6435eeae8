"""`demo`: the console on sample data."""

from __future__ import annotations

import sys

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.console import draw, require_terminal
from opsconsole.cli.log_setup import log_to_file
from opsconsole.cli.options import Options
from opsconsole.cli.session import open_service
from opsconsole.core.allocator import use_one_arena
from opsconsole.core.configuration import load_embedded
from opsconsole.core.homes import data_home
from opsconsole.core.settings import Settings
from opsconsole.core.trust import make_private

SLOW_JOB = "attempts.update_performance"
"""A run of this job is slow in a new demo, because it waits for a lock."""
NOTE = "The demo keeps its data apart: in a shell, these commands act on your own installation."


@click.command("demo", cls=Command)
@click.option("--users", default=2000, show_default=True, type=click.IntRange(10, 1_000_000), help="Number of users.")
@click.pass_obj
def command(options: Options, users: int) -> None:
    """Open the console on sample data.

    Real jobs run on sample rows, in a separate folder. Nothing has to be installed or configured.

    \b
    Examples:
      opsconsole demo
      opsconsole demo --users 200
    """
    # They load SQLAlchemy, redis, APScheduler and an HTTP server.
    from opsconsole.embedded.claude import sample_claude
    from opsconsole.embedded.preparation import Preparing

    require_terminal(options)
    use_one_arena()
    settings = demo_settings(users)
    make_private(settings.folder)
    log_to_file(settings.folder)
    with sample_claude(), open_service(settings) as service, Preparing(service, users, slow_job=SLOW_JOB):
        service.announce("console")
        code = draw(service, options, note=NOTE)
    sys.exit(code)


def demo_settings(users: int) -> Settings:
    """The demo's own configuration: everything in one folder."""
    return load_embedded(data_home() / f"demo-{users}", name="demo")
