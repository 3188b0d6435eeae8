"""What every panel is drawn from, and how its rows fit into its room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from opsconsole.authoring.run import RunState
from opsconsole.core import humanize
from opsconsole.service.snapshot import Pause, Run, Snapshot, Work
from screens.panels import pauses
from screens.widgets.lines import EMPTY, Line, Piece, Row, crop, fill, line, text

Key = Row

WIDE = 78
"""From this width on, a run or a finding takes one row."""

UNKNOWN = "unknown while the store is unreachable"
OLD_AFTER = timedelta(seconds=5)
"""A Snapshot older than this is stale: the sampler hangs."""


@dataclass(frozen=True, slots=True)
class View:
    """A Snapshot, the current time, the cursor, whether the operator is only a viewer, whether times are shown in UTC
    instead of the zone of each job, and what the console waits for while it starts.
    """

    snapshot: Snapshot
    now: datetime
    cursor: Key | None = None
    read_only: bool = False
    in_utc: bool = False
    step: str = ""

    def zone_of(self, job: str) -> str:
        """The zone in which times of a job are shown; UTC for one that is no longer loaded."""
        return self.shown_zone(zone_of(self.snapshot, job))

    def shown_zone(self, tz: str) -> str:
        """The zone in which times of the zone `tz` are shown."""
        return "UTC" if self.in_utc else tz

    def pause_zone(self, pause: Pause) -> str:
        """The zone in which the end of a pause is shown, everywhere the same: its job's, and UTC for a pack or all."""
        return self.zone_of(pause.target)

    def find_run(self, number: int) -> Run | None:
        """A run of the Snapshot by its number."""
        return next((run for run in self._runs() if run.id == number), None)

    def newest_run(self, job: str) -> Run | None:
        """The newest run of a job in the Snapshot."""
        return max((run for run in self._runs() if run.job == job), key=lambda run: run.id, default=None)

    def newest_runs(self) -> dict[str, Run]:
        """The newest run of each job in the Snapshot."""
        return {run.job: run for run in sorted(self._runs(), key=lambda run: run.id)}

    def active_run(self, job: str) -> Run | None:
        """The run of a job that is running, otherwise one that is queued or interrupted."""
        runs = [progress.run for progress in self.snapshot.live if progress.run.job == job]
        return next((run for run in runs if run.state is RunState.RUNNING), next(iter(runs), None))

    def pauses_of(self, job: str) -> list[Pause]:
        """The pauses of a job that are active now, the one that ends last first."""
        return pauses.active(self.snapshot.pauses, job, self.now)

    def window_of(self, run: Run, *, named: bool = True) -> str:
        """A run's window, short."""
        return humanize.window_label(run.window.label, self.now, self.zone_of(run.job), named=named)

    def _runs(self) -> Iterator[Run]:
        snapshot = self.snapshot
        yield from (progress.run for progress in snapshot.live)
        yield from snapshot.recent
        yield from (run for history in snapshot.histories for run in history.newest)
        yield from (card.last for card in snapshot.jobs if card.last is not None)
        yield from (finding.run for finding in snapshot.findings if finding.run is not None)


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one row; the cursor skips a row without a key."""

    lines: tuple[Line, ...]
    key: Key | None = None


def zone_of(snapshot: Snapshot, job: str) -> str:
    """The zone of a job; UTC for one that is not loaded."""
    return next((card.tz for card in snapshot.jobs if card.name == job), "UTC")


def stale(view: View) -> Line:
    """Since when the panels are stale; empty while they are fresh."""
    outage = view.snapshot.store_outage
    if view.step:
        return EMPTY  # nothing has been read yet
    if outage is not None:
        return line(Piece(f"stale since {humanize.clock(outage.since, seconds=True)}", "warn"))
    if view.now - view.snapshot.at > OLD_AFTER:
        return line(Piece(f"stale since {humanize.clock(view.snapshot.at, seconds=True)}", "warn"))
    return EMPTY


def hint(sentence: str) -> Block:
    """What an empty panel shows: that it is empty, and what to do."""
    return Block((line("   ", Piece(sentence, "quiet")),))


def empty(view: View, part: Work, sentence: str) -> Block:
    """What a panel without rows shows: `sentence`, or that nothing is known."""
    why = view.snapshot.why_unknown(part)
    if why is not None:
        return Block((line("   ", text(f"unknown: {why}", "warn", 300)),))
    if view.snapshot.store_outage is not None:
        return Block((line("   ", Piece(UNKNOWN, "warn")),))
    if view.step:
        return Block((EMPTY,))
    return hint(sentence)


class Fitted(NamedTuple):
    """The lines of blocks that fit, the row of each line, and how many blocks are hidden."""

    lines: list[Line]
    rows: list[Key | None]
    hidden: int


def fit(blocks: Sequence[Block], rows: int, cells: int, cursor: Key | None) -> tuple[list[Line], int]:
    """The lines that fit into `rows`, the block under the cursor included; and how many blocks are hidden."""
    whole = fitted(blocks, rows, cells, cursor)
    return whole.lines, whole.hidden


def fitted(blocks: Sequence[Block], rows: int, cells: int, cursor: Key | None) -> Fitted:
    """What fits into `rows`, the block under the cursor included.

    The first line of a block starts with a cell for the cursor's mark.
    """
    chosen = next((i for i, block in enumerate(blocks) if block.key is not None and block.key == cursor), None)
    first = 0
    while (
        chosen is not None and sum(len(block.lines) for block in blocks[first : chosen + 1]) > rows and first < chosen
    ):
        first += 1
    shown: list[Line] = []
    keys: list[Key | None] = []
    count = 0
    for index, block in enumerate(blocks[first:], first):
        if count and len(shown) + len(block.lines) > rows:
            break
        lines = [crop(each, cells) for each in block.lines[: rows - len(shown)]]
        shown += [marked(each, cells, i == 0) for i, each in enumerate(lines)] if index == chosen else lines
        keys += [block.key] * len(lines)
        count += 1
    return Fitted(shown, keys, len(blocks) - count)


def marked(pieces: Line, cells: int, first: bool = True) -> Line:
    """A line under the cursor; its first cell holds the mark."""
    whole = fill((Piece("▸" if first else " ", "mark"), *_without_first_cell(pieces)), cells)
    return tuple(Piece(text, f"{style} under cursor".strip()) for text, style in whole)


def _without_first_cell(pieces: Line) -> Line:
    first, *others = pieces or (Piece(" "),)
    return (Piece(first.text[1:], first.style), *others)
