"""A job's windows as a calendar: which of them stand where, where the cursor goes, and how all of it is drawn.

A window stands at a date: a day at itself, a month at its first day, four weeks at their Saturday.
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
from screens.widgets import symbols as look
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, line, tell, width
from screens.widgets.symbols import MARKED

WEEKS = 53
YEARS = 3
"""So many years of months stand below each other."""
OLDEST = date(2000, 1, 1)
"""Nobody goes back further by mistake."""
MARGIN = 6
WIDEST_CELL = 3
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


class Stretch(NamedTuple):
    """From one date to another, both included."""

    first: date
    last: date

    def __contains__(self, at: object) -> bool:
        """Whether a date lies in it."""
        return isinstance(at, date) and self.first <= at <= self.last

    def __str__(self) -> str:
        """In words, with no year twice."""
        return between(self.first.isoformat(), self.last.isoformat())


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a calendar shows: the windows that are known, the cursor, and what is marked. Without `here` the keys belong
    to another panel.
    """

    job: str
    unit: Unit
    shown: Stretch
    seen: Mapping[date, WindowStatus]
    cursor: date
    marked: Stretch | None = None
    here: bool = True


def stands(unit: Unit, day: date) -> date:
    """Where the window stands that holds a day."""
    if unit is Unit.MONTH:
        return day.replace(day=1)
    return day + timedelta(days=(SATURDAY - day.isoweekday()) % 7) if unit is Unit.FOUR_WEEKS else day


def dated(label: str) -> date:
    """Where the window with this label stands."""
    return date.fromisoformat(label if len(label) > len("2026-01") else f"{label}-01")


def by_date(seen: Iterable[WindowStatus]) -> dict[date, WindowStatus]:
    """Windows by where they stand."""
    return {dated(each.window.label): each for each in seen}


