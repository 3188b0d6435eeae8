"""Backfills that go on and that are over: a line each, and the page of one with its windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from opsconsole.core import humanize
from opsconsole.core.errors import Refused
from opsconsole.rules import actions
from opsconsole.rules.backfill import Only, StepState
from opsconsole.rules.backfill_status import ACTIVE, Backfill, BackfillState, StepView
from opsconsole.service import wording
from screens.panels import calendar
from screens.panels.questions import NO, Question
from screens.panels.view import Block, Key, fit, hint
from screens.widgets import symbols as look
from screens.widgets.lines import EMPTY, Line, Piece, bar, crop, ends, fill, left, line, right, rule, tell, width

PANEL = "backfills"
WIDE = 110
"""From this many cells on the range stands beside the job."""
ROOMY = {False: 110, True: 150}
"""From this many cells on a line has words and a bar, without and with the job."""
CANCEL_IT = "Cancel the backfill"
WORST_FIRST = tuple(look.STEP)


def applied(backfills: Sequence[Backfill]) -> list[Backfill]:
    """Those that were begun; plans that nobody applied are left out."""
    return [about for about in backfills if about.state is not BackfillState.PLANNED]


def key(about: Backfill) -> Key:
    """The row of a backfill."""
    return PANEL, str(about.id)


def panel(
    backfills: Sequence[Backfill],
    now: datetime,
    cells: int,
    rows: int,
    *,
    cursor: Key | None,
    tz: str,
    named: bool,
) -> list[Line]:
    """A rule, and the newest that fit, with times in a zone. With `named` the lines say of which job they are."""
    blocks = [Block((row(about, now, cells, tz, named=named),), key(about)) for about in backfills]
    shown, hidden = fit(blocks or [hint("none yet")], rows, cells, cursor)
    going = sum(about.state in ACTIVE for about in backfills)
    note = f"{going} going on" if going else ""
    more = f"{hidden} more" if hidden else ""
    told = " · ".join(part for part in (note, more) if part)
    title = tell(f"Backfills, times in {tz}" if backfills else "Backfills", limit=80).text
    return [rule(title, cells, line(Piece(told, "quiet")) if told else EMPTY), *shown]


def row(about: Backfill, now: datetime, cells: int, tz: str, *, named: bool) -> Line:
    """One backfill: how it is, when it began, who asked for it, of what, how far it is, how long it took."""
    seen, wide, roomy = look.of_backfill(about), cells >= WIDE, cells >= ROOMY[named]
    at, _, _ = humanize.date_and_time(about.started_at or about.created_at, now, tz).rpartition(" ")
    what = calendar.between(about.since, about.until)
    start = [
        Piece(" "),
        Piece(" "),
        Piece(seen.symbol, seen.style),
        Piece(" "),
        left(about.id, 4, "strong"),
        Piece(" "),
        left(at, 18 if wide else 12),
        Piece(" "),
        left(about.requested_by, 12 if wide else 6),
    ]
    if named:
        start += [Piece(" "), left(jobs(about), 30 if wide else 24)]
    if wide or not named:
        start += [Piece(" "), left(what, 24)]
    start.append(Piece(" "))
    if roomy and about.state in ACTIVE:
        start += [*bar(share(about), 20), Piece(" ")]
    return ends((*start, *progress(about, in_words=roomy)), line(" ", Piece(time(about, now), "quiet"), " "), cells)


def jobs(about: Backfill) -> str:
    """Its first job, and how many more there are."""
    more = f" +{len(about.jobs) - 1}" if len(about.jobs) > 1 else ""
    return f"{about.jobs[0] if about.jobs else '-'}{more}"


def share(about: Backfill) -> float | None:
    """How much of it is done."""
    return about.ended / about.to_run if about.to_run else None


def progress(about: Backfill, *, in_words: bool = True) -> Line:
    """`30 of 30, 1 partial`; `30 of 30 ◐1` where there is little room."""
    told = [Piece(f"{about.ended:,} of {about.to_run:,}")]
    for state in (StepState.FAILED, StepState.PARTIAL):
        if n := about.counts.get(state, 0):
            seen = look.STEP[state]
            told.append(Piece(f", {n:,} {seen.word}" if in_words else f" {seen.symbol}{n:,}", seen.style))
    return tuple(told)


def time(about: Backfill, now: datetime) -> str:
    """How long it took, or about how long it still takes."""
    if about.started_at is None:
        return "-"
    if about.ended_at is not None:
        return humanize.short_duration((about.ended_at - about.started_at).total_seconds())
    if about.state is BackfillState.PAUSED:
        return "paused"
    seconds = left_over(about, now)
    return "begins" if seconds is None else f"{humanize.duration(seconds)} left"


def left_over(about: Backfill, now: datetime) -> float | None:
    """About how many seconds a running backfill still takes: as its windows so far took, else as was planned."""
    if about.started_at is None or not about.to_run:
        return None
    to_do = about.to_run - about.ended
    if about.ended:
        return (now - about.started_at).total_seconds() / about.ended * to_do
    return about.seconds


# --- what is asked ------------------------------------------------------------------------------------------------


def cancel(about: Backfill, environment: str) -> Question | str:
    """Whether a backfill shall end, or why that is settled already."""
    try:
        actions.check_cancel_backfill(about)
    except Refused as refused:
        return refused.sentence
    where = f" in {environment}" if environment else ""
    what = f"{', '.join(about.jobs)} {calendar.between(about.since, about.until)}{where}:"
    so_far = f"{about.ended:,} of {humanize.count(about.to_run, 'window')} done."
    after = "What is done stays done, the windows that run are stopped, and resume does the rest."
    return Question(f"Cancel backfill {about.id}", (what, so_far, "", after), (CANCEL_IT, NO), chosen=1)


# --- the page of one ----------------------------------------------------------------------------------------------


def worst_first(steps: Sequence[StepView]) -> list[StepView]:
    """The windows that failed first, the oldest of each state first."""
    return sorted(steps, key=lambda view: (WORST_FIRST.index(view.state), view.seq))


def head(about: Backfill, now: datetime, cells: int, tz: str) -> list[Line]:
    """Which backfill it is, how far it is, and what somebody said when it was paused or cancelled."""
    seen = look.of_backfill(about)
    title = line(" ", Piece(f"Backfill {about.id}", "title"), "  ", tell(", ".join(about.jobs), "strong", 120))
    only = "all windows" if about.only is Only.ALL else f"only {about.only}"
    what = (
        f"{calendar.between(about.since, about.until)}, {only}{', stops at a failure' if about.stop_on_failure else ''}"
    )
    at = humanize.date_and_time(about.started_at or about.created_at, now, tz)
    second = ends(
        line(" ", tell(what)), line(" by ", tell(about.requested_by, limit=40), Piece(f", {at} ", "quiet")), cells
    )
    state = line(" ", Piece(f"{seen.symbol} {seen.word.upper()}", seen.style), "  ")
    if about.state in ACTIVE:
        state = (*state, *bar(share(about), 20), Piece("  "))
    skipped = about.counts.get(StepState.SKIPPED, 0)
    state = (*state, *progress(about), Piece(f" · {skipped:,} skipped" if skipped else "", "quiet"))
    lines = [crop(title, cells), second, ends(state, line("  ", Piece(time(about, now), "quiet"), " "), cells)]
    if about.stop is None:
        return lines
    return [*lines, crop(line("   ", tell(wording.backfill_stop(about.stop), "warn")), cells)]


def windows(steps: Sequence[StepView], cells: int, rows: int, at: int) -> list[Line]:
    """A rule, and the windows around the one under the cursor."""
    room = max(1, rows - 1)
    first = max(0, min(at - room // 2, len(steps) - room))
    end = f"{at + 1} of {len(steps)}" if steps else ""
    titled = rule(humanize.count(len(steps), "window"), cells, line(Piece(end, "quiet")) if end else EMPTY)
    name = max((len(view.step.job) for view in steps), default=0)
    return [
        titled,
        *(
            _window(view, min(name, 30), cells, under_cursor=n == at)
            for n, view in enumerate(steps[first : first + room], first)
        ),
    ]


def _window(view: StepView, name: int, cells: int, *, under_cursor: bool) -> Line:
    seen, step = look.STEP[view.state], view.step
    start = line(
        Piece("▸" if under_cursor else " ", "mark"),
        " ",
        Piece(f"{seen.symbol} ", seen.style),
        left(step.window.label, 11),
        left(step.job, name, "strong"),
        "  ",
        Piece(f"{seen.word:<10}", seen.style),
        tell(wording.step_reason(step), "quiet", 100),
    )
    run = line("  ", Piece(f"run {view.run} " if view.run is not None else "", "quiet"))
    items = right(humanize.count(step.items, "item") if step.runs else "", 14)
    drawn = ends(start, line(items, *run) if width(start) + 14 + width(run) <= cells else run, cells)
    if not under_cursor:
        return drawn
    return tuple(Piece(text, f"{style} under cursor".strip()) for text, style in fill(drawn, cells))
