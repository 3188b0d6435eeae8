"""The table of all jobs, worst first, with the key that fixes what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from opsconsole.authoring.run import Run, RunState
from opsconsole.core import humanize
from opsconsole.service.snapshot import FindingKind, JobHistory, Pause, Work
from screens.panels.job_states import JobState, Rank, counts, keys_of, next_of, worst_first
from screens.panels.remembered import RememberedRows, remembered
from screens.panels.running import share
from screens.panels.success import LAST, bars
from screens.panels.view import NO_JOBS, Key, View, empty, fitted, marked, stale
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Drawing, Line, Piece, crop, fill, left, line, right, text
from screens.widgets.names import shortened
from screens.widgets.symbols import Symbol

LEAST_NAME, MOST_NAME = 20, 44
USUAL_NAME, ROOMY = 28, 110
"""From `ROOMY` cells on, names of usual length are shown whole, as page 2 shows them."""
STATE = 13
HEADER_ROWS = 1


class Column(NamedTuple):
    """A column of the table, between the job and the key that fixes it. Numbers are on the right; what `moves` also
    depends on the time.
    """

    title: str
    cells: int
    draw: Callable[[View, JobState], Line]
    is_number: bool = False
    moves: bool = False


def title(view: View, states: Sequence[JobState]) -> tuple[Line, Line]:
    """The name of the panel, and how many jobs are in which state."""
    if old := stale(view):
        return line(Piece("Jobs", "title")), old
    parts = [Piece(humanize.count(len(states), "job"), "quiet")]
    for symbol, number in _counts_of_all(states):
        parts += [Piece(" · ", "quiet"), Piece(f"{number} {symbol.word}", symbol.style if symbol.style else "quiet")]
    return line(Piece("Jobs", "title")), line(*parts) if states else EMPTY


def panel(view: View, cells: int, rows: int) -> Drawing:
    """The names of the columns, and the jobs that fit. The others are counted in a line, manual ones in another; the
    job under the cursor is always shown.
    """
    states = worst_first(view)
    name, end = title(view, states)
    if not states:
        return Drawing(fitted([empty(view, Work.JOBS, NO_JOBS)], rows, cells, None).lines, name, end)
    table = Table(view, states, cells)
    shown, hidden = visible(states, rows - HEADER_ROWS, view.cursor)
    below = _summaries(view, hidden, next_of(states, shown), cells)
    return Drawing(
        [table.header(), *(table.row(state) for state in shown), *below][:rows],
        name,
        end,
        [None, *(state.key for state in shown)],
    )


def visible(states: Sequence[JobState], rows: int, cursor: Key | None) -> tuple[list[JobState], list[JobState]]:
    """The jobs that are shown in `rows`, and those that are not, for which there are one or two lines."""
    if len(states) <= rows:
        return list(states), []
    keys = keys_of(states)
    room = max(1, rows - (2 if _has_manual(states) else 1))
    at = keys.index(cursor) if cursor in keys else 0
    first = max(0, at - room + 1)
    return list(states[first : first + room]), [*states[:first], *states[first + room :]]


@remembered
def _counts_of_all(states: Sequence[JobState]) -> list[tuple[Symbol, int]]:
    return counts(states)


@remembered
def _has_manual(states: Sequence[JobState]) -> bool:
    return any(state.rank is Rank.MANUAL for state in states)


@remembered
def _longest_name(states: Sequence[JobState]) -> int:
    return max(len(state.name) for state in states)


_rows: RememberedRows[Line] = RememberedRows()
"""Most rows stay the same from one second to the next."""


class Table:
    """Rows of jobs in columns that fit into `cells`."""

    def __init__(self, view: View, states: Sequence[JobState], cells: int) -> None:
        self._view, self._cells = view, cells
        self._columns, self._name = _fitting(cells, _longest_name(states))
        self._names: Mapping[str, str] = shortened((state.name for state in states), self._name)

    def header(self) -> Line:
        """The names of the columns."""
        titles = [
            Piece("   "),
            left("state", STATE - 2, "quiet"),
            left("job", self._name, "quiet"),
            *((right if each.is_number else left)(each.title, each.cells, "quiet") for each in self._columns),
        ]
        return crop(_spaced(titles[2:], titles[:2]), self._cells)

    def row(self, state: JobState) -> Line:
        """One job."""
        moving = [fill(each.draw(self._view, state), each.cells) for each in self._columns if each.moves]
        offered, is_marked = self._view.offer(state.fix), state.key == self._view.cursor
        inputs = (state, self._names[state.name], self._name, moving, offered, is_marked, self._cells)
        return _rows.row(state.name, inputs, lambda: self._drawn(state, moving, offered, is_marked=is_marked))

    def _drawn(
        self, state: JobState, moving: Sequence[Line], offered: tuple[str, str] | None, *, is_marked: bool
    ) -> Line:
        pieces: list[Piece] = [
            Piece(" "),
            Piece(f"{state.symbol.char} ", state.symbol.style),
            left(f"{state.symbol.word} ", STATE - 2, state.symbol.style),
        ]
        parts: list[Line] = [(left(self._names[state.name], self._name, "strong"),)]
        drawn = iter(moving)
        parts += [
            next(drawn) if each.moves else fill(each.draw(self._view, state), each.cells) for each in self._columns
        ]
        for part in parts:
            pieces += [*part, Piece("  ")]
        fix = line(Piece(offered[0], "key"), Piece(f" {offered[1]}", "quiet")) if offered else EMPTY
        whole = fill((*pieces, *fix), self._cells)
        return marked(whole, self._cells) if is_marked else whole


def _spaced(parts: Sequence[Piece], start: Sequence[Piece]) -> Line:
    pieces = list(start)
    for part in parts:
        pieces += [part, Piece("  ")]
    return tuple(pieces)


def _fitting(cells: int, longest: int) -> tuple[list[Column], int]:
    """The columns that fit, and the width of the names. Those that matter least are left out where there is no room."""
    columns, least = list(COLUMNS), min(USUAL_NAME if cells >= ROOMY else LEAST_NAME, longest)
    for unneeded in LEAST_IMPORTANT_FIRST:
        if _name_cells(columns, cells) >= least:
            break
        columns = [each for each in columns if each.title != unneeded]
    return columns, max(1, min(_name_cells(columns, cells), longest, MOST_NAME))


def _name_cells(columns: Sequence[Column], cells: int) -> int:
    return cells - 1 - STATE - 2 - sum(each.cells + 2 for each in columns) - FIX


def _summaries(view: View, hidden: Sequence[JobState], following: JobState | None, cells: int) -> list[Line]:
    """What is not shown: one line for the jobs with a schedule, with the one that is next, and one for the others."""
    manual = [state for state in hidden if state.rank is Rank.MANUAL]
    others = [state for state in hidden if state.rank is not Rank.MANUAL]
    lines: list[Line] = []
    if others:
        lines.append(_summary(view, others, following, cells))
    if manual:
        shown, more = manual[:4], len(manual) - 4
        names = ", ".join(state.name for state in shown) + (f" and {more} more" if more > 0 else "")
        start = line(" ", Piece(f"{symbols.MANUAL.char} {len(manual)} manual: ", "quiet"))
        lines.append(crop((*start, text(names, "quiet", cells)), cells))
    return lines


def _summary(view: View, states: Sequence[JobState], following: JobState | None, cells: int) -> Line:
    pieces: list[Piece] = [Piece(" ")]
    found = counts(states)
    if len(found) == 1 and found[0][0] == symbols.OK:
        pieces += [Piece(f"{found[0][0].char} ", found[0][0].style), Piece(f"{len(states)} more are ok", "quiet")]
    else:
        pieces += [Piece(f"  {len(states)} more: ", "quiet")]
        for index, (symbol, number) in enumerate(found):
            words = f"{number} {symbol.word}" if len(found) > 1 else symbol.word
            pieces += [Piece(", " if index else "", "quiet"), Piece(words, symbol.style)]
    if following is not None and following.card.next_at is not None:
        seconds = (following.card.next_at - view.now).total_seconds()
        at = " ".join(humanize.countdown(seconds).split())
        pieces += [Piece(", next ", "quiet"), text(following.name, "", 60), Piece(f" {at}", "quiet")]
    return crop(tuple(pieces), cells)


# --- columns -------------------------------------------------------------------------------------------------------


def _next(view: View, state: JobState) -> Line:
    if state.pause is not None:
        return line(text(_pause(view, state.pause), symbols.PAUSED.style, NEXT))
    if state.finding is not None and state.finding.kind in (FindingKind.OVERDUE, FindingKind.LATE):
        return line(Piece(f"{humanize.age(view.now - state.finding.since)} late", state.symbol.style))
    if state.card.next_at is None:
        return line(Piece("manual" if state.card.cron is None else "-", "quiet"))
    seconds = (state.card.next_at - view.now).total_seconds()
    if seconds < 0:
        return line(Piece(f"{humanize.age(view.now - state.card.next_at)} late", "warn"))
    return line(_countdown(seconds))


def _countdown(seconds: float) -> str:
    """The time until an event in `NEXT` cells: `in  9 m 53 s`."""
    words = humanize.countdown(seconds).replace("min", "m").removeprefix("in").strip()
    if len(words) > NEXT - 3:
        words = humanize.age(timedelta(seconds=seconds))
    return words.rjust(NEXT) if words == "now" else f"in {words:>{NEXT - 3}}"


def _pause(view: View, pause: Pause) -> str:
    """Until when it is paused: `to 23:00 UTC`, `to 22 Jan`; who did that where it has no end."""
    if pause.until is None:
        return f"by {pause.who}"
    tz = view.pause_zone(pause)
    if pause.until - view.now < timedelta(days=1):
        return f"to {humanize.clock(pause.until, tz)}"
    there = ZoneInfo(tz)
    return f"to {humanize.short_date(pause.until.astimezone(there), view.now.astimezone(there))}"


def _last(view: View, state: JobState) -> Line:
    if state.progress is not None:
        run, part = state.progress.run, share(state.progress.run)
        if run.stop is not None:
            return line(Piece("stopping", "warn"))
        if run.state is RunState.QUEUED:
            return line(Piece(f"queued {humanize.age(view.now - run.created_at)}", "quiet"))
        if run.state is RunState.INTERRUPTED:
            return line(Piece("interrupted", "warn"))
        if part is None:
            return line(Piece("counting items", "live"))
        rest = state.progress.seconds_left
        left_over = f" · {humanize.short_duration(rest)}" if rest is not None else ""
        return line(Piece(f"{int(part * 100)}%", "live"), Piece(left_over, "quiet"))
    if state.last is None:
        return line(Piece("-", "quiet"))
    return _ended(view, state.last)


def _ended(view: View, run: Run) -> Line:
    ended = (run.ended_at or run.created_at).astimezone(UTC)
    today = view.now.astimezone(UTC)
    at = f"{ended:%H:%M}" if ended.date() == today.date() else humanize.short_date(ended, today)
    symbol = symbols.RUN[run.state]
    if run.state is RunState.SUCCEEDED:
        return line(Piece(f"{at} ok", ""))
    if run.state is RunState.PARTIAL:
        return line(Piece(f"{run.counts.failed:,} of {run.counts.planned:,}", symbol.style))
    return line(Piece(f"{at} ", ""), Piece(symbol.word, symbol.style))


def _rate(pick: Callable[[JobHistory], float | None]) -> Callable[[View, JobState], Line]:
    def draw(_view: View, state: JobState) -> Line:
        share = pick(state.history) if state.history is not None else None
        style = "quiet" if share is None else "bad" if share < 0.90 else "warn" if share < 0.95 else ""
        return (right(humanize.percent(share), RATE, style),)

    return draw


def _bars(_view: View, state: JobState) -> Line:
    return bars(state.history) if state.history is not None else EMPTY


def _usual(_view: View, state: JobState) -> Line:
    seconds = state.history.usual_seconds if state.history is not None else None
    return (right(humanize.short_duration(seconds), USUAL),)


def _words(_view: View, state: JobState) -> Line:
    return line(text(state.card.words, "quiet", 60))


def _number(_view: View, state: JobState) -> Line:
    return (right(state.last.id if state.last is not None else "-", NUMBER, "quiet"),)


NEXT, LAST_RUN, RATE, USUAL, WORDS, NUMBER = 12, 16, 5, 7, 26, 8
FIX = 10
COLUMNS = (
    Column("next", NEXT, _next, moves=True),
    Column("schedule", WORDS, _words),
    Column("last, UTC", LAST_RUN, _last, moves=True),
    Column("run", NUMBER, _number, is_number=True),
    Column("24 h", RATE, _rate(lambda history: history.rates.day), is_number=True),
    Column("7 d", RATE, _rate(lambda history: history.rates.week), is_number=True),
    Column("30 d", RATE, _rate(lambda history: history.rates.month), is_number=True),
    Column("last 14", LAST, _bars),
    Column("usual", USUAL, _usual, is_number=True),
)
LEAST_IMPORTANT_FIRST = ("schedule", "run", "30 d", "7 d", "usual", "24 h", "last 14")
