"""The page of one run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.run import OPEN, Run, RunState, Trigger
from opsconsole.core import humanize
from opsconsole.service import wording
from opsconsole.service.snapshot import BatchCell, Pause, Progress, RunPage
from screens.panels import pauses as pause_texts
from screens.panels.running import done, share, stopping, waiting
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Line, Piece, bar, crop, ends, line, right, rule, side_by_side, text, width

SIDE_BY_SIDE = 160
"""From this width on, failures and log are shown side by side."""

_WORST = (
    symbols.BATCH[BatchState.FAILED],
    symbols.BATCH_PARTIAL,
    symbols.BATCH[BatchState.RUNNING],
    symbols.BATCH[BatchState.NOT_REACHED],
    symbols.BATCH[BatchState.PENDING],
    symbols.BATCH[BatchState.DONE],
)


def header(progress: Progress, now: datetime, cells: int) -> list[Line]:
    """Title, progress, cancel, error and metrics of a run."""
    run, tz = progress.run, progress.tz
    at = run.started_at or run.created_at
    title = line(
        " ",
        Piece(f"Run {run.id}", "title"),
        "  ",
        text(run.job, "strong", 60),
        "  ",
        text(humanize.window_label(run.window.label, now, tz), limit=40),
    )
    local = "" if tz == "UTC" else f" ({humanize.clock(at, tz)})"
    by = line("  ", text(_by(run), limit=60), Piece(f", {humanize.date_and_time(at, now)}{local} ", "quiet"))
    lines = [ends(title, by, cells), _state(progress, now, cells)]
    lines += _stopping(run, now, cells)
    if run.error:
        lines.append(crop(line(" ", text(run.error, "bad")), cells))
    if run.metrics:
        metrics = "  ·  ".join(f"{name} {_number(value)}" for name, value in run.metrics.items())
        lines.append(crop(line(Piece(" metrics  ", "quiet"), text(metrics)), cells))
    return lines


def page(
    data: RunPage, now: datetime, cells: int, rows: int, *, held_at: int | None = None, pauses: Sequence[Pause] = ()
) -> list[Line]:
    """The whole page in `rows` lines. `held_at` is the last log line that is shown; None follows the newest. `pauses`
    are the active pauses of the job; the run continues all the same.
    """
    lines = [*header(data.progress, now, cells), *_pause_lines(data.progress, pauses, now, cells), *_retry_lines(data)]
    lines += grid(data, cells, max(1, rows // 6))
    room = rows - len(lines)
    if cells >= SIDE_BY_SIDE:
        half = (cells - 1) // 2
        columns = failures(data, half, room - 1), log(data, cells - 1 - half, room - 1, held_at)
        return [*lines, *side_by_side(columns[0], half, columns[1], cells - 1 - half)]
    causes = failures(data, cells, max(1, min(len(data.causes) + len(_recurring(data)), room // 3)))
    return [*lines, *causes, *log(data, cells, max(1, room - len(causes) - 1), held_at)]


def grid(page: RunPage, cells: int, rows: int) -> list[Line]:
    """A symbol for each batch; where there are too many, one for several, the worst of them."""
    batches = [cell for cell in page.grid if cell.state is not BatchState.REPLACED]
    room = max(1, (cells - 4) * rows)
    each = -(-len(batches) // room) or 1
    grid_symbols = [_worst(batches[i : i + each]) for i in range(0, len(batches), each)]
    total = page.progress.run.batches
    title = humanize.count(len(batches), "batch", "batches")
    if total > len(page.grid):
        title = f"first {len(batches):,} of {total:,} batches"
    if each > 1:
        title += f", {each} per symbol"
    if page.progress.run.keys_removed:
        title = f"{humanize.count(total, 'batch', 'batches')}, no longer kept but for {len(batches):,} with failures"
    lines = [_symbol_line(grid_symbols[i : i + cells - 4]) for i in range(0, len(grid_symbols), cells - 4)]
    if not lines:
        reason = "none yet: counting items" if page.progress.run.state in OPEN else "none: there were no items"
        reason = wording.KEYS_REMOVED if page.progress.run.keys_removed else reason
        lines = [line("  ", Piece(reason, "quiet"))]
    return [rule(title, cells, _legend(grid_symbols)), *lines]


def failures(page: RunPage, cells: int, rows: int) -> list[Line]:
    """The causes, most frequent first, with their first items."""
    failed = page.progress.run.counts.failed
    title = f"{failed:,} failed"
    if page.causes:
        title += f", {humanize.count(len(page.causes), 'cause')}"
    hidden = len(page.causes) - rows
    note = line(Piece(f"{hidden} more", "quiet")) if hidden > 0 else EMPTY
    if not page.causes:
        return [rule(title, cells, note), line("   ", Piece("no item failed", "quiet"))]
    lines = []
    recurring = _recurring(page) if len(page.causes) < rows else {}  # only where there is room for it
    for cause in page.causes[:rows]:
        items = text(" ".join(cause.items), "quiet")
        start = line(right(f"{cause.count:,}", 6, "bad"), "  ", text(cause.message, limit=300))
        lines.append(ends(start, crop(line("  ", items, " "), max(20, cells // 3)), cells))
        if cause.kind in recurring:
            lines.append(crop(line("        ", text(recurring[cause.kind], "warn")), cells))
    return [rule(title, cells, note), *lines[:rows]]


def _recurring(page: RunPage) -> dict[str, str]:
    """Which items of each cause failed in other runs, too."""
    found = {}
    for cause in page.causes:
        counts = sorted(((page.failed_in.get(item, 0), item) for item in cause.items), key=lambda each: -each[0])
        first, *others = [(count, item) for count, item in counts if count > 1] or [(0, "")]
        if first[0]:
            parts = [f"{first[1]} failed in {first[0]} of the last {page.last_runs} runs"]
            found[cause.kind] = ", ".join([*parts, *(f"{item} in {count}" for count, item in others)])
    return found


def log(page: RunPage, cells: int, rows: int, held_at: int | None) -> list[Line]:
    """The newest lines, the last one at the bottom."""
    end = len(page.log) if held_at is None else max(min(rows, len(page.log)), min(held_at, len(page.log)))
    shown = page.log[max(0, end - rows) : end]
    place = humanize.zone(page.progress.tz)
    lines = []
    for at, message in shown:
        local = at.astimezone(place)
        time = f" {local:%H:%M:%S}.{local.microsecond // 1000:03d}  "
        lines.append(crop(line(Piece(time, "quiet"), text(message, _log_style(message))), cells))
    below = len(page.log) - end
    if held_at is not None:
        note = Piece(f"held, {below} newer below · f follows" if below else "held · f follows", "warn")
    else:
        note = Piece("following" if page.progress.run.state in OPEN else "complete", "quiet")
    if not lines:
        lines = [line("   ", Piece("no log lines yet", "quiet"))]
    zone_name = text(page.progress.tz, "quiet", 30)
    return [rule("Log", cells, line(zone_name, Piece(" · ", "quiet"), note)), *lines]


def _pause_lines(progress: Progress, active: Sequence[Pause], now: datetime, cells: int) -> list[Line]:
    if not active:
        return []
    symbol = symbols.PAUSED
    sentence = pause_texts.sentence(active[0], progress.run.job, now, progress.tz)
    return [crop(line(" ", Piece(f"{symbol.char} ", symbol.style), text(sentence, symbol.style, 400)), cells)]


def _retry_lines(page: RunPage) -> list[Line]:
    numbers = ", ".join(str(number) for number in page.retried_by)
    return [line(Piece(" retried  ", "quiet"), f"by run {numbers}")] if numbers else []


def _by(run: Run) -> str:
    if run.trigger is Trigger.SCHEDULE:
        return "by schedule"
    if run.trigger is Trigger.RETRY:
        return f"retry of run {run.parent} by {run.requested_by}"
    return f"backfill by {run.requested_by}" if run.trigger is Trigger.BACKFILL else f"by {run.requested_by}"


def _state(progress: Progress, now: datetime, cells: int) -> Line:
    run = progress.run
    symbol = symbols.RUN[run.state]
    dot = Piece(" · ", "quiet")
    start = [Piece(" "), Piece(f"{symbol.char} {symbol.word.upper()}", symbol.style), Piece("  ")]
    if run.state is RunState.QUEUED:
        return crop((*start, *waiting(progress, now, has_leader=True)), cells)
    if run.state in OPEN:
        parts = [*done(run.counts), Piece(f" of {run.counts.planned:,}{'' if run.planning_done else ' so far'}")]
    else:
        parts = [Piece(f"{run.counts.planned:,} planned"), dot, *done(run.counts)]
    if run.seconds is not None:
        tried = run.counts.ok + run.counts.failed
        parts += [dot, Piece(humanize.elapsed(run.seconds))]
        parts += [dot, Piece(humanize.rate(tried / run.seconds))] if run.seconds > 0 and tried else []
    elif progress.rate is not None:
        parts += [dot, Piece(humanize.rate(progress.rate))]
    if progress.seconds_left is not None:
        parts += [dot, Piece(f"{humanize.duration(round(progress.seconds_left))} left")]
    if run.attempt > 1:
        parts += [dot, Piece(f"attempt {run.attempt}", "warn")]
    if progress.waits is not None and run.state is RunState.INTERRUPTED:
        parts += [dot, Piece("waits for ", "warn"), text(wording.wait(progress.waits), "warn")]
    part = share(run)
    if run.state is RunState.RUNNING and part is not None:
        room = cells - width(start) - width(parts) - 7
        start += [*bar(part, max(4, min(30, room))), Piece(f" {int(part * 100)}%  ")]
    return crop((*start, *parts), cells)


def _stopping(run: Run, now: datetime, cells: int) -> list[Line]:
    """Who cancels the run and why; empty unless it is being cancelled."""
    status = stopping(run, now)
    if not status or run.stop is None:
        return []
    why = f"replaced by run {run.stop.run}" if run.stop.run is not None else run.stop.note
    if not why:
        return [crop(line(" ", *status), cells)]
    single = line(" ", *status, Piece(" · ", "quiet"), text(why))
    if width(single) <= cells:
        return [single]
    return [crop(each, cells) for each in (line(" ", *status), line(" ", text(why)))]


def _worst(cells: Sequence[BatchCell]) -> symbols.Symbol:
    found = {symbols.of_batch(cell) for cell in cells}
    return next((symbol for symbol in _WORST if symbol in found), symbols.BATCH[BatchState.PENDING])


def _symbol_line(shown: Sequence[symbols.Symbol]) -> Line:
    pieces: list[Piece] = []
    for symbol in shown:
        if pieces and pieces[-1].style == symbol.style:
            pieces[-1] = Piece(pieces[-1].text + symbol.char, symbol.style)
        else:
            pieces.append(Piece(symbol.char, symbol.style))
    return line("  ", *pieces)


def _legend(shown: Sequence[symbols.Symbol]) -> Line:
    """What the symbols in the grid mean."""
    pieces: list[Piece] = []
    for symbol in _WORST[::-1]:
        if symbol in shown:
            gap = Piece("  " if pieces else "")
            pieces += [gap, Piece(symbol.char, symbol.style), Piece(f" {symbol.word}", "quiet")]
    return tuple(pieces)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _log_style(text: str) -> str:
    lowered = text.lower()
    return "bad" if "error" in lowered or "unreachable" in lowered else ""
