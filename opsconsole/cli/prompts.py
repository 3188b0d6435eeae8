"""What an operator is asked, and how what was typed is read."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from opsconsole.core.errors import Exit
from opsconsole.core.times import BadTime, parse_duration, parse_future_time, parse_past_time

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
note_option = click.option("--note", default="", metavar="TEXT", help="Why; it is kept with it.")


def confirm(question: str, *, yes: bool) -> None:
    """Asks on a terminal; ends the command when the answer is no. Without a terminal nobody can be asked: go on."""
    if yes or not sys.stdin.isatty():
        return
    if not click.confirm(question, err=True):
        click.echo("nothing was asked for", err=True)
        raise click.exceptions.Exit(Exit.FAILED)


def require_yes(question: str, *, yes: bool) -> None:
    """Asks on a terminal, as `confirm` does; without one only --yes goes on."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody can be asked here: add --yes")
    confirm(question, yes=yes)


def coming(option: str, text: str | None, place: ZoneInfo, now: datetime) -> datetime | None:
    """A time to come that was typed; None when nothing was."""
    try:
        return None if text is None else parse_future_time(text, place, now)
    except BadTime as error:
        raise click.BadParameter(error.sentence, param_hint=option) from None


def moment(option: str, text: str | None, place: ZoneInfo, now: datetime) -> datetime | None:
    """A time that was typed, or a length of time ago; None when nothing was."""
    try:
        return None if text is None else parse_past_time(text, place, now)
    except BadTime as error:
        raise click.BadParameter(error.sentence, param_hint=option) from None


def length(option: str, text: str | None) -> timedelta | None:
    """A length of time that was typed; None when nothing was."""
    try:
        return None if text is None else parse_duration(text)
    except BadTime as error:
        raise click.BadParameter(error.sentence, param_hint=option) from None


def one_of(option: str, texts: tuple[str, ...], known: list[str]) -> None:
    """Refuses what is none of the known words."""
    for text in texts:
        if text not in known:
            raise click.BadParameter(f"{text!r} is no state; use {', '.join(known)}", param_hint=option)
