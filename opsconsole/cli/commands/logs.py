"""`logs`: the log of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_run
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.garbage import end_loading
from opsconsole.core.humanize import count, timestamp
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.service.service import Service
    from opsconsole.store.logs import LogLine

POLL_SECONDS = 0.3
LONGEST_LINE = 2000


@click.command("logs", cls=Command)
@click.argument("run_number", metavar="RUN", type=int, shell_complete=complete_run)
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines until the run ends.")
@json_option
@click.pass_obj
def command(options: Options, run_number: int, follow: bool, as_json: bool) -> None:
    """Show the log of a run.

    With --follow and --json, one JSON object is printed per line, as lines arrive.

    \b
    Examples:
      opsconsole logs 41
      opsconsole logs 41 --follow
    """
    from opsconsole.service.run_documents import log_line  # loads the service

    with open_service(load_settings(options), reads=True) as service:
        tz = service.queries.run_page(run_number).progress.tz
        if as_json and not follow:
            print_json([log_line(line) for line in _stored(service, run_number, 0)])
            return
        printed = 0
        if follow:
            end_loading()
        for line in _lines(service, run_number, follow=follow):
            printed += 1
            text = f"{timestamp(line.at, tz)}  {safe(line.line, LONGEST_LINE)}"
            echo(msgspec.json.encode(log_line(line)).decode() if as_json else text)
        dropped = service.queries.run(run_number).log_lines - printed
        if dropped > 0:
            echo(f"{count(dropped, 'more line')} not kept", err=True)


def _stored(service: Service, run: int, after: int) -> Iterator[LogLine]:
    while page := service.queries.log(run, after=after):
        yield from page
        after = page[-1].number


def _lines(service: Service, run: int, *, follow: bool) -> Iterator[LogLine]:
    after, ended = 0, not follow
    while True:
        for line in _stored(service, run, after):
            after = line.number
            yield line
        if ended:
            return
        # The last lines are written together with the run's end, so they are read once more after it.
        ended = service.commands.wait_for_run(run, POLL_SECONDS) is not None
