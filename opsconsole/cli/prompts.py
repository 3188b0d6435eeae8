"""Options that commands share, confirmations, and the reading of times that an operator typed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NoReturn
from zoneinfo import ZoneInfo

import click

from opsconsole.cli.output import echo
from opsconsole.core.errors import Exit
from opsconsole.core.times import BadTime, parse_duration, parse_future_time, parse_past_time

yes_option = click.option("--yes", "-y", is_flag=True, help="Skip confirmation.")
json_option = click.option("--json", "as_json", is_flag=True, help="Output JSON.")
note_option = click.option("--note", default="", metavar="TEXT", help="Reason, recorded with the action.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done, without doing it.")
wait_option = click.option(
    "--wait",
    is_flag=True,
    help="Wait for the end and exit with its result. If no process leads, do the work in this one.",
)


def the_run(words: Sequence[str]) -> int | None:
    """The number of a run, if that is all that was typed: `41`, `#41`, `4,790`; otherwise the words are a filter.

    Raises UsageError for words without a character, such as an unset variable in quotes: they would match every run.
    """
    if words and not any(word.strip() for word in words):
        raise click.UsageError("an empty filter matches every run; give a run's number or a filter")
    number = words[0].removeprefix("#").replace(",", "") if len(words) == 1 else ""
    return int(number) if number.isascii() and number.isdecimal() else None


def confirm(question: str, *, yes: bool) -> None:
    """Asks for confirmation on a terminal, and ends the command on a no. Without a terminal, continues."""
    if yes or not sys.stdin.isatty():
        return
    if not click.confirm(question, err=True):
        abort()


def require_yes(question: str, *, yes: bool) -> None:
    """Asks for confirmation on a terminal; without one, only --yes continues."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(f"{question} Confirm with --yes")
    confirm(question, yes=yes)


def abort() -> NoReturn:
    """Ends the command after an operator did not confirm it."""
    echo("not confirmed; nothing was changed", err=True)
    raise click.exceptions.Exit(Exit.FAILED)


def duration(option: str, text: str | None) -> timedelta | None:
    """A duration that was typed for an option; None for None."""
    try:
        return None if text is None else parse_duration(text)
    except BadTime as error:
        raise click.BadParameter(error.sentence, param_hint=f"'{option}'") from None


def future_time(option: str, text: str | None, place: ZoneInfo, now: datetime) -> datetime | None:
    """A future time that was typed for an option; None for None."""
    try:
        return None if text is None else parse_future_time(text, place, now)
    except BadTime as error:
        raise click.BadParameter(error.sentence, param_hint=f"'{option}'") from None


def check_order(since: datetime | None, until: datetime | None) -> None:
    """Ends the command when --since is not before --until."""
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be earlier than --until")


def past_time(option: str, text: str | None, place: ZoneInfo, now: datetime) -> datetime | None:
    """A time, or a duration before now, that was typed for an option; None for None."""
    try:
        return None if text is None else parse_past_time(text, place, now)
    except BadTime as error:
        raise click.BadParameter(error.sentence, param_hint=f"'{option}'") from None
