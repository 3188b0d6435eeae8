"""All jobs that have windows, a line each: how their windows are, when that was looked at, and the newest backfill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from opsconsole.core import humanize
from opsconsole.rules.backfill import WindowState, WindowStatus
from opsconsole.rules.backfill_status import Backfill
from opsconsole.service.backfills import WindowedJob
from screens.panels import calendar
from screens.panels.view import Key
from screens.widgets import symbols as look
from screens.widgets.lines import Line, Piece, crop, left, line, right, tell

PANEL = "jobs"
COLUMNS = {
    WindowState.FRESH: 6,
    WindowState.STALE: 6,
    WindowState.PARTIAL: 8,
    WindowState.FAILED: 7,
    WindowState.MISSING: 8,
}
"""How many cells the count of each state has."""
WIDE = 110
NO_JOB = "no job that is loaded has windows; one that covers a day or a month has"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the windows of a job are, and when the oldest look at what is out of date of them was."""

    counts: Mapping[WindowState, int]
    checked_at: datetime | None


def standing(seen: Iterable[WindowStatus]) -> Standing:
    """What a survey of a job's windows comes to."""
    each = list(seen)
    looks = [one.record.checked_at for one in each if one.record.checked_at is not None]
    return Standing(Counter(one.state for one in each), min(looks, default=None))


def keys(cards: Sequence[WindowedJob]) -> list[Key]:
    """The rows that the cursor can stand on."""
    return [(PANEL, card.job) for card in cards]


def panel(
    cards: Sequence[WindowedJob],
    standings: Mapping[str, Standing],
    backfills: Sequence[Backfill],
    now: datetime,
    cells: int,
    rows: int,
    cursor: Key | None,
) -> list[Line]:
    """A headline, the columns' names, and a line a job."""
    reach = f"the last {calendar.WEEKS} weeks, of months {calendar.YEARS} years"
    told = f"  {humanize.count(len(cards), 'job')} with windows, {reach}"
    title = line(" ", Piece("Backfill", "title"), Piece(told, "quiet"))
    if not cards:
        return [title, line("   ", Piece(NO_JOB, "quiet"))]
    name = min(max(len(card.job) for card in cards), max(27, cells - 79))
    head = line("   ", left("", name), *(right(f"{state}", COLUMNS[state], "quiet") for state in COLUMNS))
    looked = line(Piece("  looked at", "quiet"), Piece("       newest backfill" if cells >= WIDE else "", "quiet"))
    newest = {job: about for about in reversed(backfills) for job in about.jobs}
    drawn = [
        _row(
            card, standings.get(card.job), newest.get(card.job), now, name, cells, is_chosen=(PANEL, card.job) == cursor
        )
        for card in cards
    ]
    at = next((n for n, key in enumerate(keys(cards)) if key == cursor), 0)
    room = max(1, rows - 2)
    first = max(0, min(at - room + 1, len(drawn) - room))
    return [title, crop((*head, *looked), cells), *drawn[first : first + room]]


def _row(
    card: WindowedJob,
    standing: Standing | None,
    newest: Backfill | None,
    now: datetime,
    name: int,
    cells: int,
    *,
    is_chosen: bool,
) -> Line:
    start = line(Piece(" ▸ " if is_chosen else "   ", "mark"), left(card.job, name, "strong" if is_chosen else ""))
    if card.newest_only:
        return crop((*start, Piece("  keeps its newest result only: nothing to fill", "quiet")), cells)
    if standing is None:
        return crop((*start, Piece("  is being read", "quiet")), cells)
    counts = [_count(state, standing.counts.get(state, 0)) for state in COLUMNS]
    looked = left(_looked(card, standing, now), 16 if cells >= WIDE else 10, "quiet")
    return crop((*start, *counts, Piece("  "), looked, *_newest(newest, now, card.tz, cells)), cells)


def _count(state: WindowState, n: int) -> Piece:
    return right(f"{n:,}" if n else "-", COLUMNS[state], look.WINDOW[state].style if n else "quiet")


def _looked(card: WindowedJob, standing: Standing, now: datetime) -> str:
    """How old the oldest look is; without any a job's windows are judged by their runs alone."""
    if not card.finds_stale:
        return "-"
    return "never" if standing.checked_at is None else f"{humanize.age(now - standing.checked_at)} ago"


def _newest(about: Backfill | None, now: datetime, tz: str, cells: int) -> Line:
    if about is None:
        return line(Piece("none yet", "quiet")) if cells >= WIDE else line()
    seen = look.of_backfill(about)
    if cells < WIDE:
        return line(Piece(seen.symbol, seen.style), f"{about.id}")
    at = humanize.date_and_time(about.started_at or about.created_at, now, tz)
    return line(Piece(seen.symbol, seen.style), f" {about.id} {seen.word}", tell(f", {at}", "quiet"))
