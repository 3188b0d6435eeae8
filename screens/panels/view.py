"""What every panel is drawn from, and how a panel's rows are fitted into the room it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opsconsole.core import humanize
from opsconsole.service.snapshot import Pause, Run, Snapshot
from screens.panels import pauses
from screens.widgets.lines import EMPTY, Line, Piece, fill, line

Key = tuple[str, str]
"""A row that the cursor can stand on: its panel, and what it is about (a run's number, a job's name, ...)."""

WIDE = 78
"""From this many cells on, what belongs to a run or a finding stands in one row."""

OLD_AFTER = timedelta(seconds=5)
"""A Snapshot of this age is not renewed any more: somebody hangs."""


@dataclass(frozen=True, slots=True)
class View:
    """A Snapshot, the moment it is looked at, where the cursor stands, and whether whoever looks may do no more."""

    snapshot: Snapshot
    now: datetime
    cursor: Key | None = None
    read_only: bool = False

    def zone_of(self, job: str) -> str:
        """The zone of a job; UTC for one that is not known any more."""
        return next((card.tz for card in self.snapshot.jobs if card.name == job), "UTC")

    def pauses_of(self, job: str) -> list[Pause]:
        """The pauses that hold a job back now, the one that ends last first."""
        return pauses.holding(self.snapshot.pauses, job, self.now)

    def window_of(self, run: Run, *, named: bool = True) -> str:
        """A run's window, short."""
        return humanize.window_label(run.window.label, self.now, self.zone_of(run.job), named=named)


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one row; without a key the cursor passes it by."""

    lines: tuple[Line, ...]
    key: Key | None = None


def stale(view: View) -> Line:
    """Since when the panels do not change any more, in words; empty while they are fresh."""
    away = view.snapshot.store_outage
    if away is not None:
        return line(Piece(f"stale since {humanize.clock(away.since, seconds=True)}", "warn"))
    if view.now - view.snapshot.at > OLD_AFTER:
        return line(Piece(f"stale since {humanize.clock(view.snapshot.at, seconds=True)}", "warn"))
    return EMPTY


def hint(sentence: str) -> Block:
    """A panel with nothing in it says so, and what to do."""
    return Block((line("   ", Piece(sentence, "quiet")),))


def fit(blocks: Sequence[Block], rows: int, cells: int, cursor: Key | None) -> tuple[list[Line], int]:
    """As many blocks as fit into `rows`, the one under the cursor among them; and how many are left out.

    The first line of a block begins with a cell for the cursor's mark.
    """
    at = next((i for i, block in enumerate(blocks) if block.key is not None and block.key == cursor), None)
    first = 0
    while at is not None and sum(len(block.lines) for block in blocks[first : at + 1]) > rows and first < at:
        first += 1
    shown: list[Line] = []
    count = 0
    for index, block in enumerate(blocks[first:], first):
        if count and len(shown) + len(block.lines) > rows:
            break
        lines = block.lines[: rows - len(shown)]
        shown += [_marked(each, cells, i == 0) for i, each in enumerate(lines)] if index == at else lines
        count += 1
    return shown, len(blocks) - count


def _marked(pieces: Line, cells: int, first: bool) -> Line:
    whole = fill((Piece("▸" if first else " ", "mark"), *_without_first_cell(pieces)), cells)
    return tuple(Piece(text, f"{style} under cursor".strip()) for text, style in whole)


def _without_first_cell(pieces: Line) -> Line:
    first, *others = pieces or (Piece(" "),)
    return (Piece(first.text[1:], first.style), *others)
