"""The panel of success rates: all jobs in the columns that fit into 80 cells, worst first."""

from __future__ import annotations

from opsconsole.authoring.run import RunState
from opsconsole.core import humanize
from opsconsole.service.snapshot import JobHistory, Pause, Work
from screens.panels import pauses
from screens.panels.job_states import JobState, keys_of, worst_first
from screens.panels.view import NO_JOBS, WIDE, Blocks, View, empty, fitted, stale
from screens.widgets import symbols
from screens.widgets.lines import Drawing, Line, Piece, fill, left, line, right, spark, width
from screens.widgets.names import shortened

LAST = 14
UNUSUAL = 3.0
"""A run that took this many times as long as usual is marked."""


def panel(view: View, cells: int, rows: int) -> Drawing:
    """One line for each job; the names of the columns are in the border."""
    states = worst_first(view)
    names = shortened((state.name for state in states), max(1, _columns(cells)[1] - 1))
    blocks = Blocks(keys_of(states), lambda index: (_row(view, states[index], names[states[index].name], cells),))
    shown = fitted(blocks or [empty(view, Work.HISTORIES, NO_JOBS)], rows, cells, view.cursor)
    more = f" · {shown.hidden} more" if cells >= WIDE else f" +{shown.hidden}"
    title = line(Piece("Success" + (more if shown.hidden else ""), "title"))
    return Drawing(shown.lines, title, stale(view) or _header(cells), shown.rows)


def bars(history: JobHistory) -> Line:
    """The newest runs, oldest first: a bar for the duration, or the symbol of a run that did not succeed. Only what is
    unusual has a colour.
    """
    newest = history.newest[:LAST]
    longest = max((run.seconds or 0.0 for run in newest), default=0.0)
    slow = UNUSUAL * history.usual_seconds if history.usual_seconds else None
    pieces: list[Piece] = [Piece(" " * (LAST - len(newest)))] if len(newest) < LAST else []
    for run in reversed(newest):
        seconds, symbol = run.seconds or 0.0, symbols.RUN[run.state]
        if run.state is RunState.SUCCEEDED:
            style = "warn" if slow is not None and seconds > slow else "quiet"
            pieces.append(Piece(spark([seconds], longest), style))
        else:
            pieces.append(Piece(symbol.char, symbol.style))
    return tuple(pieces)


def _columns(cells: int) -> tuple[int, int, int, int, int]:
    """The widths of state, name, a rate, the bars and the usual duration."""
    state = 11 if cells >= WIDE else 0
    each_rate, for_bars, usual = (7, LAST + 2, 8) if cells >= WIDE else (6, LAST + 1, 8)
    return state, cells - 5 - state - 3 * each_rate - for_bars - usual, each_rate, for_bars, usual


def _header(cells: int) -> Line:
    """The names of the columns, each above the end of its own."""
    _, _, each_rate, for_bars, usual = _columns(cells)
    columns = (("24 h", each_rate), ("7 d", each_rate), ("30 d", each_rate), ("last 14", for_bars), ("usual", usual))
    return tuple(Piece(name.rjust(room), "quiet") for name, room in columns)


def _row(view: View, state: JobState, name: str, cells: int) -> Line:
    state_cells, name_cells, each_rate, for_bars, usual = _columns(cells)
    symbol, history = state.symbol, state.history
    word = (left(symbol.word, state_cells, symbol.style),) if state_cells else ()
    rates = [right(humanize.percent(share), each_rate, _style(share)) for share in _shares(history)]
    start = line(" ", Piece(symbol.char, symbol.style), " ", *word, left(name, name_cells, "strong"), *rates)
    if state.pause is not None:
        end = _paused(view, state.pause, for_bars + usual, with_word=not state_cells)
        return (*start, *end, Piece(" "))
    return (
        *start,
        Piece(" " * (for_bars - LAST)),
        *(bars(history) if history is not None else (Piece(" " * LAST),)),
        right(humanize.short_duration(history.usual_seconds if history is not None else None), usual),
        Piece(" "),
    )


def _paused(view: View, pause: Pause, cells: int, *, with_word: bool) -> Line:
    """The end of the pause, in the place of the bars."""
    before = symbols.PAUSED.word if with_word else ""
    status = pauses.status(pause, view.now, view.pause_zone(pause), cells - 1, before)
    return fill((Piece(" " * min(2, max(1, cells - width(status)))), *status), cells)


def _shares(history: JobHistory | None) -> tuple[float | None, float | None, float | None]:
    if history is None:
        return None, None, None
    return history.rates.day, history.rates.week, history.rates.month


def _style(share: float | None) -> str:
    if share is None:
        return "quiet"
    return "bad" if share < 0.90 else "warn" if share < 0.95 else ""
