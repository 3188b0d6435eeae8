"""How results are printed: as tables, or as JSON."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
import msgspec

from opsconsole.core.humanize import elapsed, rate
from opsconsole.core.redaction import redacted
from opsconsole.core.text import printable, printable_json, safe
from opsconsole.core.times import utc as utc

if TYPE_CHECKING:
    from opsconsole.authoring.run import Run
    from opsconsole.service.outcomes import Outcome

LONGEST_CELL, LEAST_CELL = 200, 8
SPACES = 2
"""Between two columns."""


def echo(text: str | None = "", *, err: bool = False) -> None:
    """Prints a text without anything in it that could control the terminal, even if the data has it."""
    click.echo(printable(text or ""), err=err)


def print_json(value: Any) -> None:
    """Prints a value as JSON."""
    click.echo(printable_json(redacted(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())))


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[int] = ()) -> None:
    """Prints rows under a head; the columns in `right` are right-aligned. On a terminal the widest columns are cut so
    that a row fits into a line. On one that is too narrow for that, each cell has its own line. In a pipe nothing is
    cut.
    """
    cells = [[safe(cell, LONGEST_CELL) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns
        widths = fitting(widths, room)
        if sum(widths) + SPACES * (len(widths) - 1) > room:
            _print_records(head, cells)
            return
    for row in [list(head), *cells]:
        shown = [
            cell if len(cell) <= width else f"{cell[: width - 1]}…" for cell, width in zip(row, widths, strict=True)
        ]
        padded = [cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(shown)]
        echo("  ".join(padded).rstrip())


def _print_records(head: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    widest = max(map(len, head))
    for row in cells:
        for title, cell in zip(head, row, strict=True):
            echo(f"{title:<{widest}}  {cell}")
        echo()


def fitting(widths: Sequence[int], room: int) -> list[int]:
    """The widths of columns in `room` cells: the widest ones are narrower, but none below LEAST_CELL. The first column,
    which names what a row is about, is cut last.
    """
    found, spaces = list(widths), SPACES * (len(widths) - 1)
    for columns in (range(1, len(found)), range(min(1, len(found)))):
        while sum(found) + spaces > room and max((found[i] for i in columns), default=0) > LEAST_CELL:
            found[max(columns, key=lambda i: found[i])] -= 1
    return found


def print_outcome(command: int, outcome: Outcome, *, as_json: bool) -> None:
    """Prints the outcome of a command that was carried out."""
    if as_json:
        print_json({"command": command, "state": "done", "message": outcome.done})
    else:
        echo(outcome.done)


def in_zone(at: datetime, tz: str) -> str:
    """A time in JSON: ISO 8601 with the offset of a zone."""
    return at.astimezone(ZoneInfo(tz)).isoformat()


def run_document(run: Run) -> dict[str, Any]:
    """The result of a run as JSON."""
    from opsconsole.service.run_documents import run_summary  # loads the service

    return msgspec.structs.asdict(run_summary(run))


def run_sentence(run: Run) -> str:
    """The result of a run in one line: `run 41 attempts.cache_day 2026-01-19: partial, 9,980 ok, 20 failed of 10,000 in
    1.2 s, 8.3k/s`.
    """
    counts = run.counts
    text = f"run {run.id} {run.job} {run.window.label}: {run.state}, {counts.ok:,} ok, {counts.failed:,} failed"
    text += f" of {counts.planned:,}"
    if run.seconds:
        text += f" in {elapsed(run.seconds)}" + (f", {rate(counts.tried / run.seconds)}" if counts.tried else "")
    return text + (f"; {run.error}" if run.error else "")
