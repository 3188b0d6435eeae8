"""The command line that is equal to each action of the console, made from the values of the action."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from opsconsole.cache.filters import ClearFilter
from opsconsole.core import times
from opsconsole.rules.backfill import OLDEST_FIRST, Only, Order
from opsconsole.service.snapshot import AlertCard

PROGRAM = ("opsconsole",)
"""The start of every command line; the options before a command's name follow it."""

NO_PARAMS: Mapping[str, str] = {}
UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)), ("s", timedelta(seconds=1)))


class CommandLine(NamedTuple):
    """The id of the key of an action, and the arguments of the command that does the same."""

    action: str
    argv: tuple[str, ...]


def text(argv: Iterable[str], program: Sequence[str] = PROGRAM) -> str:
    """A command line as it is typed in a shell."""
    return shlex.join((*program, *argv))


# --- jobs and runs ------------------------------------------------------------------------------------------------


def trigger(job: str, day: str | None = None, params: Mapping[str, str] = NO_PARAMS) -> CommandLine:
    """Runs a job once, for the window of a date or the current one, with parameters."""
    set_ = [part for name, value in params.items() for part in ("--param", f"{name}={value}")]
    return CommandLine("trigger", ("run", job, *(("--date", day) if day else ()), *set_))


def retry(run: int) -> CommandLine:
    """Retries what failed in a run."""
    return CommandLine("retry", ("retry", str(run)))


def cancel(run: int, *, force: bool = False) -> CommandLine:
    return CommandLine("cancel", ("cancel", str(run), *(("--force",) if force else ())))


def pause(target: str, duration: timedelta | None = timedelta(hours=12), note: str = "") -> CommandLine:
    """Pauses a job, a pack or `all`; without a duration, until it is resumed."""
    end = ("--until-resumed",) if duration is None else ("--for", length(duration))
    return CommandLine("pause", ("pause", target, *end, *_note(note)))


def resume(target: str) -> CommandLine:
    """Resumes a job, a pack or `all`."""
    return CommandLine("resume", ("resume", target))


def why(job: str, at: datetime | None = None, window: str | None = None) -> CommandLine:
    """Explains a scheduled time: that one, the one of a window, or the newest one."""
    option = ("--at", times.utc(at) or "") if at is not None else ("--window", window) if window is not None else ()
    return CommandLine("why", ("why", job, *option))


def try_schedule(cron: str, tz: str) -> CommandLine:
    """Lists the next times of a cron expression."""
    return CommandLine("try_schedule", ("next", cron, *(("--tz", tz) if tz != "UTC" else ())))


def schedule(job: str, cron: str, tz: str, note: str = "") -> CommandLine:
    """Changes the schedule of a job; without an expression, resets it."""
    changes = ("--cron", cron, "--tz", tz) if cron else ("--reset",)
    return CommandLine("schedule", ("schedule", job, *changes, *_note(note)))


def show_run(run: int, *, action: str = "open") -> CommandLine:
    return CommandLine(action, ("show", str(run)))


def list_runs(words: str) -> CommandLine:
    """Lists the runs that match a filter."""
    return CommandLine("filter", ("runs", *words.split()))


def list_failed_items(run: int) -> CommandLine:
    """Lists every item that failed in a run."""
    return CommandLine("export", ("show", str(run), "--failed"))


def follow(run: int) -> CommandLine:
    """Prints the log of a run, and follows it."""
    return CommandLine("follow", ("logs", str(run), "--follow"))


# --- backfills ----------------------------------------------------------------------------------------------------


def windows(job: str) -> CommandLine:
    """Shows the windows of a job."""
    return CommandLine("backfill", ("backfill", "windows", job))


def run_backfill(
    jobs: Sequence[str], since: date, until: date, only: Only, order: Order = OLDEST_FIRST, *, action: str = "plan"
) -> CommandLine:
    """Plans a backfill, confirms it and applies it."""
    in_order = ["--newest-first"] if order.newest_first else []
    in_order += ["--at-once", str(order.at_once)] if order.at_once is not None else []
    range_ = ("--from", since.isoformat(), "--to", until.isoformat())
    return CommandLine(action, ("backfill", "run", *jobs, *range_, "--only", str(only), *in_order))


def apply_backfill(number: int) -> CommandLine:
    """Runs what was planned."""
    return CommandLine("plan", ("backfill", "apply", str(number)))


