"""The history of runs: the segments with the filter, and a row for each run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from opsconsole.authoring.run import OPEN, Run, RunState, Trigger
from opsconsole.core import humanize, times
from opsconsole.rules.run_search import Segment
from screens.exports import Cell, Table
from screens.panels.running import no_run, share
from screens.panels.view import Key, View, stale
from screens.widgets import segments, symbols
from screens.widgets.lines import Line, Piece, Spot, cut, ends, fill, left, line, right, width, wrapped
from screens.widgets.names import shortened

PANEL = "runs"
MARK_CELLS, NUMBER_CELLS, TOOK_CELLS = 2, 9, 8
NARROW, WIDE, WIDEST = 78, 118, 150
"""From these widths on there is room for longer windows; for who requested a run, and when it started; for why."""
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


HEAD = Piece(" "), Piece("Runs", "title"), Piece(" ")
SEGMENTS = {each.value: each.value for each in Segment}
"""The segments with their words."""


class Columns(NamedTuple):
    """The widths of the columns; 0 for one that is not shown."""

    number: int
    job: int
    window: int
    state: int
    by: int
    started: int
    took: int


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list shows: its runs, how many are before them, how many there are in all, and what was not understood of
    the filter. Without `more`, the last run is the oldest one; `searched_to` is the run at which the search gave up.
    """

    runs: Sequence[Run] = ()
    before: int = 0
    total: int | None = None
    more_in_total: bool = False
    more: bool = False
    searched_to: int | None = None
    problem: str = ""
    is_filtered: bool = False
    is_loading: bool = False


def key(run: Run) -> Key:
    """The key of a run's row."""
    return PANEL, str(run.id)


def current(view: View, run: Run) -> Run:
    """The run as the Snapshot has it, if it is active: a list is older."""
    if run.state not in OPEN:
        return run
    return next((progress.run for progress in view.snapshot.live if progress.run.id == run.id), run)


def header(view: View, segment: Segment, query: Line, listed: Listed, cells: int, *, is_filtered: bool = False) -> Line:
    """The segments, of which the chosen one stands out, the filter, and where the cursor is in the list. The hint of an
    unused filter is left out where it does not fit.
    """
    pieces = [*HEAD, *segments.pieces(SEGMENTS, segment)]
    end = line("  ", *(stale(view) or line(Piece(position(view, listed), "quiet"))), " ")
    start = (*pieces, Piece(" "), *query)
    return ends(start if width(start) + width(end) <= cells or is_filtered else tuple(pieces), end, cells)


def spots() -> list[Spot]:
    """Where the segments of the header are."""
    return segments.spots(SEGMENTS, 0, width(HEAD))


def position(view: View, listed: Listed) -> str:
    """`3 of 1,000+`: the row under the cursor, and how many there are."""
    if listed.total is None:
        return ""
    total = f"{listed.total:,}{'+' if listed.more_in_total else ''}"
    place = next((i for i, run in enumerate(listed.runs, 1) if key(run) == view.cursor), None)
    return f"{listed.before + place:,} of {total}" if place is not None else total


