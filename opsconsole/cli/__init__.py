"""The command line: parses, asks the service, prints. What is heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from opsconsole import __version__
from opsconsole.cli.commands import (
    audit as trail,
    backfill as filling,
    cache as caching,
    check as upkeep,
    events,
    headless as console,
    jobs as schedules,
    occurrences as instants,
    panels,
    pause as acting,
    run,
    runs as history,
)
from opsconsole.cli.session import Options
from opsconsole.cli.signals import end_in_order
from opsconsole.core.errors import BadSettings, OpsconsoleError

EXAMPLES = """\b
Examples:
  opsconsole demo                                     look around on sample data
  opsconsole                                          the console
  opsconsole next attempts.cache_day                  when it runs next
  opsconsole run attempts.cache_day --wait            run it now and watch
  opsconsole retry 41 --wait                          once more what failed in run 41
  opsconsole why attempts.cache_day --at 23:50        why it ran then, or did not
  opsconsole pause attempts.cache_day --for 2h        skip its instants for a while
  opsconsole cache clear --user u0417                 forget what is cached of somebody
"""


@click.group(invoke_without_command=True, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw the console without other characters than ASCII.")
@click.option("--observe", is_flag=True, help="Open the console beside whoever leads, and never lead.")
@click.option("--read-only", is_flag=True, help="Only look: whatever is asked for is refused.")
@click.version_option(__version__, prog_name="opsconsole")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, debug: bool, ascii_only: bool, observe: bool, read_only: bool) -> None:
    """Runs scheduled batch jobs, and shows what they do.

    Without a command it opens the console.
    """
    ctx.obj = Options(config, debug, ascii_only, observe, read_only)
    if ctx.invoked_subcommand is None:
        sys.exit(console.open_console(ctx.obj))


for command in (
    console.demo,
    console.headless,
    run.run,
    run.retry,
    acting.cancel,
    acting.pause,
    acting.resume,
    filling.backfill,
    schedules.jobs,
    schedules.next_,
    schedules.lint,
    instants.occurrences,
    instants.why,
    history.runs,
    history.show,
    history.logs,
    trail.audit,
    caching.cache,
    events.events,
    panels.panels,
    upkeep.check,
    upkeep.migrate,
):
    cli.add_command(command)


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    debug = "--debug" in sys.argv
    end_in_order()
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"opsconsole: {_sentence(error)}", err=True)
        sys.exit(error.exit_code)
    except BadSettings as error:
        for problem in error.problems:
            click.echo(f"opsconsole: {problem}", err=True)
        sys.exit(error.exit_code)
    except OpsconsoleError as error:
        if debug:
            raise
        click.echo(f"opsconsole: {error.sentence}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody to tell.
        sys.stderr.close()
        sys.exit(141)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        click.echo(f"opsconsole: {type(error).__name__}: {error}; run again with --debug for all of it", err=True)
        sys.exit(1)


def _sentence(error: click.ClickException) -> str:
    """What is wrong with what was typed, in one line, and where to read how it is written."""
    said = " ".join(error.format_message().split()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{said}; see `{context.command_path} --help`" if context is not None else said
