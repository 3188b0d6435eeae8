"""The panel of runs that go on or wait, and below them the newest that have ended."""

from __future__ import annotations

from datetime import datetime

from opsconsole.authoring.run import OPEN, Counts, RunState
from opsconsole.core import humanize
from opsconsole.service import wording
from opsconsole.service.snapshot import Progress, Run
from screens.panels.view import WIDE, Block, Key, View, fit, hint, stale
from screens.widgets import symbols as look
from screens.widgets.lines import EMPTY, Line, Piece, bar, ends, left, line, right, rule, tell, width

PANEL = "running"


def keys(view: View) -> list[Key]:
    """The rows that the cursor can stand on."""
    return [key for block in _blocks(view, WIDE) if (key := block.key) is not None]


def panel(view: View, cells: int, rows: int) -> list[Line]:
    """The rule and `rows` lines."""
    blocks = _blocks(view, cells)
    shown, hidden = fit(blocks, rows, cells, view.cursor)
    return [rule("Running", cells, _note(view, hidden)), *shown]


def done(counts: Counts) -> Line:
    """What became of the items, in words; the rarer ones only where there are any."""
    parts = [Piece(f"{counts.ok:,} ok")]
    if counts.failed:
        parts += [Piece(" · ", "quiet"), Piece(f"{counts.failed:,} failed", "bad")]
    if counts.skipped:
        parts += [Piece(" · ", "quiet"), Piece(f"{counts.skipped:,} skipped", "quiet")]
    if counts.not_reached:
        parts += [Piece(" · ", "quiet"), Piece(f"{counts.not_reached:,} not reached", "warn")]
    return tuple(parts)


def share(run: Run) -> float | None:
    """How much of a run is done; None while it is not known how much there is."""
    if not run.planning_done or run.counts.planned == 0:
        return None
    return min(1.0, (run.counts.tried + run.counts.not_reached) / run.counts.planned)


def stopping(run: Run, now: datetime) -> Line:
    """Who wants a run to end, and when it is ended by force; empty when nobody does."""
    stop = run.stop
    if stop is None or run.state not in OPEN:
        return EMPTY
    seconds = (stop.force_at - now).total_seconds()
    force = f"by force in {humanize.duration(seconds + 0.5)}" if seconds > 0 else "by force now"
    by = line(Piece("being cancelled by ", "warn"), tell(stop.by, "warn", 40))
    return (*by, Piece(" · ", "quiet"), Piece(force, "warn"))


def _note(view: View, hidden: int) -> Line:
    snapshot = view.snapshot
    if old := stale(view):
        return old
    if snapshot.data_outage is not None:
        return line(Piece(f"data database away since {humanize.clock(snapshot.data_outage.since)}", "warn"))
    more = f"{hidden} more below · " if hidden else ""
    if not snapshot.live and snapshot.recent:
        return line(Piece(f"{more}nothing runs now · t triggers", "quiet"))
    return line(Piece(f"{hidden} more below", "quiet")) if hidden else ()


def _blocks(view: View, cells: int) -> list[Block]:
    snapshot = view.snapshot
    live = {each.run.id for each in snapshot.live}
    blocks = [_live(view, each, cells) for each in snapshot.live]
    blocks += [_ended(view, run, cells) for run in snapshot.recent if run.id not in live]
    if not blocks and snapshot.jobs:
        return [hint("nothing has run yet · t triggers a job now, or wait for the next one")]
    return blocks or [hint("no job is loaded · name a pack under `packs` in the configuration")]


