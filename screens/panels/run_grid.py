"""The batches of a run as symbols, in rows that start with the number of a batch."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.run import OPEN
from opsconsole.core import humanize
from opsconsole.service import wording
from opsconsole.service.run_details import BatchCell, RunPage
from screens.widgets import symbols
from screens.widgets.lines import Line, Piece, crop, line, right
from screens.widgets.symbols import Symbol

GROUP = 10
"""Symbols between two gaps, so that they can be counted."""
LABEL_CELLS = 7

_WORST = (
    symbols.BATCH[BatchState.FAILED],
    symbols.BATCH_PARTIAL,
    symbols.BATCH[BatchState.RUNNING],
    symbols.BATCH[BatchState.NOT_REACHED],
    symbols.BATCH[BatchState.PENDING],
    symbols.BATCH[BatchState.DONE],
)


def title(page: RunPage, cells: int, rows: int) -> Line:
    """How many batches there are, and how many a symbol stands for."""
    shown, total = len(_batches(page)), page.progress.run.batches
    words = humanize.count(shown, "batch", "batches")
    if total > len(page.grid):
        words = f"first {shown:,} of {total:,} batches"
    if page.progress.run.keys_removed:
        words = f"{humanize.count(total, 'batch', 'batches')}, no longer kept but for {shown:,} with failures"
    each = _batches_per_symbol(shown, cells, rows)
    return line(Piece(f"{words}, {each} per symbol" if each > 1 else words, "title"))


def legend(page: RunPage) -> Line:
    """What the symbols mean."""
    found, pieces = {symbols.of_batch(cell) for cell in _batches(page)}, list[Piece]()
    for symbol in _WORST[::-1]:
        if symbol in found:
            gap = Piece("  " if pieces else "")
            pieces += [gap, Piece(symbol.char, symbol.style), Piece(f" {symbol.word}", "quiet")]
    return tuple(pieces)


def height(page: RunPage, cells: int, most: int) -> int:
    """The rows that the grid takes, at most `most`."""
    batches, per_row = len(_batches(page)), _symbols_per_row(cells)
    needed = max(1, min(most, -(-batches // per_row)))
    return max(1, -(-batches // (_batches_per_symbol(batches, cells, needed) * per_row)))


def rows(page: RunPage, cells: int, room: int) -> list[Line]:
    """A symbol for each batch; where there are too many, one for several, the worst of them."""
    batches, per_row = _batches(page), _symbols_per_row(cells)
    if not batches:
        reason = "none yet: counting items" if page.progress.run.state in OPEN else "none: there were no items"
        reason = wording.KEYS_REMOVED if page.progress.run.keys_removed else reason
        return [crop(line("  ", Piece(reason, "quiet")), cells)]
    each = _batches_per_symbol(len(batches), cells, room)
    shown = [(batches[i].seq, _worst(batches[i : i + each])) for i in range(0, len(batches), each)]
    return [_row(shown[i : i + per_row]) for i in range(0, len(shown), per_row)][:room]


def short(page: RunPage, cells: int) -> Line:
    """The batches in one line of at most `cells`, without numbers."""
    batches = _batches(page)
    each = -(-len(batches) // max(1, cells)) or 1
    return _joined([_worst(batches[i : i + each]) for i in range(0, len(batches), each)])


def _batches(page: RunPage) -> list[BatchCell]:
    return [cell for cell in page.grid if cell.state is not BatchState.REPLACED]


def _symbols_per_row(cells: int) -> int:
    return max(1, (cells - LABEL_CELLS - 1) // (GROUP + 1)) * GROUP


def _batches_per_symbol(batches: int, cells: int, rows: int) -> int:
    return -(-batches // (_symbols_per_row(cells) * max(1, rows))) or 1


def _row(shown: Sequence[tuple[int, Symbol]]) -> Line:
    pieces: list[Piece] = [right(f"{shown[0][0]:,}", LABEL_CELLS - 1, "quiet"), Piece(" ")]
    for i in range(0, len(shown), GROUP):
        pieces += [*_joined([symbol for _, symbol in shown[i : i + GROUP]]), Piece(" ")]
    return tuple(pieces[:-1])


def _joined(shown: Sequence[Symbol]) -> Line:
    """Symbols in as few pieces as possible."""
    pieces: list[Piece] = []
    for symbol in shown:
        if pieces and pieces[-1].style == symbol.style:
            pieces[-1] = Piece(pieces[-1].text + symbol.char, symbol.style)
        else:
            pieces.append(Piece(symbol.char, symbol.style))
    return tuple(pieces)


def _worst(cells: Sequence[BatchCell]) -> Symbol:
    found = {symbols.of_batch(cell) for cell in cells}
    return next((symbol for symbol in _WORST if symbol in found), symbols.BATCH[BatchState.PENDING])
