"""What every panel is drawn from, and how its rows fit into its room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, overload

from opsconsole.authoring.run import RunState
from opsconsole.core import humanize
from opsconsole.service.snapshot import Finding, JobCard, JobHistory, Pause, Progress, Run, Snapshot, Work
from screens.keymap import key_names
from screens.panels import pauses
from screens.panels.fixes import Fix
from screens.panels.remembered import remembered
from screens.widgets.lines import EMPTY, Line, Piece, Row, crop, fill, line, text

Key = Row

WIDE = 78
"""From this width on, a run or a finding takes one row."""

NO_JOBS = "no jobs; add a pack to jobs.packs in the configuration"
UNKNOWN = "unknown while the store is unreachable"
OLD_AFTER = timedelta(seconds=5)
"""A Snapshot older than this is stale: the sampler hangs."""


@dataclass(frozen=True, slots=True)
class View:
    """A Snapshot, the current time, the cursor, whether the operator is only a viewer, whether times are shown in UTC
    instead of the zone of each job, what the console waits for while it starts, and the keys of the actions that this
    operator may use, by their ids.
    """

    snapshot: Snapshot
    now: datetime
    cursor: Key | None = None
    read_only: bool = False
    in_utc: bool = False
    step: str = ""
    keys: Mapping[str, str] = field(default_factory=lambda: key_names({}))

    def hint(self, sentence: str, action: str, effect: str) -> str:
        """A sentence and what a key does about it: `no run yet · t triggers a job`; the latter for who may use it."""
        key = self.keys.get(action)
        return f"{sentence} · {key} {effect}" if key else sentence

    def offer(self, fix: Fix | None) -> tuple[str, str] | None:
        """The key and the word of what fixes a finding; None where it has no key, or this operator may not use it."""
        key = self.keys.get(fix.action) if fix is not None else None
        return (key, fix.word) if key and fix is not None else None

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
        found = next((run for run in self._changing_runs() if run.id == number), None)
        return found or _by_number(self.snapshot.histories, self.snapshot.jobs).get(number)

    def newest_run(self, job: str) -> Run | None:
        """The newest run of a job in the Snapshot."""
        runs = [run for run in self._changing_runs() if run.job == job]
        last = _last_runs(self.snapshot.histories, self.snapshot.jobs).get(job)
        return max([*runs, *([last] if last is not None else [])], key=lambda run: run.id, default=None)

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

    def _changing_runs(self) -> Iterator[Run]:
        return _changing_runs(self.snapshot.live, self.snapshot.recent, self.snapshot.findings)


def newest_runs(
    jobs: tuple[JobCard, ...],
    live: tuple[Progress, ...],
    recent: tuple[Run, ...],
    histories: tuple[JobHistory, ...],
    findings: tuple[Finding, ...],
) -> dict[str, Run]:
    """The newest run of each job in these parts of a Snapshot."""
    found = dict(_last_runs(histories, jobs))
    for run in _changing_runs(live, recent, findings):
        if run.job not in found or found[run.job].id < run.id:
            found[run.job] = run
    return found


def _changing_runs(live: tuple[Progress, ...], recent: tuple[Run, ...], findings: tuple[Finding, ...]) -> Iterator[Run]:
    """The few runs that may be newer than those of the histories."""
    yield from (progress.run for progress in live)
    yield from recent
    yield from (finding.run for finding in findings if finding.run is not None)


@remembered
def _by_number(histories: tuple[JobHistory, ...], jobs: tuple[JobCard, ...]) -> dict[int, Run]:
    runs = {card.last.id: card.last for card in jobs if card.last is not None}
    return runs | {run.id: run for history in histories for run in history.newest}


@remembered
def _last_runs(histories: tuple[JobHistory, ...], jobs: tuple[JobCard, ...]) -> dict[str, Run]:
    """The newest run of each job that has any."""
    found = {history.job: history.newest[0] for history in histories if history.newest}
    for card in jobs:
        if card.last is not None and (card.name not in found or found[card.name].id < card.last.id):
            found[card.name] = card.last
    return found


@remembered
def _zones(jobs: tuple[JobCard, ...]) -> dict[str, str]:
    return {card.name: card.tz for card in jobs}


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one row; the cursor skips a row without a key."""

    lines: tuple[Line, ...]
    key: Key | None = None


class Blocks(Sequence[Block]):
    """Blocks that are made when they are needed: of a thousand rows, few are shown. `draw` makes the lines of one by
    its number.
    """

    def __init__(self, keys: Sequence[Key], draw: Callable[[int], tuple[Line, ...]]) -> None:
        self.keys = keys
        self._draw = draw

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Block: ...

    @overload
    def __getitem__(self, index: slice) -> list[Block]: ...

    def __getitem__(self, index: int | slice) -> Block | list[Block]:
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        return Block(self._draw(index), self.keys[index])


def zone_of(snapshot: Snapshot, job: str) -> str:
    """The zone of a job; UTC for one that is not loaded."""
    return _zones(snapshot.jobs).get(job, "UTC")


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
    """The blocks that fit into `rows`, with the one under the cursor. Others of `Blocks` are not made.

    The first line of a block starts with a cell for the cursor's mark.
    """
    chosen = _place(blocks, cursor) if cursor is not None else None
    shown: list[Line] = []
    keys: list[Key | None] = []
    count = 0
    for index in range(_first_shown(blocks, chosen, rows), len(blocks)):
        block = blocks[index]
        if count and len(shown) + len(block.lines) > rows:
            break
        lines = [crop(each, cells) for each in block.lines[: rows - len(shown)]]
        shown += [marked(each, cells, i == 0) for i, each in enumerate(lines)] if index == chosen else lines
        keys += [block.key] * len(lines)
        count += 1
    return Fitted(shown, keys, len(blocks) - count)


def _place(blocks: Sequence[Block], cursor: Key) -> int | None:
    keys = blocks.keys if isinstance(blocks, Blocks) else [block.key for block in blocks]
    return keys.index(cursor) if cursor in keys else None


def _first_shown(blocks: Sequence[Block], chosen: int | None, rows: int) -> int:
    """The first block with which the chosen one fits."""
    if chosen is None:
        return 0
    first, used = chosen, len(blocks[chosen].lines)
    while first > 0 and (used := used + len(blocks[first - 1].lines)) <= rows:
        first -= 1
    return first


def marked(pieces: Line, cells: int, first: bool = True) -> Line:
    """A line under the cursor; its first cell holds the mark."""
    whole = fill((Piece("▸" if first else " ", "mark"), *_without_first_cell(pieces)), cells)
    return tuple(Piece(text, f"{style} under cursor".strip()) for text, style in whole)


def _without_first_cell(pieces: Line) -> Line:
    first, *others = pieces or (Piece(" "),)
    return (Piece(first.text[1:], first.style), *others)
