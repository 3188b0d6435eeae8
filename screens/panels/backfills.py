"""Backfills: one line for each, and the page of one with its windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from opsconsole.core import humanize
from opsconsole.core.errors import Refused
from opsconsole.rules import actions
from opsconsole.rules.backfill import Only, StepState
from opsconsole.rules.backfill_status import ACTIVE, Backfill, BackfillState, StepView
from opsconsole.service import wording
from screens import command_lines
from screens.panels import calendar
from screens.panels.questions import NO, Question
from screens.panels.view import Block, Fitted, Key, fitted, hint
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Line, Piece, bar, crop, ends, fill, left, line, right, text, width
from screens.widgets.names import middle

PANEL = "backfills"
NARROW, WIDE = 70, 110
"""From these widths on, it is shown when it started and for whom, and the range is shown beside the job."""
ROOMY = {False: 110, True: 150}
"""From this width on, a line has words and a bar: without and with the job."""
CANCEL_BACKFILL = "Cancel the backfill"
WORST_FIRST = tuple(symbols.STEP)


def applied(backfills: Sequence[Backfill]) -> list[Backfill]:
    """The backfills that were started; plans that were not applied are left out."""
    return [each for each in backfills if each.state is not BackfillState.PLANNED]


def key(backfill: Backfill) -> Key:
    """The key of a backfill's row."""
    return PANEL, str(backfill.id)


def newest(
    backfills: Sequence[Backfill],
    now: datetime,
    cells: int,
    rows: int,
    *,
    cursor: Key | None,
    tz: str,
    with_jobs: bool,
) -> Fitted:
    """The newest backfills that fit, with times in a zone and optionally their jobs."""
    blocks = [Block((row(each, now, cells, tz, with_jobs=with_jobs),), key(each)) for each in backfills]
    return fitted(blocks or [hint("none yet")], rows, cells, cursor)


def title(backfills: Sequence[Backfill], tz: str) -> str:
    """The zone of the times, if there are any."""
    return text(f"Backfills, times in {tz}" if backfills else "Backfills", limit=80).text


def end(backfills: Sequence[Backfill], hidden: int) -> Line:
    """How many are active, and how many do not fit."""
    active = sum(each.state in ACTIVE for each in backfills)
    notes = [f"{active} active" if active else "", f"{hidden} more" if hidden else ""]
    note = " · ".join(part for part in notes if part)
    return line(Piece(note, "quiet")) if note else EMPTY


def row(backfill: Backfill, now: datetime, cells: int, tz: str, *, with_jobs: bool) -> Line:
    """One backfill: state, start, operator, jobs, range, progress, duration."""
    symbol, is_wide, is_roomy = symbols.of_backfill(backfill), cells >= WIDE, cells >= ROOMY[with_jobs]
    at, _, _ = humanize.date_and_time(backfill.started_at or backfill.created_at, now, tz).rpartition(" ")
    start = [
        Piece(" "),
        Piece(" "),
        Piece(symbol.char, symbol.style),
        Piece(" "),
        left(backfill.id, 4, "strong"),
    ]
    if cells >= NARROW:
        start += [Piece(" "), left(at, 18 if is_wide else 12)]
        start += [Piece(" "), left(backfill.requested_by, 12 if is_wide else 6)]
    if with_jobs:
        jobs = 30 if is_wide else 24
        start += [Piece(" "), left(_jobs(backfill, jobs), jobs)]
    if is_wide or not with_jobs:
        start += [Piece(" "), left(calendar.between(backfill.since, backfill.until), 24)]
    start.append(Piece(" "))
    if is_roomy and backfill.state in ACTIVE:
        start += [*bar(share(backfill), 20), Piece(" ")]
    end = line(" ", Piece(duration(backfill, now), "quiet"), " ")
    return ends((*start, *progress(backfill, in_words=is_roomy)), end, cells)


def share(backfill: Backfill) -> float | None:
    """The share of its windows that have ended."""
    return backfill.ended / backfill.to_run if backfill.to_run else None


def progress(backfill: Backfill, *, in_words: bool = True) -> Line:
    """`30 of 30, 1 partial`; `30 of 30 ◐1` where there is little room."""
    parts = [Piece(f"{backfill.ended:,} of {backfill.to_run:,}")]
    for state in (StepState.FAILED, StepState.PARTIAL):
        if n := backfill.counts.get(state, 0):
            symbol = symbols.STEP[state]
            parts.append(Piece(f", {n:,} {symbol.word}" if in_words else f" {symbol.char}{n:,}", symbol.style))
    return tuple(parts)


def duration(backfill: Backfill, now: datetime) -> str:
    """How long it took, or roughly how long it still takes."""
    if backfill.started_at is None:
        return "-"
    if backfill.ended_at is not None:
        return humanize.short_duration((backfill.ended_at - backfill.started_at).total_seconds())
    if backfill.state is BackfillState.PAUSED:
        return "paused"
    seconds = seconds_left(backfill, now)
    return "starting" if seconds is None else f"{humanize.duration(round(seconds))} left"