def _live(view: View, progress: Progress, cells: int) -> Block:
    run = progress.run
    if run.state is not RunState.RUNNING:
        return Block(_waiting(view, progress, cells), _key(run))
    stops = stopping(run, view.now)
    part = share(run)
    percent = "" if part is None else f"{int(part * 100)}%"
    more = "" if run.planning_done else "+"
    counts = f"{run.counts.tried:,}/{run.counts.planned:,}{more}"
    if cells >= WIDE:
        start, end = _name(view, run, cells), line(right(counts, 16), right(percent, 5), " ")
        first = (*start, *bar(part, cells - width(start) - width(end)), *end)
        if stops:
            told = line("   ", *stops, Piece(" · ", "quiet"), *done(run.counts))
            return Block((first, ends(told, _number(run), cells)), _key(run))
        return Block((first, ends((Piece("   "), *_speed(progress)), _run_and_cause(run, 34), cells)), _key(run))
    first = ends(_name(view, run, cells), line(right(percent, 5), right(_left(progress), 15), " "), cells)
    if stops:
        return Block((first, line("   ", *stops)), _key(run))
    room = max(6, cells - 4 - width((*_speed(progress, False), Piece(counts))) - 5)
    second = line("   ", *bar(part, min(20, room)), f" {counts} ", *_speed(progress, False))
    return Block((first, second), _key(run))


def _waiting(view: View, progress: Progress, cells: int) -> tuple[Line, ...]:
    """In one row; in two where there is little room for what it waits for."""
    told = stopping(progress.run, view.now) or waiting(progress, view.now, led=view.snapshot.leader is not None)
    run = progress.run
    name, end = _name(view, run, cells), _number(run) if cells >= WIDE else line(" ")
    if width(name) + width(told) + width(end) > cells:
        return ends(name, end, cells), ends(line("   ", *told), line(" "), cells)
    return (ends((*name, *told), end, cells),)


def waiting(progress: Progress, now: datetime, *, led: bool) -> Line:
    """What a run waits for that has not begun, or was interrupted."""
    interrupted = progress.run.state is not RunState.QUEUED
    style = "quiet" if led and not interrupted else "warn"
    if progress.waits is not None:
        waits = "interrupted, waits for " if interrupted else "waits for "
        return line(Piece(waits, style), tell(wording.wait(progress.waits), style))
    if interrupted:
        return line(Piece("interrupted", style))
    return line(Piece(f"queued for {humanize.age(now - progress.run.created_at)}", style))


def _ended(view: View, run: Run, cells: int) -> Block:
    seen = look.RUN[run.state]
    ended = run.ended_at or run.created_at
    if cells >= WIDE:
        start = line(*_name(view, run, cells), Piece(f"{seen.word:<9} ", seen.style))
        at = humanize.date_and_time(ended, view.now, view.zone_of(run.job))
        return Block((ends((*start, *_what_came(run, 60)), line("  ", tell(at), " "), cells),), _key(run))
    ago = f" {humanize.age(view.now - ended)} ago "
    return Block((ends((*_name(view, run, cells), *_what_came(run, 9)), line(ago), cells),), _key(run))


def _what_came(run: Run, cells: int) -> Line:
    """Why the run went wrong where it did, else its counts; the worst of them where there is little room."""
    if run.error:
        return line(tell(run.error, "bad", 200))
    told = done(run.counts)
    if width(told) <= cells:
        return told
    return line(Piece(f"{run.counts.failed:,} failed", "bad")) if run.counts.failed else told[:1]


def _name(view: View, run: Run, cells: int) -> Line:
    seen = look.RUN[run.state]
    style = seen.style if run.stop is None or run.state not in OPEN else "warn"
    wide = cells >= WIDE
    window = left(view.window_of(run, named=wide), 12 if wide else 7)
    return line(" ", Piece(seen.symbol, style), " ", left(run.job, 22, "strong"), " ", window, " " if wide else "")


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
        return "time left -"
    return f"{humanize.duration(progress.seconds_left)} left"


def _run_and_cause(run: Run, cells: int) -> Line:
    kind = next(iter(run.kinds), None)
    return line(*((left(humanize.words(kind), cells - 12, "quiet"),) if kind else ()), *_number(run))


def _number(run: Run) -> Line:
    return line(right(f"run {run.id}", 10, "quiet"), " ")


def _key(run: Run) -> Key:
    return PANEL, str(run.id)
