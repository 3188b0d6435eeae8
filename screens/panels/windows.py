"""All jobs that have windows: their windows by state, when they were checked, and the newest backfill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from opsconsole.core import humanize
from opsconsole.rules.backfill import WindowState, WindowStatus
from opsconsole.rules.backfill_status import Backfill, StepView
from opsconsole.service import wording
from screens.panels import backfills, calendar
from screens.panels.calendar import DateRange, Sheet
from screens.panels.view import Block, Fitted, Key, fitted, hint
from screens.widgets import symbols
from screens.widgets.lines import Drawing, Line, Piece, crop, left, line, right, text

if TYPE_CHECKING:
    from opsconsole.service.backfills import WindowedJob

PANEL, ROW_PANEL = "jobs", "windows"
COLUMNS = {
    WindowState.FRESH: 6,
    WindowState.STALE: 6,
    WindowState.PARTIAL: 8,
    WindowState.FAILED: 7,
    WindowState.MISSING: 8,
}
"""The width of each state's count."""
NARROW, WIDE = 70, 110
NARROW_COLUMN = 5
UP_TO_DATE = (WindowState.FRESH, WindowState.NOT_DUE, WindowState.NO_DATA)
STATE_CELLS = 9
HEADER_ROWS = 1
NEWEST_ONLY = "keeps only its newest result: nothing to backfill"
NO_JOB = "no job has windows to backfill: a job with covers=DAY has one for each day"


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """How many windows of a job are in each state, and when the oldest check for stale items was."""

    counts: Mapping[WindowState, int]
    checked_at: datetime | None


class Row(NamedTuple):
    """A job and a backfill whose windows are shown; None for those that are not."""

    job: str | None = None
    backfill: int | None = None


@dataclass(frozen=True, slots=True)
class RowWindows:
    """The windows of a row: those of its job in a range of dates, by their dates, and those of its backfill."""

    row: Row = field(default_factory=Row)
    range: DateRange | None = None
    windows: Mapping[date, WindowStatus] = field(default_factory=dict)
    steps: Sequence[StepView] = ()


def summarise(windows: Sequence[WindowStatus]) -> WindowSummary:
    """Counts the windows of a job."""
    checks = [window.record.checked_at for window in windows if window.record.checked_at is not None]
    counts = Counter(window.state for window in windows)
    return WindowSummary(counts, min(checks, default=None))


def keys(calendars: Sequence[WindowedJob]) -> list[Key]:
    return [(PANEL, each.job) for each in calendars]


def title(calendars: Sequence[WindowedJob]) -> Line:
    """The number of jobs, and the period of their windows."""
    period = f"the last {calendar.WEEKS} weeks, {calendar.YEARS} years for monthly jobs"
    subtitle = f"  {humanize.count(len(calendars), 'job')} with windows, {period}"
    return line(Piece("Backfill", "title"), Piece(subtitle, "quiet"))


def rows(
    calendars: Sequence[WindowedJob],
    summaries: Mapping[str, WindowSummary],
    backfills: Sequence[Backfill],
    now: datetime,
    cells: int,
    room: int,
    cursor: Key | None,
    *,
    has_failed: bool = False,
) -> Fitted:
    """The names of the columns, and one line for each job; `has_failed` when the summaries cannot be loaded."""
    if not calendars:
        return fitted([hint(NO_JOB)], room, cells, None)
    widths, name = _widths(cells), min(max(len(each.job) for each in calendars), max(27, cells - 79))
    words = {state: f"{state}" if cells >= NARROW else symbols.WINDOW[state].char for state in COLUMNS}
    header = line("  ", left("", name), *(right(words[state], widths[state], "quiet") for state in COLUMNS))
    last = line(
        Piece("  checked  " if cells >= NARROW else "", "quiet"),
        Piece("       newest backfill" if cells >= WIDE else "", "quiet"),
    )
    newest = {job: backfill for backfill in reversed(backfills) for job in backfill.jobs}
    table = [
        Block((_row(each, summaries.get(each.job), newest.get(each.job), now, name, cells, has_failed),), key)
        for each, key in zip(calendars, keys(calendars), strict=True)
    ]
    shown = fitted(table, room - 1, cells, cursor)
    return Fitted([crop((*header, *last), cells), *shown.lines], [None, *shown.rows], shown.hidden)