def seconds_left(backfill: Backfill, now: datetime) -> float | None:
    """Roughly how long a running backfill still takes, judged by its finished windows, otherwise by its plan."""
    if backfill.started_at is None or not backfill.to_run:
        return None
    if backfill.ended:
        return (now - backfill.started_at).total_seconds() / backfill.ended * (backfill.to_run - backfill.ended)
    return backfill.seconds


def cancel(backfill: Backfill, environment: str) -> Question | str:
    """The question before a cancel, or why the backfill cannot be cancelled."""
    try:
        actions.check_cancel_backfill(backfill)
    except Refused as error:
        return error.sentence
    where = f" in {environment}" if environment else ""
    subject = f"{', '.join(backfill.jobs)} {calendar.between(backfill.since, backfill.until)}{where}:"
    status = f"{backfill.ended:,} of {humanize.count(backfill.to_run, 'window')} done."
    effect = "Finished windows stay, running ones are cancelled, and resume runs the rest."
    title, commands = f"Cancel backfill {backfill.id}", (command_lines.cancel_backfill(backfill.id),)
    return Question(title, (subject, status, "", effect), (CANCEL_BACKFILL, NO), 1, commands)


# --- the page of one ----------------------------------------------------------------------------------------------


def worst_first(steps: Sequence[StepView]) -> list[StepView]:
    """The windows by state, failed ones first; the oldest of each state first."""
    return sorted(steps, key=lambda view: (WORST_FIRST.index(view.state), view.seq))


def header(backfill: Backfill, now: datetime, cells: int, tz: str) -> list[Line]:
    """Title, range, progress, and the note of a pause or cancel."""
    symbol = symbols.of_backfill(backfill)
    title = line(" ", Piece(f"Backfill {backfill.id}", "title"), "  ", text(", ".join(backfill.jobs), "strong", 120))
    only = "all windows" if Only.ALL in backfill.only else f"only {backfill.only}".replace(",", ", ")
    dates = calendar.between(backfill.since, backfill.until)
    subject = f"{dates}, {only}{', stops at a failure' if backfill.stop_on_failure else ''}"
    subject += f", {order}" if (order := wording.order(backfill.order)) else ""
    at = humanize.date_and_time(backfill.started_at or backfill.created_at, now, tz)
    by = line(" by ", text(backfill.requested_by, limit=40), Piece(f", {at} ", "quiet"))
    state = line(" ", Piece(f"{symbol.char} {symbol.word.upper()}", symbol.style), "  ")
    if backfill.state in ACTIVE:
        state = (*state, *bar(share(backfill), 20), Piece("  "))
    skipped = backfill.counts.get(StepState.SKIPPED, 0)
    state = (*state, *progress(backfill), Piece(f" · {skipped:,} skipped" if skipped else "", "quiet"))
    lines = [
        crop(title, cells),
        ends(line(" ", text(subject)), by, cells),
        ends(state, line("  ", Piece(duration(backfill, now), "quiet"), " "), cells),
    ]
    if backfill.stop is None:
        return lines
    return [*lines, crop(line("   ", text(wording.backfill_stop(backfill.stop), "warn")), cells)]


def window_list(steps: Sequence[StepView], cells: int, rows: int, index: int | None) -> list[Line]:
    """The windows around the one under the cursor, if it is on one."""
    first = max(0, min((index or 0) - rows // 2, len(steps) - rows))
    name = min(max((len(view.step.job) for view in steps), default=0), 30)
    shown = enumerate(steps[first : first + rows], first)
    return [_window(view, name, cells, under_cursor=n == index) for n, view in shown]


def _jobs(backfill: Backfill, cells: int) -> str:
    """The first job, and the number of others."""
    more = f" +{len(backfill.jobs) - 1}" if len(backfill.jobs) > 1 else ""
    return middle(backfill.jobs[0] if backfill.jobs else "-", cells - len(more)) + more


def _window(view: StepView, name: int, cells: int, *, under_cursor: bool) -> Line:
    symbol, step = symbols.STEP[view.state], view.step
    start = line(
        Piece("▸" if under_cursor else " ", "mark"),
        " ",
        Piece(f"{symbol.char} ", symbol.style),
        left(step.window.label, 11),
        left(step.job, name, "strong"),
        "  ",
        Piece(f"{symbol.word:<10}", symbol.style),
        text(wording.step_reason(step, view.state), "quiet", 100),
    )
    run = line("  ", Piece(f"run {view.run} " if view.run is not None else "", "quiet"))
    items = right(humanize.count(step.items, "item") if step.runs else "", 14)
    whole = ends(start, line(items, *run) if width(start) + 14 + width(run) <= cells else run, cells)
    if not under_cursor:
        return whole
    return tuple(Piece(piece.text, f"{piece.style} under cursor".strip()) for piece in fill(whole, cells))
