"""A Markdown text on the screen: as it is written, so that what is copied is what was read."""

from __future__ import annotations

from collections.abc import Sequence

from screens.widgets.lines import EMPTY, Line, Piece, line, text, wrapped


def lines(markdown: str, cells: int) -> list[Line]:
    """The lines, wrapped; headings stand out, and the rest of an item of a list is indented."""
    return [each for row in markdown.splitlines() for each in _row(row, cells)]


def _row(row: str, cells: int) -> Sequence[Line]:
    if not row.strip():
        return [EMPTY]
    style = "title" if row.startswith("#") else ""
    mark = len(row) - len(row.lstrip(" -"))
    first, *others = wrapped([row[mark:]], max(20, cells - 2 - mark), style)
    start = line(Piece(" "), text(row[:mark], style), *first)
    return [start, *(line(Piece(" " * (mark + 1)), *each) for each in others)]