def columns(cells: int) -> Columns:
    """The columns that fit."""
    by, started = (20 if cells >= WIDEST else 14, 17) if cells >= WIDE else (0, 0)
    job = max(29, cells // 5) if cells >= WIDE else 24 if cells >= NARROW else 15
    window = 13 if cells >= WIDE else 11 if cells >= NARROW else 10
    used = MARK_CELLS + NUMBER_CELLS + job + window + by + started + TOOK_CELLS + 1
    gaps = sum(each > 0 for each in (NUMBER_CELLS, job, window, by, started))
    return Columns(NUMBER_CELLS, job, window, max(8, cells - used - gaps), by, started, TOOK_CELLS)


def title(cells: int) -> Line:
    """The names of the columns, in the border above them: it starts with the third cell."""
    pieces: list[Piece] = []
    for name, room in columns(cells)._asdict().items():
        word = "run" if name == "number" else name
        if name == "took":
            pieces.pop()
            missing = cells - 2 * MARK_CELLS - len(word) - width(pieces)
            pieces += [Piece("─" * (missing - 1), "rule"), Piece(" "), Piece(word, "title")]
        elif room:
            pieces += [Piece(f"{word} ", "title"), Piece("─" * max(0, room - len(word) - 1), "rule"), Piece(" ")]
    return tuple(pieces)


def rows(view: View, listed: Listed, cells: int, room: int) -> tuple[list[Line], list[Key | None]]:
    """`room` lines, the row under the cursor included, and the row of each line."""
    problem = [line("   ", *each) for each in wrapped([listed.problem], cells - 4, "warn")] if listed.problem else []
    if not listed.runs:
        return [*problem, line("   ", Piece(_empty(view, listed), "quiet"))], []
    room = max(1, room - len(problem))
    chosen = next((i for i, run in enumerate(listed.runs) if key(run) == view.cursor), 0)
    is_cut = listed.searched_to is not None and chosen == len(listed.runs) - 1
    first = max(0, min(chosen + 1 + is_cut - room, chosen))
    shown = listed.runs[first : first + room]
    names, widths = shortened([run.job for run in shown], columns(cells).job), columns(cells)
    lines = [_row(view, current(view, run), names[run.job], widths, cells) for run in shown]
    if len(lines) < room and listed.searched_to is not None:
        lines.append(line("   ", Piece(_gave_up(view, listed.searched_to), "quiet")))
    keys: list[Key | None] = [*[None] * len(problem), *(key(run) for run in shown)]
    return [*problem, *lines], keys


def _empty(view: View, listed: Listed) -> str:
    if listed.is_loading:
        return "loading"
    if listed.searched_to is not None:
        return _gave_up(view, listed.searched_to)
    if listed.is_filtered:
        return "no run matches · {back} clears the filter, {next_panel} shows another list".format_map(view.keys)
    return no_run(view)


def _gave_up(view: View, number: int) -> str:
    return f"searched back to run {number:,} · {view.keys['down']} searches further"


def _row(view: View, run: Run, name: str, widths: Columns, cells: int) -> Line:
    symbol = symbols.RUN[run.state]
    is_chosen = key(run) == view.cursor
    parts = [
        Piece("▸ " if is_chosen else "  ", "mark"),
        left(f"{run.id:,}", widths.number, "strong"),
        Piece(" "),
        left(name, widths.job),
        Piece(" "),
        left(_window(view, run, widths), widths.window),
        Piece(" "),
        Piece(f"{symbol.char} ", symbol.style),
        left(outcome(run), widths.state - 2, "" if run.state is RunState.SUCCEEDED else symbol.style),
    ]
    if widths.by:
        parts += [Piece(" "), left(_by(run), widths.by, "quiet"), Piece(" ")]
        at = run.started_at or run.created_at
        parts.append(left(humanize.date_and_time(at, view.now, view.zone_of(run.job)), widths.started, "quiet"))
    seconds = run.seconds
    if seconds is None and run.started_at is not None:
        seconds = float(round((view.now - run.started_at).total_seconds()))
    took = humanize.elapsed(seconds)
    parts.append(right(took if len(took) <= widths.took else humanize.short_duration(seconds), widths.took))
    row = fill(tuple(parts), cells)
    return tuple(Piece(piece.text, f"{piece.style} under cursor".strip()) for piece in row) if is_chosen else row


def outcome(run: Run) -> str:
    """What came of a run, in a few words; how far it is while it runs."""
    counts, word = run.counts, symbols.RUN[run.state].word
    if run.state is RunState.SUCCEEDED:
        return f"{counts.ok:,} ok" if counts.planned else "nothing to do"
    if run.state is RunState.RUNNING:
        part = share(run)
        return f"{int(part * 100)}% of {counts.planned:,}" if part is not None else "counting items"
    if run.state is RunState.CANCELLED:
        return f"{word} by {run.stop.by}" if run.stop is not None else word
    if run.state in OPEN:
        return word
    if run.error:
        return run.error
    if counts.failed:
        return f"{counts.failed:,} of {counts.planned:,} failed"
    return f"{counts.not_reached:,} not reached" if counts.not_reached else word


def _by(run: Run) -> str:
    if run.trigger is Trigger.SCHEDULE:
        return "schedule"
    return run.requested_by if run.trigger is Trigger.HAND else f"{run.requested_by}, {run.trigger}"


def _window(view: View, run: Run, widths: Columns) -> str:
    """The window with the weekday of its date, where there is room."""
    label, tz = run.window.label, view.zone_of(run.job)
    short = humanize.window_label(label, view.now, tz)
    if not _DAY.fullmatch(label):
        return short if len(short) <= widths.window else humanize.window_label(label, view.now, tz, named=False)
    try:
        day = DAYS[date.fromisoformat(label).weekday()]
    except ValueError:
        return short
    return f"{day} {short}" if len(short) + len(day) < widths.window else cut(short, widths.window)


def keys_of(listed: Listed) -> list[Key]:
    """The keys of all rows, also of those that are not shown."""
    return [key(run) for run in listed.runs]


def table(found: Sequence[Run]) -> Table:
    """Runs as rows to export."""
    columns = ("run", "job", "window", "state", "trigger", "requested_by", "planned", "ok", "failed", "skipped")
    times_of = ("created_at", "started_at", "ended_at", "seconds", "error")
    return Table((*columns, *times_of), [_cells(run) for run in found])


def _cells(run: Run) -> tuple[Cell, ...]:
    counts = run.counts
    return (
        run.id,
        run.job,
        run.window.label,
        run.state.value,
        run.trigger.value,
        run.requested_by,
        counts.planned,
        counts.ok,
        counts.failed,
        counts.skipped,
        times.utc(run.created_at),
        times.utc(run.started_at),
        times.utc(run.ended_at),
        run.seconds,
        run.error,
    )