def moved(unit: Unit, at: date, across: int, down: int, newest: date) -> date:
    """Where the cursor is after so many steps; it stops at the newest window and long ago."""
    if unit is Unit.MONTH:
        months = at.year * 12 + at.month - 1 + across + 12 * down
        to = date(max(1, months // 12), months % 12 + 1, 1)
    elif unit is Unit.FOUR_WEEKS:
        to = at + WEEK * (across + down)
    else:
        to = at + WEEK * across + DAY * down
    return max(stands(unit, OLDEST), min(newest, to))


def page(unit: Unit, at: date, newest: date) -> Stretch:
    """What is shown while the cursor is at `at`: the page of a year, or of some years of months, that it lies on."""
    if unit is Unit.MONTH:
        back = (newest.year - at.year) // YEARS
        last_year = newest.year - YEARS * back
        return Stretch(date(last_year - YEARS + 1, 1, 1), newest if back == 0 else date(last_year, 12, 1))
    weeks = (_monday(newest) - _monday(at)) // WEEK
    back = max(0, -(-(weeks - WEEKS + 1) // (WEEKS - 1)))
    last_week = _monday(newest) - WEEK * (WEEKS - 1) * back
    return Stretch(last_week - WEEK * (WEEKS - 1), newest if back == 0 else last_week + 6 * DAY)


def pages(unit: Unit, at: date, step: int, newest: date) -> date:
    """The cursor a year, or some years of months, further."""
    return moved(unit, at, 0, YEARS * step, newest) if unit is Unit.MONTH else moved(unit, at, 52 * step, 0, newest)


def dates(unit: Unit, stretch: Stretch) -> list[date]:
    """Where the windows of a stretch stand."""
    found = [stands(unit, stretch.first)]
    while (after := _next(unit, found[-1])) <= stretch.last:
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


# --- drawn ----------------------------------------------------------------------------------------------------------


def headline(sheet: Sheet, tz: str, cells: int, *, manual: bool = False) -> Line:
    """Which job, and how many of its windows are how, with signs for the words where there is little room; which
    years, where there is much.
    """
    counts = Counter(each.state for each in sheet.seen.values())
    states = [look.WINDOW[state] for state in IN_HEADLINE if counts[state]]
    numbers = [counts[state] for state in IN_HEADLINE if counts[state]]
    words = [Piece(f"{n:,} {seen.word}", seen.style) for n, seen in zip(numbers, states, strict=True)]
    signs = [Piece(f"{seen.symbol} {n:,}", seen.style) for n, seen in zip(numbers, states, strict=True)]
    title = line(" ", Piece("Backfill", "title"), "  ", tell(sheet.job, "strong", 40), "   ")
    start = (*title, *_between(words, " · "))
    if width(start) > cells:
        start = (*title, *_between(signs, "   "))
    end = line(tell(f"{'manual, ' if manual else ''}{sheet.shown}, {tz}", "quiet", 80), " ")
    return ends(start, end, cells) if width(start) + 2 + width(end) <= cells else crop(start, cells)


def grid(sheet: Sheet, cells: int) -> list[Line]:
    """The calendar itself."""
    return _months(sheet) if sheet.unit is Unit.MONTH else _weeks(sheet, cells)


def legend(cells: int) -> Line:
    """What the signs mean."""
    pieces: list[Piece] = []
    for seen in look.WINDOW.values():
        pieces += [Piece(" "), Piece(seen.symbol, seen.style), Piece(f" {seen.word} ", "quiet")]
    return crop((*pieces, Piece(" "), Piece("marked", f"quiet {MARKED}")), cells)


def described(sheet: Sheet, now: datetime, cells: int) -> Line:
    """The window under the cursor: how it is, and what is known of it."""
    start = line(" ", Piece(name(sheet.unit, sheet.cursor), "strong"), "  ")
    seen = sheet.seen.get(sheet.cursor)
    if seen is None:
        return (*start, Piece("is being read", "quiet"))
    sign = look.WINDOW[seen.state]
    told = (*start, Piece(f"{sign.symbol} {sign.word}", sign.style), Piece(f": {_why(seen)}"))
    looked = seen.record.checked_at
    end = line(Piece(f"looked at {humanize.age(now - looked)} ago ", "quiet")) if looked is not None else EMPTY
    return ends(told, end, cells) if end and width(told) + width(end) < cells else crop(told, cells)


def _between(pieces: Sequence[Piece], gap: str) -> list[Piece]:
    return [each for piece in pieces for each in (Piece(gap, "quiet"), piece)][1:]


def _why(seen: WindowStatus) -> str:
    known = seen.record
    run = f"run {known.run}, {humanize.count(known.items, 'item')} in {humanize.elapsed(known.seconds)}"
    if seen.state is WindowState.RUNNING:
        return f"run {seen.open_run} is about it"
    if seen.state is WindowState.NOT_DUE:
        return "its time has not come yet"
    if seen.state is WindowState.MISSING:
        return "no run has been about it"
    if known.run is None:
        return "nothing of it is missing"
    if seen.state is WindowState.STALE:
        stale = humanize.count(known.stale or 0, "item")
        return f"{stale} out of date · {run}" if known.stale else f"its data ends before the window does · {run}"
    return run


def _weeks(sheet: Sheet, cells: int) -> list[Line]:
    """Weeks across and weekdays down; of four weeks only the Saturdays."""
    each = max(1, min(WIDEST_CELL, (cells - MARGIN - 1) // WEEKS))
    first = _monday(sheet.shown.first)
    mondays = [first + WEEK * n for n in range((sheet.shown.last - first) // WEEK + 1)]
    days = [SATURDAY - 1] if sheet.unit is Unit.FOUR_WEEKS else range(7)
    rows = [_row(sheet, WEEKDAYS[day], [monday + DAY * day for monday in mondays], each, 0) for day in days]
    return [line(Piece(f" {first.year} ", "quiet"), Piece(_month_names(mondays, each), "quiet")), *rows]


def _months(sheet: Sheet) -> list[Line]:
    """Months across and years down."""
    names = "".join(f"{month:<4}" for month in MONTHS)
    years = range(sheet.shown.first.year, sheet.shown.last.year + 1)
    rows = [_row(sheet, str(year), [date(year, month, 1) for month in range(1, 13)], 4, 1) for year in years]
    return [line(" " * MARGIN, Piece(names, "quiet")), *rows]


def _row(sheet: Sheet, title: str, days: Sequence[date], each: int, indent: int) -> Line:
    here = sheet.here and sheet.cursor in days
    start = line(Piece("▸" if here else " ", "mark"), Piece(f"{title:<{MARGIN - 1}}", "strong" if here else "quiet"))
    cells: list[Piece] = []
    for day in days:
        sign, style = _cell(sheet, day)
        cells.append(Piece(f"{' ' * indent}{sign}".ljust(each), style))
    grouped = groupby(cells, key=lambda piece: piece.style)
    return (*start, *(Piece("".join(piece.text for piece in run), style) for style, run in grouped))


def _cell(sheet: Sheet, day: date) -> tuple[str, str]:
    seen = sheet.seen.get(day)
    sign = look.WINDOW[seen.state] if seen is not None and day in sheet.shown else look.Symbol(" ", "", "")
    if day == sheet.cursor:
        return sign.symbol, "chosen"
    if sheet.marked is not None and day in sheet.marked:
        return sign.symbol, f"{sign.style} {MARKED}".strip()
    return sign.symbol, sign.style


def _month_names(mondays: Sequence[date], each: int) -> str:
    """The name of each month above the first week that begins in it."""
    text = ""
    second = next((n for n, monday in enumerate(mondays) if monday.month != mondays[0].month), len(mondays))
    for n, monday in enumerate(mondays):
        begins = monday.month != mondays[n - 1].month if n else second * each > len("Jan")
        if begins:
            text = f"{text:<{n * each}}{MONTHS[monday.month - 1]}"
    return text


def _monday(day: date) -> date:
    return day - DAY * day.weekday()


def _next(unit: Unit, at: date) -> date:
    if unit is Unit.MONTH:
        return (at + 31 * DAY).replace(day=1)
    return at + (WEEK if unit is Unit.FOUR_WEEKS else DAY)
