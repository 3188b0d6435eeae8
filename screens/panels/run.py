"""The page of one run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.run import OPEN, Run, RunState, Trigger
from opsconsole.core import humanize
from opsconsole.service import wording
from opsconsole.service.snapshot import BatchCell, Pause, Progress, RunPage
from screens.panels import pauses
from screens.panels.running import done, share, stopping, waiting
from screens.widgets import symbols as look
from screens.widgets.lines import EMPTY, Line, Piece, bar, crop, ends, line, right, rule, side_by_side, tell, width

BESIDE = 160
"""From this many cells on the failures and the log stand beside each other."""

_WORST = (
    look.BATCH[BatchState.FAILED],
    look.BATCH_PART,
    look.BATCH[BatchState.RUNNING],
    look.BATCH[BatchState.NOT_REACHED],
    look.BATCH[BatchState.PENDING],
    look.BATCH[BatchState.DONE],
)


def head(progress: Progress, now: datetime, cells: int) -> list[Line]:
    """Which run it is, how far it is, why it ended, what it is related to, what it counted."""
    run, tz = progress.run, progress.tz
    asked = run.started_at or run.created_at
    title = line(
        " ",
        Piece(f"Run {run.id}", "title"),
        "  ",
        tell(run.job, "strong", 60),
        "  ",
        tell(humanize.window_label(run.window.label, now, tz), limit=40),
    )
    local = "" if tz == "UTC" else f" ({humanize.clock(asked, tz)})"
    by = line("  ", tell(_by(run), limit=60), Piece(f", {humanize.date_and_time(asked, now)}{local} ", "quiet"))
    lines = [ends(title, by, cells), _state(progress, now, cells)]
    lines += _stopping(run, now, cells)
    if run.error:
        lines.append(crop(line(" ", tell(run.error, "bad")), cells))
    if run.metrics:
        told = "  ·  ".join(f"{name} {_number(value)}" for name, value in run.metrics.items())
        lines.append(crop(line(Piece(" counted  ", "quiet"), tell(told)), cells))
    return lines


def paused(progress: Progress, held: Sequence[Pause], now: datetime, cells: int) -> list[Line]:
    """That the run's job is paused; this run goes on all the same."""
    seen = look.PAUSED
    return [
        crop(line(" ", Piece(f"{seen.symbol} ", seen.style), tell(told, seen.style, 400)), cells)
        for pause in held[:1]
        for told in (pauses.sentence(pause, progress.run.job, now, progress.tz),)
    ]


def retries(page: RunPage) -> Line:
    """Which runs took up what this one left."""
    if not page.retried_by:
        return EMPTY
    numbers = ", ".join(str(number) for number in page.retried_by)
    return line(Piece(" retried  ", "quiet"), f"by run {numbers}")