def _row(
    shown: WindowedJob,
    summary: WindowSummary | None,
    newest: Backfill | None,
    now: datetime,
    name: int,
    cells: int,
    has_failed: bool,
) -> Line:
    start = line("  ", left(shown.job, name, "strong"))
    if shown.newest_only:
        return crop((*start, Piece(f"  {NEWEST_ONLY}", "quiet")), cells)
    if summary is None:
        return crop((*start, Piece("  unknown" if has_failed else "  loading", "quiet")), cells)
    widths = _widths(cells)
    counts = [_count(state, summary.counts.get(state, 0), widths[state]) for state in COLUMNS]
    if cells < NARROW:
        return crop((*start, *counts), cells)
    checked = left(_checked(shown, summary, now), 16 if cells >= WIDE else 10, "quiet")
    return crop((*start, *counts, Piece("  "), checked, *_newest(newest, now, shown.tz, cells)), cells)


def _widths(cells: int) -> Mapping[WindowState, int]:
    return COLUMNS if cells >= NARROW else dict.fromkeys(COLUMNS, NARROW_COLUMN)


def _count(state: WindowState, n: int, room: int) -> Piece:
    return right(f"{n:,}" if n else "-", room, symbols.WINDOW[state].style if n else "quiet")


def _checked(shown: WindowedJob, summary: WindowSummary, now: datetime) -> str:
    """How old the oldest check is; without `stale` the windows of a job are judged by their runs."""
    if not shown.finds_stale:
        return "-"
    return "never" if summary.checked_at is None else f"{humanize.age(now - summary.checked_at)} ago"


def _newest(backfill: Backfill | None, now: datetime, tz: str, cells: int) -> Line:
    if backfill is None:
        return line(Piece("none yet", "quiet")) if cells >= WIDE else line()
    symbol = symbols.of_backfill(backfill)
    if cells < WIDE:
        return line(Piece(symbol.char, symbol.style), f"{backfill.id}")
    at = humanize.date_and_time(backfill.started_at or backfill.created_at, now, tz)
    return line(Piece(symbol.char, symbol.style), f" {backfill.id} {symbol.word}", text(f", {at}", "quiet"))


# --- the windows of the row under the cursor ----------------------------------------------------------------------


def calendar_of(
    shown: WindowedJob | None, read: RowWindows, backfill: Backfill | None, cells: int, *, has_failed: bool
) -> Drawing:
    """The calendar of a job, with the range of a backfill marked in it."""
    if shown is None:
        return Drawing(hint("no job under the cursor").lines, line(Piece("Windows", "title")))
    title = line(text(shown.job, "title", 60))
    if shown.newest_only:
        return Drawing(hint(NEWEST_ONLY).lines, title)
    if read.row.job != shown.job or read.range is None:
        return Drawing(hint("unknown" if has_failed else "loading").lines, title)
    marked = None
    if backfill is not None:
        days = (calendar.date_of_label(each) for each in (backfill.since, backfill.until))
        marked = DateRange(*(calendar.date_of_window(shown.unit, day) for day in days))
    sheet = Sheet(shown.job, shown.unit, read.range, read.windows, None, marked, is_active=False)
    heading = calendar.heading(sheet, shown.tz, cells, name="Windows", manual=shown.manual)
    return Drawing([*calendar.grid(sheet, cells), calendar.legend(cells)], *heading)


def not_fresh(shown: WindowedJob | None, read: RowWindows, cells: int, rows: int, *, has_failed: bool) -> Drawing:
    """The windows of a job that are not up to date, the newest first, each with the reason."""
    if shown is None or read.row.job != shown.job:
        status = hint("no windows" if shown is None or shown.newest_only else "unknown" if has_failed else "loading")
        return Drawing(status.lines, line(Piece("Windows", "title")))
    windows = read.windows
    listed = [day for day in sorted(windows, reverse=True) if windows[day].state not in UP_TO_DATE]
    names = {day: calendar.name(shown.unit, day) for day in listed}
    room = max(map(len, names.values()), default=0)
    lines = [_window(names[day], windows[day], room, cells) for day in listed[:rows]]
    title = line(Piece(f"{humanize.count(len(listed), 'window')} not up to date" if listed else "Windows", "title"))
    return Drawing(lines or hint("every window is up to date").lines, title)


def of_backfill(backfill: Backfill, read: RowWindows, cells: int, rows: int, *, has_failed: bool) -> Drawing:
    """The windows of a backfill, failed ones first."""
    title = line(Piece(f"Windows of backfill {backfill.id}", "title"))
    if read.row.backfill != backfill.id:
        return Drawing(hint("unknown" if has_failed else "loading").lines, title)
    return Drawing(backfills.window_list(backfills.worst_first(read.steps), cells, rows, None), title)


def _window(name: str, window: WindowStatus, room: int, cells: int) -> Line:
    symbol = symbols.WINDOW[window.state]
    state = (Piece(f"{symbol.char} ", symbol.style), left(symbol.word, STATE_CELLS, symbol.style))
    return crop(line("  ", left(name, room), "  ", *state, text(wording.window(window), "quiet", 120)), cells)
