"""The panel of live runs, and below them the newest runs that have ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from opsconsole.authoring.run import OPEN, Counts, RunState
from opsconsole.core import humanize
from opsconsole.service import wording
from opsconsole.service.snapshot import Progress, Run, Work
from screens.panels import recent
from screens.panels.recent import RunGroup
from screens.panels.view import WIDE, Block, Blocks, Key, View, empty, fitted, stale
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Drawing, Line, Piece, bar, ends, left, line, right, text, width
from screens.widgets.names import middle

PANEL = "running"


class Columns(NamedTuple):
    """The widths of a job's name and its window in rows of `cells`."""

    cells: int
    job: int
    window: int


WIDE_COLUMNS, NARROW_COLUMNS = Columns(82, 22, 12), Columns(58, 21, 7)
MORE_FOR_NAMES = 12
"""The most cells that wider rows add to the name of a job."""


def keys(view: View) -> list[Key]:
    return [key for key, _ in _rows(view)]


def panel(view: View, cells: int, rows: int) -> Drawing:
    """The live runs, and below them those that have ended."""
    blocks = _blocks(view, cells)
    shown = fitted(blocks, rows, cells, view.cursor)
    return Drawing(shown.lines, line(Piece("Running", "title")), _note(view, shown.hidden), shown.rows)


def done(counts: Counts) -> Line:
    """The items by outcome; outcomes without any are left out."""
    parts = [Piece(f"{counts.ok:,} ok")]
    if counts.failed:
        parts += [Piece(" · ", "quiet"), Piece(f"{counts.failed:,} failed", "warn" if counts.ok else "bad")]
    if counts.skipped:
        parts += [Piece(" · ", "quiet"), Piece(f"{counts.skipped:,} skipped", "quiet")]
    if counts.not_reached:
        parts += [Piece(" · ", "quiet"), Piece(f"{counts.not_reached:,} not reached", "warn")]
    return tuple(parts)


def share(run: Run) -> float | None:
    """The share of a run that is done; None while its items are being counted."""
    if not run.planning_done or run.counts.planned == 0:
        return None
    return min(1.0, (run.counts.tried + run.counts.not_reached) / run.counts.planned)


def stopping(run: Run, now: datetime) -> Line:
    """Who cancels a run, and when it is stopped by force; empty unless it is being cancelled."""
    stop = run.stop
    if stop is None or run.state not in OPEN:
        return EMPTY
    seconds = (stop.force_at - now).total_seconds()
    force = f"by force in {humanize.duration(round(seconds))}" if seconds > 0 else "by force now"
    by = line(Piece("being cancelled by ", "warn"), text(stop.by, "warn", 40))
    return (*by, Piece(" · ", "quiet"), Piece(force, "warn"))


def _note(view: View, hidden: int) -> Line:
    snapshot = view.snapshot
    if old := stale(view):
        return old
    if snapshot.data_outage is not None:
        return line(Piece(f"data unreachable since {humanize.clock(snapshot.data_outage.since)}", "warn"))
    more = f"{hidden} more below · " if hidden else ""
    if not snapshot.live and snapshot.recent:
        return line(Piece(more + view.hint("no live run", "trigger", "triggers"), "quiet"))
    return line(Piece(f"{hidden} more below", "quiet")) if hidden else ()


def no_run(view: View) -> str:
    """What a list of runs shows before the first one."""
    return view.hint("no run yet", "trigger", "triggers a job")


def _blocks(view: View, cells: int) -> Sequence[Block]:
    rows = _rows(view)
    if rows:
        return Blocks([key for key, _ in rows], lambda index: rows[index][1](cells))
    if view.snapshot.jobs:
        unread = Work.LIVE_RUNS if view.snapshot.why_unknown(Work.LIVE_RUNS) else Work.RECENT_RUNS
        return [empty(view, unread, no_run(view))]
    return [empty(view, Work.JOBS, "no jobs")]


def _rows(view: View) -> list[tuple[Key, Callable[[int], tuple[Line, ...]]]]:
    """The rows, each with what draws it in a number of cells."""
    snapshot = view.snapshot
    live = {each.run.id for each in snapshot.live}
    ended = recent.groups(tuple(run for run in snapshot.recent if run.id not in live), snapshot.histories)
    ended = [group for group in ended if group.newest.id not in live]
    groups = [(_key(group.newest), partial(_ended, view, group)) for group in ended]
    unresolved = sum(group.is_unresolved for group in ended)  # these come first
    running = [each for each in snapshot.live if each.run.state is not RunState.QUEUED]
    return [
        *((_key(each.run), partial(_live, view, each)) for each in running),
        *groups[:unresolved],
        *((_key(first.run), partial(_queued_row, view, first, count)) for first, count in _queued(snapshot.live)),
        *groups[unresolved:],
    ]


def _queued_row(view: View, first: Progress, count: int, cells: int) -> tuple[Line, ...]:
    return _waiting(view, first, cells, count)


def _live(view: View, progress: Progress, cells: int) -> tuple[Line, ...]:
    run = progress.run
    if run.state is not RunState.RUNNING or progress.waits is not None:
        return _waiting(view, progress, cells)
    cancel = stopping(run, view.now)
    part = share(run)
    percent = "" if part is None else f"{int(part * 100)}%"
    more = "" if run.planning_done else "+"
    counts = f"{run.counts.tried:,}/{run.counts.planned:,}{more}"
    if cells >= WIDE:
        start, end = _name(view, run, cells), line(right(counts, 16), right(percent, 5), " ")
        first = (*start, *bar(part, cells - width(start) - width(end)), *end)
        if cancel:
            second = line("   ", *cancel, Piece(" · ", "quiet"), *done(run.counts))
            return first, ends(second, _number(run), cells)
        return first, ends((Piece("   "), *_speed(progress)), _run_and_cause(run, 34), cells)
    first = ends(_name(view, run, cells), line(right(_left(progress), 16), " "), cells)
    if cancel:
        return first, ends(line("   ", *cancel), line(right(percent, 5), " "), cells)
    room = max(6, cells - 4 - width((*_speed(progress, False), Piece(counts))) - 10)
    second = line("   ", *bar(part, min(20, room)), right(percent, 5), f" {counts} ", *_speed(progress, False))
    return first, second