def show_backfill(number: int) -> CommandLine:
    return CommandLine("open", ("backfill", "show", str(number)))


def pause_backfill(number: int) -> CommandLine:
    return CommandLine("pause", ("backfill", "pause", str(number)))


def resume_backfill(number: int) -> CommandLine:
    return CommandLine("resume", ("backfill", "resume", str(number)))


def cancel_backfill(number: int) -> CommandLine:
    return CommandLine("cancel", ("backfill", "cancel", str(number)))


# --- cache --------------------------------------------------------------------------------------------------------


def clear(selected: ClearFilter) -> CommandLine:
    """Clears the cached keys of a filter."""
    named = {**selected.parts, "family": selected.family}
    options = [part for name, value in named.items() if value is not None for part in (f"--{name}", value)]
    return CommandLine("clear", ("cache", "clear", *options))


CANCEL_CLEARING = CommandLine("cancel", ("cache", "cancel"))
"""Cancels the clearing that is running."""
CACHE = (
    CommandLine("open", ("cache", "families", "--count")),
    CommandLine("cache", ("cache", "stats", "--days", "14")),
)
"""What prints the figures of the page of the cache."""


def show_key(key: str) -> CommandLine:
    """Shows the value of a key."""
    return CommandLine("open", ("cache", "show", key))


# --- audit --------------------------------------------------------------------------------------------------------


def audit(typed: str) -> tuple[CommandLine, CommandLine]:
    """Lists the rows of the audit trail that match, and verifies it."""
    filter_ = ("--filter", typed) if typed else ()
    return CommandLine("filter", ("audit", *filter_)), CommandLine("audit", ("audit", "verify"))


# --- alerts -------------------------------------------------------------------------------------------------------


def show_alert(alert: int) -> CommandLine:
    return CommandLine("open", ("alerts", "show", str(alert)))


def report(*alerts: int) -> CommandLine:
    """Writes up these alerts, or all open ones."""
    return CommandLine("write_up", ("alerts", "report", *map(str, alerts)))


HANDOVER = CommandLine("write_up", ("alerts", "handover"))
"""Writes what the next shift has to know."""


def acknowledge(alert: int, duration: timedelta | None = None, note: str = "") -> CommandLine:
    """Acknowledges an alert; without a duration, until it is resolved."""
    end = () if duration is None else ("--for", length(duration))
    return CommandLine("acknowledge", ("ack", str(alert), *end, *_note(note)))


def unacknowledge(alert: int) -> CommandLine:
    """Ends the acknowledgement of an alert."""
    return CommandLine("resume", ("unack", str(alert)))


def silence(target: str, duration: timedelta | None = timedelta(hours=12), note: str = "") -> CommandLine:
    """Silences an alert, a job, a pack or a rule."""
    end = () if duration is None else ("--for", length(duration))
    return CommandLine("silence", ("silence", target, *end, *_note(note)))


def unsilence(target: str) -> CommandLine:
    """Ends a silence."""
    return CommandLine("resume", ("unsilence", target))


def of_alert(card: AlertCard, *, end: str = "resume") -> tuple[CommandLine, ...]:
    """What can be done about an alert in the state that it is in. `end` is the action that ends its acknowledgement or
    silence; empty where no key does.
    """
    number = card.alert.id
    if not card.alert.is_open:
        return (show_alert(number), silence(str(number)), report(number))
    ends = [unacknowledge(number)] if card.acknowledged is not None else []
    ends += [unsilence(card.silence.target)] if card.silence is not None and not ends else []
    ends = [each._replace(action=end) for each in ends]
    return (show_alert(number), acknowledge(number), silence(str(number)), *ends, report(number))


# --- pages --------------------------------------------------------------------------------------------------------

PAGES = (
    CommandLine("dashboard", ("health",)),
    CommandLine("jobs", ("jobs",)),
    CommandLine("runs", ("runs",)),
    CommandLine("backfills", ("backfill", "list")),
    CommandLine("cache", ("cache", "stats")),
    CommandLine("alerts", ("alerts",)),
    CommandLine("packs", ("panels",)),
    CommandLine("audit", ("audit",)),
)
"""What prints nearly the same as each page."""


def length(duration: timedelta) -> str:
    """A duration as the options of commands take it: `12h`, `1d12h`."""
    parts, rest = [], duration
    for unit, one in UNITS:
        count, rest = divmod(rest, one)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def _note(note: str) -> tuple[str, ...]:
    return ("--note", note) if note else ()
