"""The page of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from opsconsole.authoring.run import OPEN, Run, RunState, Trigger
from opsconsole.core import humanize
from opsconsole.rules.admission import Wait
from opsconsole.rules.job_history import Usual
from opsconsole.service import wording
from opsconsole.service.run_details import RunPage
from opsconsole.service.snapshot import Pause, Progress
from screens.panels import pauses as pause_texts
from screens.panels.running import done, share, stopping, waiting
from screens.widgets import symbols
from screens.widgets.lines import Line, Piece, bar, crop, ends, line, text, width


def header(progress: Progress, now: datetime, cells: int) -> list[Line]:
    """Title, progress, cancel, error and metrics of a run."""
    run, tz = progress.run, progress.tz
    at = run.started_at or run.created_at
    title = line(
        " ",
        Piece(f"Run {run.id:,}", "title"),
        "  ",
        text(run.job, "strong", 60),
        "  ",
        text(humanize.window_label(run.window.label, now, tz), limit=40),
    )
    local = "" if tz == "UTC" else f" ({humanize.clock(at, tz)})"
    end = line("  ", text(by(run), limit=60), Piece(f", {humanize.date_and_time(at, now)}{local} ", "quiet"))
    lines = [ends(title, end, cells), _state(progress, now, cells)]
    lines += _stopping(run, now, cells)
    if run.error:
        lines.append(crop(line(" ", text(run.error, "bad")), cells))
    if run.params:
        lines.append(crop(line(Piece(" params   ", "quiet"), text(wording.parameters(run.params))), cells))
    if run.metrics:
        metrics = "  ·  ".join(f"{name} {_number(value)}" for name, value in run.metrics.items())
        lines.append(crop(line(Piece(" metrics  ", "quiet"), text(metrics)), cells))
    return lines


def head(
    data: RunPage, now: datetime, cells: int, *, pauses: Sequence[Pause] = (), waits: Wait | None = None
) -> list[Line]:
    """What is shown above the panels: the run, its job's active pauses, which it does not heed, and its attempts."""
    progress = replace(data.progress, waits=data.progress.waits or waits)
    return [
        *header(progress, now, cells),
        *_pause_lines(progress, pauses, now, cells),
        *attempts(data, cells),
        *facts(data, cells),
    ]


def attempts(data: RunPage, cells: int) -> list[Line]:
    """The runs that retried this one, and how they ended."""
    if not data.retries:
        return []
    pieces = [Piece(" retried  ", "quiet")]
    for retry in data.retries:
        symbol = symbols.RUN[retry.state]
        failed = retry.counts.failed + retry.counts.not_reached
        ended = f"{failed:,} failed again" if failed else symbol.word
        gap = " · " if len(pieces) > 1 else ""
        pieces += [Piece(f"{gap}by run {retry.id:,}: ", "quiet"), Piece(f"{symbol.char} {ended}", symbol.style)]
    return [crop(tuple(pieces), cells)]


def facts(data: RunPage, cells: int) -> list[Line]:
    """Workers, batch size, and how long runs of the job usually take."""
    parts = []
    if data.workers is not None and data.batch is not None:
        parts += [humanize.count(data.workers, "worker"), f"batches of {data.batch:,}"]
    if data.usual is not None:
        parts.append(f"usual {usual(data.usual)}")
    host = data.progress.run.host
    shown = [Piece(f" {' · '.join(parts)}", "quiet")] if parts else []
    if host:
        shown += [Piece(" · on " if parts else " on ", "quiet"), text(host, "quiet", 40)]
    return [crop(tuple(shown), cells)] if shown else []


def usual(found: Usual) -> str:
    """`1.7 to 2.1 s`: the range of durations."""
    least, most = humanize.short_duration(found.least), humanize.short_duration(found.most)
    number, _, unit = least.partition(" ")
    if least == most:
        return most
    return f"{number} to {most}" if most.endswith(f" {unit}") else f"{least} to {most}"


def _pause_lines(progress: Progress, active: Sequence[Pause], now: datetime, cells: int) -> list[Line]:
    if not active:
        return []
    symbol = symbols.PAUSED
    sentence = pause_texts.sentence(active[0], progress.run.job, now, progress.tz)
    return [crop(line(" ", Piece(f"{symbol.char} ", symbol.style), text(sentence, symbol.style, 400)), cells)]


def by(run: Run) -> str:
    """Why a run exists, and who requested it."""
    if run.trigger is Trigger.SCHEDULE:
        return "by schedule"
    if run.trigger is Trigger.RETRY:
        return f"retry of run {run.parent:,} by {run.requested_by}"
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
    if progress.waits is not None and run.state in (RunState.INTERRUPTED, RunState.RUNNING):
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


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