def _queued(live: Sequence[Progress]) -> list[tuple[Progress, int]]:
    """Of the queued runs of each job the first one, and their number: a backfill may have many."""
    found: dict[str, list[Progress]] = {}
    for each in live:
        if each.run.state is RunState.QUEUED:
            found.setdefault(each.run.job, []).append(each)
    return [(each[0], len(each)) for each in found.values()]


def _waiting(view: View, progress: Progress, cells: int, count: int = 1) -> tuple[Line, ...]:
    """One row; two where there is little room. Of several queued runs, the first one and their number."""
    has_leader = view.snapshot.leader is not None
    status = stopping(progress.run, view.now) or waiting(progress, view.now, has_leader=has_leader)
    run = progress.run
    name, end = _name(view, run, cells, count), _number(run) if cells >= WIDE else line(" ")
    if width(name) + width(status) + width(end) > cells:
        return ends(name, end, cells), ends(line("   ", *status), line(" "), cells)
    return (ends((*name, *status), end, cells),)


def waiting(progress: Progress, now: datetime, *, has_leader: bool) -> Line:
    """What a run waits for: one that is queued or interrupted, or a running one that lacks a worker."""
    is_interrupted = progress.run.state is RunState.INTERRUPTED
    style = "quiet" if has_leader and progress.run.state is RunState.QUEUED else "warn"
    if progress.waits is not None:
        prefix = "interrupted, waits for " if is_interrupted else "waits for "
        return line(Piece(prefix, style), text(wording.wait(progress.waits), style))
    if is_interrupted:
        return line(Piece("interrupted", style))
    return line(Piece(f"queued for {humanize.age(now - progress.run.created_at)}", style))


def _ended(view: View, group: RunGroup, cells: int) -> tuple[Line, ...]:
    run = group.newest
    symbol = symbols.RUN[run.state]
    ended = run.ended_at or run.created_at
    if cells >= WIDE:
        start = line(*_name(view, run, cells, group.runs), Piece(f"{symbol.word:<9} ", symbol.style))
        at = humanize.date_and_time(ended, view.now, view.zone_of(run.job))
        return (ends((*start, *_outcome(run, 60)), line("  ", text(at), " "), cells),)
    ago = f" {humanize.age(view.now - ended)} ago "
    return (ends((*_name(view, run, cells, group.runs), *_outcome(run, 10)), line(ago), cells),)


def _outcome(run: Run, cells: int) -> Line:
    """The error of a run, otherwise its counts; the worst count where there is little room."""
    if run.error:
        return line(text(run.error, "bad", 200))
    counts = done(run.counts)
    if width(counts) <= cells:
        return counts
    if not run.counts.failed:
        return counts[:1]
    style = symbols.RUN[run.state].style
    of_all = line(Piece(f"{run.counts.failed:,} of {run.counts.planned:,}", style))
    return of_all if width(of_all) <= cells else line(Piece(f"{run.counts.failed:,} failed", style))


def _name(view: View, run: Run, cells: int, count: int = 1) -> Line:
    """The job and its window; of several runs their number."""
    symbol = symbols.RUN[run.state]
    style = symbol.style if run.stop is None or run.state not in OPEN else "warn"
    is_wide = cells >= WIDE
    label = view.window_of(run, named=is_wide) if count == 1 else f"{count} runs"
    columns = WIDE_COLUMNS if is_wide else NARROW_COLUMNS
    room = columns.job + max(0, min(MORE_FOR_NAMES, cells - columns.cells))
    start = line(" ", Piece(symbol.char, style), " ")
    if not is_wide and ":" in label:  # a time without its zone; how long ago it was is at the end of the row
        room += columns.window + 1
        return (*start, left(middle(run.job, room), room, "strong"), Piece(" "))
    window = left(label, columns.window, "" if count == 1 else "quiet")
    return (*start, left(middle(run.job, room), room, "strong"), Piece(" "), window, Piece(" "))


def _speed(progress: Progress, with_ok: bool = True) -> Line:
    run = progress.run
    parts: list[Piece] = list(done(run.counts)) if with_ok else []
    if not with_ok and run.counts.failed:
        parts = [Piece(f"{run.counts.failed:,} failed", "bad")]
    if progress.rate is not None:
        parts += [Piece(" · ", "quiet")] if parts else []
        parts.append(Piece(humanize.rate(progress.rate)))
    if with_ok:
        parts += [Piece(" · ", "quiet"), Piece(_left(progress), "quiet")]
    return tuple(parts)


def _left(progress: Progress) -> str:
    if not progress.run.planning_done:
        return "counting items"
    if progress.seconds_left is None:
        return "no estimate yet"
    return f"{humanize.duration(round(progress.seconds_left))} left"


def _run_and_cause(run: Run, cells: int) -> Line:
    kind = next(iter(run.kinds), None)
    return line(*((left(humanize.words(kind), cells - 12, "quiet"),) if kind else ()), *_number(run))


def _number(run: Run) -> Line:
    return line(right(f"run {run.id}", 10, "quiet"), " ")


def _key(run: Run) -> Key:
    return PANEL, str(run.id)
