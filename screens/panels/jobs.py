"""The list of jobs: which of them are shown, in which order, and a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from opsconsole.core import humanize
from opsconsole.service.snapshot import JobCard, Run, Work
from screens.panels import pauses
from screens.panels.job_states import JobState, Rank
from screens.panels.remembered import remembered
from screens.panels.view import NO_JOBS, Block, Key, View, empty, fit, hint, stale
from screens.widgets import segments, symbols
from screens.widgets.lines import EMPTY, Line, Piece, Spot, fill, left, line, right, text, width
from screens.widgets.names import shortened

COMPACT, WIDE, WIDEST = 76, 100, 140
"""From these widths on there is room for the last run, for the schedule in words, and for more rates."""
STATE_CELLS, NEXT_CELLS, LAST_CELLS, USUAL_CELLS, RATE_CELLS = 12, 17, 8, 8, 7
WORDS_CELLS, ZONE_CELLS = 26, 14
NAME_CELLS, LONGEST_NAME = 24, 44


HEAD = Piece("Jobs", "title"), Piece(" ")


class Segment(StrEnum):
    """Which jobs are listed."""

    ALL = "all"
    FAILED = "failed"
    RUNNING = "running"
    PAUSED = "paused"
    MANUAL = "manual"


@remembered
def listed(found: Sequence[JobState], segment: Segment, query: str = "") -> list[JobState]:
    """The jobs of a segment whose name, alias, schedule or zone contains every word of a query: those with a problem
    first, the worst one at the top, then by name.
    """
    words = query.casefold().split()
    chosen = [state for state in found if is_in(state, segment) and _matches(state.card, words)]
    return sorted(chosen, key=lambda state: (min(state.rank, Rank.RUNNING), state.name))  # a run moves no row


def is_in(state: JobState, segment: Segment) -> bool:
    """Whether a job is in a segment."""
    match segment:
        case Segment.ALL:
            return True
        case Segment.FAILED:
            return state.rank < Rank.RUNNING
        case Segment.RUNNING:
            return state.status.active is not None
        case Segment.PAUSED:
            return bool(state.status.pauses)
        case Segment.MANUAL:
            return state.card.cron is None


def title(found: Sequence[JobState], segment: Segment, cells: int) -> Line:
    """The segments with their counts, of which the chosen one stands out; without the counts where they do not fit."""
    return (*HEAD, *segments.pieces(_words(found, cells), segment, ""))


def spots(found: Sequence[JobState], cells: int) -> list[Spot]:
    """Where the segments of the title are, which starts with the third cell of the border."""
    return segments.spots(_words(found, cells), -1, 2 + width(HEAD), "")


def _words(found: Sequence[JobState], cells: int) -> dict[str, str]:
    whole = {each.value: f"{each} {count:,}" for each, count in zip(Segment, _counts(found), strict=True)}
    return (
        whole
        if width((*HEAD, *segments.pieces(whole, "", ""))) <= cells
        else {each.value: each.value for each in Segment}
    )


@remembered
def _counts(found: Sequence[JobState]) -> list[int]:
    return [sum(is_in(state, each) for state in found) for each in Segment]


def end(view: View, query: Line, hidden: int) -> Line:
    """Since when the jobs are stale, otherwise how many are hidden, and the filter."""
    more = line(Piece(f"{hidden:,} more", "quiet"), "  ") if hidden else EMPTY
    return stale(view) or (*more, *query)


def columns(cells: int) -> Line:
    """The names of the columns."""
    parts = [
        left("  state", STATE_CELLS + 3, "quiet"),
        left("job", _name_cells(cells), "quiet"),
        Piece(" "),
        left("next", NEXT_CELLS, "quiet"),
    ]
    if cells < COMPACT:
        return fill(tuple(parts), cells)
    parts.append(right("last", LAST_CELLS, "quiet"))
    rates = ("24 h", "7 d", "30 d") if cells >= WIDEST else ("24 h",)
    parts += [right(each, RATE_CELLS, "quiet") for each in rates] if cells >= WIDE else []
    parts.append(right("usual", USUAL_CELLS, "quiet"))
    if cells >= WIDE:
        parts += [Piece("  "), Piece("schedule", "quiet")]
    return fill(tuple(parts), cells)


def rows(
    view: View, found: Sequence[JobState], cells: int, room: int, nothing: str
) -> tuple[list[Line], list[Key], int]:
    """`room` rows, the one under the cursor included; their keys, and how many jobs are hidden. `nothing` is shown
    without a job.
    """
    keys = [state.key for state in found]
    if not found:
        block = hint(nothing) if view.snapshot.jobs else empty(view, Work.JOBS, NO_JOBS)
        return list(block.lines), [], 0
    first = max(0, keys.index(view.cursor) + 1 - room) if view.cursor in keys else 0
    shown = found[first : first + room]
    names = shortened(tuple(card.name for card in view.snapshot.jobs), _name_cells(cells))
    blocks = [Block((_row(view, each, names[each.name], cells),), each.key) for each in shown]
    return fit(blocks, room, cells, view.cursor)[0], keys[first : first + room], len(found) - len(shown)


def nothing(view: View, segment: Segment, query: str) -> str:
    """What a list without jobs shows."""
    if query:
        return f"no job matches; {view.keys['back']} clears the filter"
    return "every job has a schedule" if segment is Segment.MANUAL else f"no job is {segment}"


def _row(view: View, state: JobState, name: str, cells: int) -> Line:
    card, symbol = state.card, state.symbol
    start = line(
        " ",
        Piece(symbol.char, symbol.style),
        " ",
        left(symbol.word, STATE_CELLS, symbol.style),
        left(name, _name_cells(cells), "strong"),
        " ",
    )
    if cells < COMPACT:
        return fill((*start, *_next(view, state)), cells)
    mine = state.history
    rates = [mine.rates.day, mine.rates.week, mine.rates.month] if mine is not None else [None] * 3
    shown = rates if cells >= WIDEST else rates[:1] if cells >= WIDE else []
    parts = [
        *_next(view, state),
        right(_last(view, state.status.newest), LAST_CELLS),
        *(_rate(share) for share in shown),
    ]
    usual = mine.usual_seconds if mine is not None else None
    parts.append(right(humanize.short_duration(usual), USUAL_CELLS))
    if cells >= WIDE:
        zone = f" ({card.tz})" if card.cron is not None else ""
        parts += [Piece("  "), text(f"{card.words}{zone}", "quiet", 120)]
    return fill((*start, *parts), cells)


def _next(view: View, state: JobState) -> Line:
    """The next scheduled time in the job's zone; for a paused job, who paused it until when."""
    card, pause = state.card, state.pause
    tz = view.shown_zone(card.tz)
    if pause is not None:
        end = pauses.end_of(pause, view.now, view.pause_zone(pause))
        who = line(text(f"{pause.who} {end.removeprefix('until ')}", symbols.PAUSED.style, 40))
        return fill(who if width(who) < NEXT_CELLS else line(Piece(end, symbols.PAUSED.style)), NEXT_CELLS)
    if card.next_at is None:
        return (left("manual" if card.cron is None else "-", NEXT_CELLS, "quiet"),)
    return (left(humanize.upcoming_time(card.next_at, view.now, tz), NEXT_CELLS),)


def _last(view: View, run: Run | None) -> str:
    """How long ago the newest run ended, or started."""
    return "-" if run is None else humanize.age(view.now - (run.ended_at or run.started_at or run.created_at))


def _rate(share: float | None) -> Piece:
    style = "quiet" if share is None else "bad" if share < 0.90 else "warn" if share < 0.95 else ""
    return right(humanize.percent(share), RATE_CELLS, style)


def _name_cells(cells: int) -> int:
    """The width of a name: what the other columns leave."""
    others = STATE_CELLS + 4 + NEXT_CELLS + LAST_CELLS + USUAL_CELLS
    if cells < WIDE:
        others += 1  # the margin; wider rows end with words
    else:
        others += RATE_CELLS * (3 if cells >= WIDEST else 1) + WORDS_CELLS + 2
    return max(NAME_CELLS, min(LONGEST_NAME, cells - others))


def _matches(card: JobCard, words: list[str]) -> bool:
    texts = [each.casefold() for each in (card.name, *card.aliases, card.words, card.tz, card.description)]
    return all(any(word in each for each in texts) for word in words)
