"""A chart of durations: one column a run, in as many rows as there are."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.authoring.run import Run, RunState
from opsconsole.core import humanize
from screens.widgets import symbols
from screens.widgets.lines import SPARKS, Line, Piece, line, right

LABEL_CELLS = 8
LEVELS = len(SPARKS)
WIDEST_COLUMN = 4


def durations(newest: Sequence[Run], cells: int, rows: int) -> list[Line]:
    """The newest runs as bars, the oldest on the left, with the longest duration at the top. A run that did not succeed
    has its symbol at the foot of its column.
    """
    runs = [run for run in newest if run.seconds is not None][: max(0, cells - LABEL_CELLS - 2)][::-1]
    if not runs:
        return []
    longest = max(run.seconds or 0.0 for run in runs)
    heights = [_height(run.seconds or 0.0, longest, rows) for run in runs]
    lines = []
    for row in range(rows, 0, -1):
        label = humanize.short_duration(longest) if row == rows else "0" if row == 1 and rows > 2 else ""
        columns = [_cell(run, height, row) for run, height in zip(runs, heights, strict=True)]
        lines.append(line(right(label, LABEL_CELLS, "quiet"), Piece(" "), *_joined(columns)))
    return lines


def bars(newest: Sequence[Run]) -> list[Piece]:
    """The same in one line, without a scale."""
    longest = max((run.seconds or 0.0 for run in newest), default=0.0)
    return _joined([_cell(run, _height(run.seconds or 0.0, longest, 1), 1) for run in reversed(newest)])


def columns(values: Sequence[float | None], highest: str, cells: int, rows: int) -> list[Line]:
    """Values as columns of equal width from zero on, with the `highest` beside the top; a zero and an unknown one have
    none.
    """
    top = max((value for value in values if value is not None), default=0.0)
    each = max(1, min(WIDEST_COLUMN, (cells - LABEL_CELLS - 2) // max(1, len(values))))
    heights = [max(1, round(value / top * rows * LEVELS)) if value else 0 for value in values]
    lines = []
    for row in range(rows, 0, -1):
        label = highest if row == rows else "0" if row == 1 else ""
        parts = [min(LEVELS, height - (row - 1) * LEVELS) for height in heights]
        blocks = "".join(f"{(SPARKS[part - 1] if part > 0 else ' ') * max(1, each - 1):<{each}}" for part in parts)
        lines.append(line(right(label, LABEL_CELLS, "quiet"), Piece(" "), Piece(blocks, "quiet")))
    return lines


def _height(seconds: float, longest: float, rows: int) -> int:
    """In eighths of a row, at least one."""
    return max(1, round(seconds / longest * rows * LEVELS)) if longest > 0 else 1


def _cell(run: Run, height: int, row: int) -> Piece:
    symbol = symbols.RUN[run.state]
    is_success = run.state is RunState.SUCCEEDED
    if row == 1 and not is_success:
        return Piece(symbol.char, symbol.style)
    part = min(LEVELS, height - (row - 1) * LEVELS)
    return Piece(SPARKS[part - 1] if part > 0 else " ", "quiet" if is_success else symbol.style)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours of one style as one piece."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].style == piece.style:
            joined[-1] = Piece(joined[-1].text + piece.text, piece.style)
        else:
            joined.append(piece)
    return joined