def body(
    page: RunPage, now: datetime, cells: int, rows: int, *, held_at: int | None = None, held: Sequence[Pause] = ()
) -> list[Line]:
    """The whole page in `rows` lines. `held_at` is the log line that stays the last one; None follows the newest.
    `held` are the pauses that hold back its job.
    """
    lines = [*head(page.progress, now, cells), *paused(page.progress, held, now, cells)]
    again = retries(page)
    lines += [again] if again else []
    lines += grid(page, cells, max(1, rows // 6))
    room = rows - len(lines)
    if cells >= BESIDE:
        half = (cells - 1) // 2
        beside = failures(page, half, room - 1), log(page, cells - 1 - half, room - 1, held_at)
        return [*lines, *side_by_side(beside[0], half, beside[1], cells - 1 - half)]
    causes = failures(page, cells, max(1, min(len(page.causes), room // 3)))
    return [*lines, *causes, *log(page, cells, max(1, room - len(causes) - 1), held_at)]


def grid(page: RunPage, cells: int, rows: int) -> list[Line]:
    """A sign for each batch; where they are too many, one for several, the worst of them."""
    batches = [cell for cell in page.grid if cell.state is not BatchState.REPLACED]
    room = max(1, (cells - 4) * rows)
    each = -(-len(batches) // room) or 1
    signs = [_worst(batches[i : i + each]) for i in range(0, len(batches), each)]
    whole = page.progress.run.batches
    title = humanize.count(len(batches), "batch", "batches")
    if whole > len(page.grid):
        title = f"first {len(batches):,} of {whole:,} batches"
    if each > 1:
        title += f", {each} a sign"
    drawn = [_signs(signs[i : i + cells - 4]) for i in range(0, len(signs), cells - 4)]
    if not drawn:
        waits = "none yet: its items are being counted" if page.progress.run.state in OPEN else "none: it had no items"
        drawn = [line("  ", Piece(waits, "quiet"))]
    return [rule(title, cells, _legend(signs)), *drawn]


def failures(page: RunPage, cells: int, rows: int) -> list[Line]:
    """The causes, the most frequent first, with their first items."""
    failed = page.progress.run.counts.failed
    title = f"{failed:,} failed"
    if page.causes:
        title += f", {humanize.count(len(page.causes), 'cause')}"
    hidden = len(page.causes) - rows
    note = line(Piece(f"{hidden} more", "quiet")) if hidden > 0 else EMPTY
    if not page.causes:
        return [rule(title, cells, note), line("   ", Piece("no item has failed", "quiet"))]
    lines = []
    for cause in page.causes[:rows]:
        items = tell(" ".join(cause.items), "quiet")
        start = line(right(f"{cause.count:,}", 6, "bad"), "  ", tell(cause.message, limit=300))
        lines.append(ends(start, crop(line("  ", items, " "), max(20, cells // 3)), cells))
    return [rule(title, cells, note), *lines]


def log(page: RunPage, cells: int, rows: int, held_at: int | None) -> list[Line]:
    """The newest lines, at the bottom; all of them fit or the older ones are left out."""
    end = len(page.log) if held_at is None else max(min(rows, len(page.log)), min(held_at, len(page.log)))
    shown = page.log[max(0, end - rows) : end]
    place = humanize.zone(page.progress.tz)
    lines = []
    for at, text in shown:
        local = at.astimezone(place)
        time = f" {local:%H:%M:%S}.{local.microsecond // 1000:03d}  "
        lines.append(crop(line(Piece(time, "quiet"), tell(text, _log_style(text))), cells))
    below = len(page.log) - end
    if held_at is not None:
        note = Piece(f"held, {below} newer below · f follows" if below else "held · f follows", "warn")
    else:
        note = Piece("following" if page.progress.run.state in OPEN else "complete", "quiet")
    if not lines:
        lines = [line("   ", Piece("nothing is logged yet", "quiet"))]
    zone_name = tell(page.progress.tz, "quiet", 30)
    return [rule("Log", cells, line(zone_name, Piece(" · ", "quiet"), note)), *lines]


def _by(run: Run) -> str:
    if run.trigger is Trigger.SCHEDULE:
        return "by schedule"
    if run.trigger is Trigger.RETRY:
        return f"retry of run {run.parent} by {run.requested_by}"
    return f"backfill by {run.requested_by}" if run.trigger is Trigger.BACKFILL else f"by {run.requested_by}"


def _state(progress: Progress, now: datetime, cells: int) -> Line:
    run = progress.run
    seen = look.RUN[run.state]
    dot = Piece(" · ", "quiet")
    start = [Piece(" "), Piece(f"{seen.symbol} {seen.word.upper()}", seen.style), Piece("  ")]
    if run.state is RunState.QUEUED:
        return crop((*start, *waiting(progress, now, led=True)), cells)
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
        parts += [dot, Piece(f"{humanize.duration(progress.seconds_left)} left")]
    if run.attempt > 1:
        parts += [dot, Piece(f"attempt {run.attempt}", "warn")]
    if progress.waits is not None and run.state is RunState.INTERRUPTED:
        parts += [dot, Piece("waits for ", "warn"), tell(wording.wait(progress.waits), "warn")]
    part = share(run)
    if run.state is RunState.RUNNING and part is not None:
        room = cells - width(start) - width(parts) - 7
        start += [*bar(part, max(4, min(30, room))), Piece(f" {int(part * 100)}%  ")]
    return crop((*start, *parts), cells)


def _stopping(run: Run, now: datetime, cells: int) -> list[Line]:
    """Who wants the run to end, and why, but for what that says already; nothing when nobody does."""
    stops = stopping(run, now)
    if not stops or run.stop is None:
        return []
    why = f"replaced by run {run.stop.run}" if run.stop.run is not None else run.stop.note
    if not why:
        return [crop(line(" ", *stops), cells)]
    one = line(" ", *stops, Piece(" · ", "quiet"), tell(why))
    return [one] if width(one) <= cells else [crop(each, cells) for each in (line(" ", *stops), line(" ", tell(why)))]


def _worst(cells: Sequence[BatchCell]) -> look.Symbol:
    looks = {look.of_batch(cell) for cell in cells}
    return next((seen for seen in _WORST if seen in looks), look.BATCH[BatchState.PENDING])


def _signs(signs: Sequence[look.Symbol]) -> Line:
    pieces: list[Piece] = []
    for sign in signs:
        if pieces and pieces[-1].style == sign.style:
            pieces[-1] = Piece(pieces[-1].text + sign.symbol, sign.style)
        else:
            pieces.append(Piece(sign.symbol, sign.style))
    return line("  ", *pieces)


def _legend(signs: Sequence[look.Symbol]) -> Line:
    """What the signs mean that are there."""
    pieces: list[Piece] = []
    for seen in _WORST[::-1]:
        if seen in signs:
            pieces += [Piece("  " if pieces else ""), Piece(seen.symbol, seen.style), Piece(f" {seen.word}", "quiet")]
    return tuple(pieces)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _log_style(text: str) -> str:
    lowered = text.lower()
    return "bad" if "error" in lowered or "unreachable" in lowered else ""
