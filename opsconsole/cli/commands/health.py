"""`health`: what is wrong, for monitoring systems, from the store alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_job
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table
from opsconsole.cli.prompts import json_option, past_time
from opsconsole.core.clock import now
from opsconsole.core.errors import Exit
from opsconsole.core.humanize import age, timestamp
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.service.health import StateSpan

UNKNOWN = 3
MAX_SENTENCE = 300
DEFAULT_SINCE = "1d"


class MonitoringCommand(Command):
    """A command whose usage errors end with UNKNOWN: a monitoring system takes the usual code for critical."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parses the arguments. Raises UsageError."""
        with _unknown():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. Raises UsageError."""
        with _unknown():
            return super().invoke(ctx)


@contextmanager
def _unknown() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        vars(error)["exit_code"] = UNKNOWN  # click reads it from the instance
        raise


@click.command(
    "health",
    cls=MonitoringCommand,
    exit_codes={Exit.DONE: "ok", Exit.FAILED: "warning", Exit.USAGE: "critical", Exit.ITEMS_FAILED: "unknown"},
)
@click.argument("job", required=False, shell_complete=complete_job)
@click.option("--history", is_flag=True, help="Show the states of jobs, which are recorded every five minutes.")
@click.option("--since", metavar="TIME", help="With --history: start at this time. (default: 1d ago)")
@json_option
@click.pass_obj
def command(options: Options, job: str | None, history: bool, since: str | None, as_json: bool) -> None:
    """Report what is wrong, for monitoring systems.

    Reads the store alone, so that it also works when no opsconsole process runs. Prints one line, with figures after
    `|`. Silenced alerts do not count.

    \b
    Examples:
      opsconsole health
      opsconsole health --json
      opsconsole health --history attempts.cache_day --since 7d
    """
    if history:
        _print_history(options, job, since, as_json=as_json)
        return
    if job is not None or since is not None:
        raise click.UsageError("a job and --since need --history")
    from opsconsole.core.supervision import describe  # loads SQLAlchemy

    try:
        code, text, facts = _report(options)
    except Exception as error:  # noqa: BLE001 - another exit code would be a warning, or critical
        sentence = safe(describe(error)[0], MAX_SENTENCE).replace("|", "/")
        code, text = UNKNOWN, f"OPSCONSOLE UNKNOWN - {sentence}"
        facts = {"status": "unknown", "exit_code": UNKNOWN, "summary": sentence, "problems": []}
    if as_json:
        print_json(facts)
    else:
        echo(text)
    sys.exit(code)


def _report(options: Options) -> tuple[int, str, dict[str, Any]]:
    """The exit code, the line and the document."""
    from opsconsole.authoring import catalog  # loads the packs
    from opsconsole.cli.store_access import open_store  # loads SQLAlchemy
    from opsconsole.service import health

    settings = load_settings(options)
    jobs = catalog.load(settings.packs, settings.overrides, settings.options, settings.compress_over)
    with open_store(settings) as store:
        role, seconds = settings.actor.role, settings.engine.lease_seconds
        found = health.report(store, jobs, now(), role=role, lease_seconds=seconds)
    return found.status, health.line(found), health.document(found)


def _print_history(options: Options, job: str | None, since: str | None, *, as_json: bool) -> None:
    from opsconsole.authoring import catalog  # loads the packs
    from opsconsole.cli.store_access import open_store  # loads SQLAlchemy
    from opsconsole.service import health

    at, settings = now(), load_settings(options)
    jobs = catalog.load(settings.packs, settings.overrides, settings.options, settings.compress_over)
    with open_store(settings) as store:
        start = past_time("--since", since or DEFAULT_SINCE, ZoneInfo("UTC"), at)
        assert start is not None  # noqa: S101 - a text was given
        with store.reading() as db:
            checks = health.checks(db, jobs, start, job)
    if as_json:
        print_json([health.check_document(check) for check in checks])
        return
    spans = health.spans(checks)
    if not spans:
        echo(f"no states were recorded since {timestamp(start)}")
        return
    print_table(("JOB", "STATE", "FROM", "TO", "FOR"), [_row(span) for span in spans], right=(4,))


def _row(span: StateSpan) -> tuple[object, ...]:
    return span.job, span.state, timestamp(span.first), timestamp(span.last), age(span.last - span.first)
