"""The panel of success rates."""

from __future__ import annotations

from opsconsole.authoring.run import RunState
from opsconsole.core import humanize
from opsconsole.service.snapshot import JobHistory, Pause, Work
from screens.panels import pauses
from screens.panels.view import WIDE, Block, Key, View, empty, fit, stale
from screens.widgets import symbols
from screens.widgets.lines import Line, Piece, fill, left, line, right, rule, spark, width

PANEL = "success"
LAST = 14


def keys(view: View) -> list[Key]:
    """The keys of the rows."""
    return [(PANEL, each.job) for each in view.snapshot.histories]


def panel(view: View, cells: int, rows: int) -> list[Line]:
    """The rule with the names of the columns, and `rows` lines."""
    blocks = [Block((_row(view, each, cells),), (PANEL, each.job)) for each in view.snapshot.histories]
    shown, hidden = fit(blocks or [empty(view, Work.HISTORIES, "no jobs")], rows, cells, view.cursor)
    return [_header(view, cells, hidden), *shown]


def _columns(cells: int) -> tuple[int, int, int, int, int]:
    """The widths of state, name, a rate, the bars and the usual duration."""
    state = 10 if cells >= WIDE else 0
    each_rate, bars, usual = (7, LAST + 2, 8) if cells >= WIDE else (6, LAST + 1, 8)
    return state, cells - 5 - state - 3 * each_rate - bars - usual, each_rate, bars, usual


def _header(view: View, cells: int, hidden: int) -> Line:
    old = stale(view)
    if old:
        return rule("Success", cells, old)
    state, name, each_rate, bars, usual = _columns(cells)
    start = rule(f"Success · {hidden} more" if hidden else "Success", 3 + state + name)
    parts: list[Piece] = list(start)
    for title, room in (("24 h", each_rate), ("7 d", each_rate), ("30 d", each_rate), ("last 14", bars)):
        parts.append(_column(title, room))
    parts += [_column("usual", usual), Piece(" ")]
    return (*parts, Piece("─" * (cells - width(parts)), "rule"))


def _column(title: str, room: int) -> Piece:
    return Piece(title.rjust(room), "quiet")


def _row(view: View, each: JobHistory, cells: int) -> Line:
    state, name, each_rate, bars, usual = _columns(cells)
    paused = view.pauses_of(each.job)
    symbol = symbols.PAUSED if paused else symbols.RUN[each.newest[0].state] if each.newest else symbols.NEVER
    word = (left(symbol.word, state, symbol.style),) if state else ()
    rates = [right(humanize.percent(share), each_rate, _style(share)) for share in _shares(each)]
    start = line(" ", Piece(symbol.char, symbol.style), " ", *word, left(each.job, name, "strong"), *rates)
    if paused:
        return (*start, *_paused(view, each.job, paused[0], bars + usual, with_word=not state), Piece(" "))
    return (
        *start,
        Piece(" " * (bars - LAST)),
        *_bars(each),
        right(humanize.short_duration(each.usual_seconds), usual),
        Piece(" "),
    )


def _paused(view: View, job: str, pause: Pause, cells: int, *, with_word: bool) -> Line:
    """The end of the pause, in the place of the bars."""
    before = symbols.PAUSED.word if with_word else ""
    status = pauses.status(pause, view.now, view.zone_of(job), cells - 1, before)
    return fill((Piece(" " * min(2, max(1, cells - width(status)))), *status), cells)


def _shares(each: JobHistory) -> tuple[float | None, float | None, float | None]:
    return each.rates.day, each.rates.week, each.rates.month


def _style(share: float | None) -> str:
    if share is None:
        return "quiet"
    return "bad" if share < 0.90 else "warn" if share < 0.95 else ""


def _bars(each: JobHistory) -> Line:
    """The newest runs, oldest first: a bar for the duration, or the symbol of a run that did not succeed."""
    newest = each.newest[:LAST]
    longest = max((run.seconds or 0.0 for run in newest), default=0.0)
    pieces: list[Piece] = [Piece(" " * (LAST - len(newest)))] if len(newest) < LAST else []
    for run in reversed(newest):
        symbol = symbols.RUN[run.state]
        is_success = run.state is RunState.SUCCEEDED
        pieces.append(Piece(spark([run.seconds or 0.0], longest) if is_success else symbol.char, symbol.style))
    return tuple(pieces)
