"""The command line: parses, calls the service, prints."""

from __future__ import annotations

import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from opsconsole.cli.commands import LazyGroup
from opsconsole.cli.exit_codes import ALL
from opsconsole.cli.options import Options
from opsconsole.cli.output import echo
from opsconsole.core import bundle
from opsconsole.core.error_reports import report_error
from opsconsole.core.errors import BadSettings, OpsconsoleError, Unavailable
from opsconsole.core.signals import INTERRUPTED, end_on_hangup, install_handlers
from opsconsole.core.version import VERSION

SUMMARIES = {
    "ack": "Acknowledge an alert.",
    "alerts": "List what is wrong, since when, and who acknowledged it.",
    "audit": "List who requested what, and the outcomes.",
    "backfill": "Run past windows of jobs, oldest first.",
    "cache": "Show and clear what is cached in Redis.",
    "cancel": "Cancel a run, or all matching queued and running runs.",
    "check": "Check configuration, connections, tables and jobs.",
    "completion": "Print the completion script of a shell.",
    "demo": "Open the console on sample data.",
    "events": "List events that failed; publish events again.",
    "failures": "List which items failed in how many of a job's last runs.",
    "headless": "Schedule and run jobs without a console.",
    "health": "Report what is wrong, for monitoring systems.",
    "jobs": "List jobs with their schedules, next and last runs.",
    "lint": "Warn about questionable schedules, windows and limits.",
    "logs": "Show the log of a run.",
    "mcp": "Let assistants read jobs, runs and alerts (MCP).",
    "migrate": "Upgrade the tables of the store to this version.",
    "next": "List the next scheduled times of a job or a cron expression.",
    "notify-test": "Send a test message to the notification channels.",
    "occurrences": "List scheduled times and their outcomes.",
    "panels": "Show the panels of packs.",
    "pause": "Pause a job, a pack, or all jobs.",
    "resume": "Resume a paused job, pack, or all jobs.",
    "retry": "Retry the failed items of one run, or of all matching runs.",
    "run": "Run a job once.",
    "runs": "List the newest runs.",
    "schedule": "Change the schedule of a job, or reset it.",
    "serve": "Show the console in a browser.",
    "show": "Show one run: counts, causes of failures, log.",
    "silence": "Stop notifications about an alert, a job, a pack or a rule.",
    "tables": "Show the sizes of tables and unused indexes.",
    "tail": "Follow all runs as they are queued, start and end.",
    "unack": "End an acknowledgement.",
    "unsilence": "End a silence.",
    "why": "Explain why a job ran or did not run at a time.",
    "worker": "Execute batches for a leader on this or another machine.",
}

EXAMPLES = """\b
Examples:
  opsconsole demo                                     explore sample data
  opsconsole                                          open the console
  opsconsole next attempts.cache_day                  list the next scheduled times
  opsconsole run attempts.cache_day --wait            run a job now and follow it
  opsconsole retry 41 --wait                          retry the failed items of run 41
  opsconsole why attempts.cache_day --at 23:50        explain why it ran at 23:50, or why not
  opsconsole pause attempts.cache_day --for 2h        skip its scheduled times for two hours
  opsconsole alerts                                   list what is wrong now
  opsconsole cache clear --user u0417                 clear the cached keys of one user
"""

URL_HINTS = {
    dependency: f"; check {dependency}.url, which `opsconsole check` prints"
    for dependency in ("store", "data", "redis")
} | {"broker": "; check celery.broker_url, which `opsconsole check` prints"}
"""What to do about a dependency that is unreachable."""
BROKEN_PIPE = 128 + signal.SIGPIPE
"""The exit code when the reader of the output has closed it, as `head` does: that of other programs."""


@click.group(
    cls=LazyGroup,
    package="opsconsole.cli.commands",
    summaries=SUMMARIES,
    exit_codes=ALL,
    invoke_without_command=True,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--config", type=click.Path(path_type=Path), help="Path of the configuration file.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw the console with ASCII characters only.")
@click.option("--mouse", is_flag=True, help="Let the mouse select rows; the terminal then selects text with shift.")
@click.option("--observe", is_flag=True, help="Open the console without ever becoming the leader.")
@click.option("--wall", is_flag=True, help="Open a read-only wall display, worst first.")
@click.option("--read-only", is_flag=True, help="Refuse every action that changes something.")
@click.option("--trust", is_flag=True, envvar="OPSCONSOLE_TRUST", help="Load files that other users may change.")
@click.version_option(VERSION, prog_name="opsconsole")
@click.pass_context
def cli(ctx: click.Context, /, **options: Any) -> None:
    """Schedule and run batch jobs, and see what they do.

    Without a command, open the console.
    """
    ctx.obj = Options(**options)
    if ctx.invoked_subcommand != "headless":
        end_on_hangup()
    if ctx.invoked_subcommand is None:
        from opsconsole.cli.console import open_console  # `--help` and the commands do without it

        sys.exit(open_console(ctx.obj))


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    debug = "--debug" in sys.argv
    install_handlers()
    bundle.add_to_path()
    _open_standard_streams()
    output = sys.stdout
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except SystemExit:
        if sys.stdout is not output:  # click has replaced it: its reader has closed it
            sys.exit(BROKEN_PIPE)
        raise
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        echo(f"opsconsole: {_one_line(error)}", err=True)
        sys.exit(error.exit_code)
    except BadSettings as error:
        for problem in error.problems:
            echo(f"opsconsole: {problem}", err=True)
        sys.exit(error.exit_code)
    except OpsconsoleError as error:
        if debug:
            raise
        hint = URL_HINTS.get(error.dependency, "") if type(error) is Unavailable else ""
        echo(f"opsconsole: {error.sentence}{hint}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        report_error("the command line", error)
        message = f"{type(error).__name__}: {error}; add --debug before the command for the traceback"
        echo(f"opsconsole: {message}", err=True)
        sys.exit(1)


def _open_standard_streams() -> None:
    """Opens the null device for standard streams that the caller closed, and lets every character be printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdin, sys.stdout, sys.stderr = (
        stream or os.fdopen(number, mode)
        for number, (stream, mode) in enumerate(((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w")))
    )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _one_line(error: click.ClickException) -> str:
    """The message of a usage error in one line, with the help page to read."""
    message = " ".join(error.format_message().split())
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} See `{context.command_path} --help`"
