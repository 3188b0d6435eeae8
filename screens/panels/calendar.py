"""A job's windows as a calendar: the date of each window, where the cursor goes, and how it is drawn.

Each window has one date: a day itself, a month its first day, four weeks their Saturday.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from opsconsole.calendar.windows import SATURDAY, WEEK, Unit
from opsconsole.core import humanize
from opsconsole.rules.backfill import WindowState, WindowStatus
from opsconsole.service import wording
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, line, text, width
from screens.widgets.symbols import MARKED, Symbol

PANEL = "calendar"
WEEKS = 53
YEARS = 3
"""How many years of months a page shows."""
OLDEST = date(2000, 1, 1)
"""The cursor stops here: going further back is a mistake."""
MARGIN = 6
WIDEST_CELL = 3
MONTH_CELLS = 4
BETWEEN = 8
"""The cells of a border around and between what is written into it."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
IN_HEADLINE = (
    WindowState.FRESH,
    WindowState.STALE,
    WindowState.MISSING,
    WindowState.PARTIAL,
    WindowState.FAILED,
    WindowState.RUNNING,
)
DAY = timedelta(days=1)
NO_WINDOW = Symbol(" ", "", "")


class DateRange(NamedTuple):
    """From one date to another, both included."""

    first: date
    last: date

    def __contains__(self, at: object) -> bool:
        """Whether a date is in the range."""
        return isinstance(at, date) and self.first <= at <= self.last

    def __str__(self) -> str:
        """In words; a year is written once."""
        return between(self.first.isoformat(), self.last.isoformat())


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a calendar shows: the loaded windows, the cursor if it has one, the marked range. `is_active` is false while
    the cursor is in another panel.
    """

    job: str
    unit: Unit
    shown: DateRange
    windows: Mapping[date, WindowStatus]
    cursor: date | None
    marked: DateRange | None = None
    is_active: bool = True


def date_of_window(unit: Unit, day: date) -> date:
    """The date of the window that contains a day."""
    if unit is Unit.MONTH:
        return day.replace(day=1)
    return day + timedelta(days=(SATURDAY - day.isoweekday()) % 7) if unit is Unit.FOUR_WEEKS else day


def date_of_label(label: str) -> date:
    """The date of the window with this label."""
    return date.fromisoformat(label if len(label) > len("2026-01") else f"{label}-01")


def by_date(windows: Iterable[WindowStatus]) -> dict[date, WindowStatus]:
    """Windows by their date."""
    return {date_of_label(each.window.label): each for each in windows}


def moved(unit: Unit, at: date, across: int, down: int, newest: date) -> date:
    """Where the cursor is after some steps; it stops at the newest window and at `OLDEST`."""
    if unit is Unit.MONTH:
        months = at.year * 12 + at.month - 1 + across + 12 * down
        to = date(max(1, months // 12), months % 12 + 1, 1)
    elif unit is Unit.FOUR_WEEKS:
        to = at + WEEK * (across + down)
    else:
        to = at + WEEK * across + DAY * down
    return max(date_of_window(unit, OLDEST), min(newest, to))


def page(unit: Unit, at: date, newest: date) -> DateRange:
    """The page that contains the cursor: a year, or several years of months."""
    if unit is Unit.MONTH:
        back = (newest.year - at.year) // YEARS
        last_year = newest.year - YEARS * back
        return DateRange(date(last_year - YEARS + 1, 1, 1), newest if back == 0 else date(last_year, 12, 1))
    weeks = (_monday(newest) - _monday(at)) // WEEK
    back = max(0, -(-(weeks - WEEKS + 1) // (WEEKS - 1)))
    last_week = _monday(newest) - WEEK * (WEEKS - 1) * back
    return DateRange(last_week - WEEK * (WEEKS - 1), newest if back == 0 else last_week + 6 * DAY)


def moved_pages(unit: Unit, at: date, step: int, newest: date) -> date:
    """The cursor a year, or several years of months, further."""
    return moved(unit, at, 0, YEARS * step, newest) if unit is Unit.MONTH else moved(unit, at, 52 * step, 0, newest)


def dates(unit: Unit, range_: DateRange) -> list[date]:
    """The dates of the windows in a range."""
    found = [date_of_window(unit, range_.first)]
    while (after := _next(unit, found[-1])) <= range_.last:
        found.append(after)
    return found


def between(since: str, until: str) -> str:
    """`2025-12-01 to 12-31`, `2025-12-31 to 2026-01-01`, `2025-12-01`."""
    if since == until:
        return since
    return f"{since} to {until[5:] if since[:4] == until[:4] and len(until) > len('2026-01') else until}"


def name(unit: Unit, at: date) -> str:
    """The window in words: `Wed 2026-02-04`, `Jan 2026`, `the 4 weeks to Sat 2026-01-17`."""
    if unit is Unit.MONTH:
        return f"{MONTHS[at.month - 1]} {at.year}"
    day = f"{WEEKDAYS[at.weekday()]} {at}"
    return f"the 4 weeks to {day}" if unit is Unit.FOUR_WEEKS else day


# --- lines --------------------------------------------------------------------------------------------------------


def heading(sheet: Sheet, tz: str, cells: int, *, name: str, manual: bool = False) -> tuple[Line, Line]:
    """The name of the panel, the job, and how many of its windows are in each state; the range that is shown and the
    zone of its days. Where there is little room, no range, then symbols instead of words.
    """
    counts = Counter(each.state for each in sheet.windows.values())
    numbers = [(symbols.WINDOW[state], counts[state]) for state in IN_HEADLINE if counts[state]]
    words = _joined([Piece(f"{n:,} {symbol.word}", symbol.style) for symbol, n in numbers], " · ")
    short = _joined([Piece(f"{symbol.char} {n:,}", symbol.style) for symbol, n in numbers], "   ")
    job = line(Piece(name, "title"), "  ", text(sheet.job, "strong", 40), "   ")
    period = line(text(f"{'manual, ' if manual else ''}{sheet.shown}, {tz}", "quiet", 80))
    choices = [((*job, *states), end) for states in (words, short) for end in (period, EMPTY)]
    fitting = (each for each in choices if width(each[0]) + width(each[1]) + BETWEEN <= cells)
    return next(fitting, choices[-1])


def grid(sheet: Sheet, cells: int) -> list[Line]:
    """The calendar itself."""
    return _months(sheet) if sheet.unit is Unit.MONTH else _weeks(sheet, cells)


def rows_of(unit: Unit) -> int:
    """The lines of a calendar: the names of the months, the windows, the legend, and the window under the cursor."""
    return 3 + {Unit.MONTH: YEARS, Unit.FOUR_WEEKS: 1}.get(unit, len(WEEKDAYS))


def date_at(sheet: Sheet, cells: int, x: int, y: int) -> date | None:
    """The date of the window that is drawn at a cell of the grid."""
    column, row = x - MARGIN, y - 1
    if column < 0 or row < 0:
        return None
    if sheet.unit is Unit.MONTH:
        year, month = sheet.shown.first.year + row, column // MONTH_CELLS + 1
        at = date(year, month, 1) if month <= len(MONTHS) and year <= sheet.shown.last.year else None
    else:
        weekday = SATURDAY - 1 if sheet.unit is Unit.FOUR_WEEKS else row
        at = _monday(sheet.shown.first) + WEEK * (column // _week_cells(cells)) + DAY * weekday
        at = at if row < (1 if sheet.unit is Unit.FOUR_WEEKS else len(WEEKDAYS)) else None
    return at if at is not None and at in sheet.shown else None


def legend(cells: int) -> Line:
    """What the symbols mean."""
    pieces: list[Piece] = []
    for symbol in (symbol for state, symbol in symbols.WINDOW.items() if state is not WindowState.NO_DATA):
        pieces += [Piece(" "), Piece(symbol.char, symbol.style), Piece(f" {symbol.word} ", "quiet")]
    return crop((*pieces, Piece(" "), Piece("marked", f"quiet {MARKED}")), cells)


def cursor_line(sheet: Sheet, now: datetime, cells: int) -> Line:
    """The window under the cursor: its state and the reason."""
    if sheet.cursor is None:
        return EMPTY
    start = line(" ", Piece(name(sheet.unit, sheet.cursor), "strong"), "  ")
    window = sheet.windows.get(sheet.cursor)
    if window is None:
        return (*start, Piece("loading", "quiet"))
    symbol = symbols.WINDOW[window.state]
    start = (*start, Piece(f"{symbol.char} {symbol.word}".strip(), symbol.style), Piece(f": {wording.window(window)}"))
    checked = window.record.checked_at
    end = line(Piece(f"checked {humanize.age(now - checked)} ago ", "quiet")) if checked is not None else EMPTY
    return ends(start, end, cells) if end and width(start) + width(end) < cells else crop(start, cells)


def _joined(pieces: Sequence[Piece], gap: str) -> list[Piece]:
    return [each for piece in pieces for each in (Piece(gap, "quiet"), piece)][1:]


def _weeks(sheet: Sheet, cells: int) -> list[Line]:
    """A column for each week and a row for each weekday; for four weeks only the Saturdays."""
    each = _week_cells(cells)
    first = _monday(sheet.shown.first)
    mondays = [first + WEEK * n for n in range((sheet.shown.last - first) // WEEK + 1)]
    days = [SATURDAY - 1] if sheet.unit is Unit.FOUR_WEEKS else range(7)
    rows = [_row(sheet, WEEKDAYS[day], [monday + DAY * day for monday in mondays], each, 0) for day in days]
    return [line(Piece(_years(mondays), "quiet"), Piece(_month_names(mondays, each), "quiet")), *rows]


def _week_cells(cells: int) -> int:
    """The width of a week's column."""
    return max(1, min(WIDEST_CELL, (cells - MARGIN - 1) // WEEKS))


def _years(mondays: Sequence[date]) -> str:
    """The years of the columns: ` 2025 `, or ` 25/26` where they are of two."""
    first, last = mondays[0].year, mondays[-1].year
    return f" {first} " if first == last else f" {first % 100:02}/{last % 100:02}"


def _months(sheet: Sheet) -> list[Line]:
    """A column for each month and a row for each year."""
    names = "".join(f"{month:<{MONTH_CELLS}}" for month in MONTHS)
    years = range(sheet.shown.first.year, sheet.shown.last.year + 1)
    rows = [_row(sheet, str(year), [date(year, month, 1) for month in range(1, 13)], MONTH_CELLS, 1) for year in years]
    return [line(" " * MARGIN, Piece(names, "quiet")), *rows]


def _row(sheet: Sheet, title: str, days: Sequence[date], each: int, indent: int) -> Line:
    is_active = sheet.is_active and sheet.cursor in days
    label = Piece(f"{title:<{MARGIN - 1}}", "strong" if is_active else "quiet")
    start = line(Piece("▸" if is_active else " ", "mark"), label)
    cells: list[Piece] = []
    for day in days:
        char, style = _cell(sheet, day)
        cells.append(Piece(f"{' ' * indent}{char}".ljust(each), style))
    grouped = groupby(cells, key=lambda piece: piece.style)
    return (*start, *(Piece("".join(piece.text for piece in run), style) for style, run in grouped))


def _cell(sheet: Sheet, day: date) -> tuple[str, str]:
    window = sheet.windows.get(day)
    symbol = symbols.WINDOW[window.state] if window is not None and day in sheet.shown else NO_WINDOW
    if day == sheet.cursor:
        return symbol.char, "chosen"
    if sheet.marked is not None and day in sheet.marked:
        return symbol.char, f"{symbol.style} {MARKED}".strip()
    return symbol.char, symbol.style


def _month_names(mondays: Sequence[date], each: int) -> str:
    """The name of each month above the first week that starts in it; the first column is beside the years."""
    text = ""
    for n, monday in enumerate(mondays[1:], 1):
        if monday.month != mondays[n - 1].month:
            text = f"{text:<{n * each}}{MONTHS[monday.month - 1]}"
    return text


def _monday(day: date) -> date:
    return day - DAY * day.weekday()


def _next(unit: Unit, at: date) -> date:
    if unit is Unit.MONTH:
        return (at + 31 * DAY).replace(day=1)
    return at + (WEEK if unit is Unit.FOUR_WEEKS else DAY)
