"""Lines as plain values: pieces of text with the name of a style, measured in terminal cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from opsconsole.core.text import safe

_VARIATION = re.compile("[\ufe00-\ufe0f]")
"""Variation selectors: terminals disagree about the width of the character before one."""

SPARKS = "▁▂▃▄▅▆▇█"
KEY = "key"
"""The style of the names of keys."""


class Piece(NamedTuple):
    """Text in one style; `style` is one of `screens.widgets.paint.STYLES`."""

    text: str
    style: str = ""


Line = tuple[Piece, ...]
EMPTY: Line = ()
Row = tuple[str, str]
"""A row that the cursor can be on: its panel, and its subject (a run's number, a job's name, ...)."""


class Spot(NamedTuple):
    """Cells of the line `y` that the mouse presses apart from the rest, from `x` to before `end`; the border is -1."""

    y: int
    x: int
    end: int
    row: Row


class Drawing(NamedTuple):
    """What a panel shows: its lines, and `title` and `end` in its border. `rows` are the rows of the first lines, for
    the mouse; None where a line belongs to no row. `spots` come first.
    """

    lines: Sequence[Line]
    title: Line = EMPTY
    end: Line = EMPTY
    rows: Sequence[Row | None] = ()
    spots: Sequence[Spot] = ()


def text(value: object, style: str = "", limit: int = 500) -> Piece:
    """A piece of untrusted text: nothing in it can move the cursor or change a width."""
    return Piece(_VARIATION.sub("", safe(value, limit)), style)


def line(*parts: Piece | str) -> Line:
    """A line of pieces; a plain string must be a literal of this program."""
    return tuple(part if isinstance(part, Piece) else Piece(part) for part in parts)


def width(pieces: Iterable[Piece]) -> int:
    """How many cells a line takes."""
    return sum(cell_len(piece.text) for piece in pieces)


def key_at(pieces: Line, x: int) -> str:
    """The key that is drawn at a cell, or in front of the word there; empty elsewhere."""
    end, key = 0, ""
    for before, piece in pairwise((Piece(""), *pieces)):
        if piece.style == KEY:
            key = piece.text.strip()
        elif before.style != KEY:
            key = ""
        end += cell_len(piece.text)
        if x < end:
            return key
    return ""


def cut(value: str, cells: int) -> str:
    """The text, with an ellipsis where it had to be shortened to `cells`."""
    if cell_len(value) <= cells:
        return value
    return set_cell_size(value, cells - 1).rstrip() + "…" if cells > 0 else ""


def tail(value: str, cells: int) -> str:
    """The end of a text, with an ellipsis where its start was cut off: for text fields."""
    if cell_len(value) <= cells:
        return value
    while value and cell_len(value) > cells - 1:
        value = value[1:]
    return f"…{value}" if cells > 0 else ""


def left(value: object, cells: int, style: str = "") -> Piece:
    """A column of `cells`, its text on the left."""
    piece = text(value, style)
    shown = cut(piece.text, cells)
    return Piece(shown + " " * (cells - cell_len(shown)), style)


def right(value: object, cells: int, style: str = "") -> Piece:
    """A column of `cells`, its text on the right: for numbers under each other."""
    piece = text(value, style)
    shown = cut(piece.text, cells)
    return Piece(" " * (cells - cell_len(shown)) + shown, style)


def fitting(parts: Sequence[Line], cells: int) -> Line:
    """The parts one after the other, without those at the end that have no room; at least the first."""
    shown = parts[0]
    for part in parts[1:]:
        if width(shown) + width(part) > cells:
            break
        shown = (*shown, *part)
    return shown


def crop(pieces: Line, cells: int) -> Line:
    """The line, shortened to `cells` with an ellipsis."""
    if width(pieces) <= cells:
        return pieces
    kept: list[Piece] = []
    room = cells
    for piece in pieces:
        piece_width = cell_len(piece.text)
        if piece_width >= room:  # something follows, or this piece alone is too long
            kept.append(Piece(cut(piece.text + " ", room), piece.style))
            break
        kept.append(piece)
        room -= piece_width
    return tuple(kept)


def fill(pieces: Line, cells: int) -> Line:
    """The line, exactly `cells` wide."""
    cropped = crop(pieces, cells)
    missing = cells - width(cropped)
    return (*cropped, Piece(" " * missing)) if missing else cropped


def wrapped(sentences: Sequence[str], cells: int, style: str = "") -> list[Line]:
    """Sentences as lines of at most `cells`."""
    lines: list[Line] = []
    for sentence in sentences:
        row = ""
        for word in text(sentence, limit=1000).text.split():
            if row and len(line(row)[0].text) + len(word) + 1 > cells:
                lines.append(line(Piece(row, style)))
                row = ""
            row = cut(f"{row} {word}" if row else word, cells)
        lines.append(line(Piece(row, style)))
    return lines


def wrapped_parts(parts: Sequence[str], cells: int, style: str = "") -> list[Line]:
    """Parts of a sentence in lines of at most `cells`, with dots between them; a line ends after a whole part."""
    rows: list[str] = []
    for part in parts:
        joined = f"{rows[-1]} · {part}" if rows else part
        if rows and cell_len(text(joined, limit=1000).text) <= cells:
            rows[-1] = joined
        else:
            rows.append(part)
    return wrapped(rows, cells, style)


def ends(start: Line, end: Line, cells: int) -> Line:
    """A line with something at both ends; the start gives way."""
    end = crop(end, cells)
    room = cells - width(end)
    return (*fill(start, room), *end) if room > 0 else end


def rule(title: str, cells: int, end: Line = EMPTY) -> Line:
    """A thin rule with the panel's title, and a note at its end."""
    start = line(Piece("─ ", "rule"), Piece(title, "title"), Piece(" ", "rule"))
    closing = line(" ", *end, " ", Piece("─", "rule")) if end else EMPTY
    closing = crop(closing, max(0, cells - width(start) - 2))
    dashes = cells - width(start) - width(closing)
    return crop((*start, Piece("─" * max(0, dashes), "rule"), *closing), cells)


def side_by_side(first: Sequence[Line], first_width: int, second: Sequence[Line], second_width: int) -> list[Line]:
    """Two columns of lines with one cell between them."""
    height = max(len(first), len(second))
    columns = [*first, *[EMPTY] * (height - len(first))], [*second, *[EMPTY] * (height - len(second))]
    gap = Piece(" ")
    return [(*fill(a, first_width), gap, *fill(b, second_width)) for a, b in zip(*columns, strict=True)]


def bar(share: float | None, cells: int) -> tuple[Piece, Piece]:
    """A progress bar of `cells`; empty when the share is unknown."""
    full = round(max(0.0, min(1.0, share or 0.0)) * cells)
    if share is not None and 0 < share < 1:
        full = max(1, min(cells - 1, full))
    return Piece("█" * full, "live"), Piece("░" * (cells - full), "rule")


def spark(values: Iterable[float | None], highest: float | None = None, lowest: float = 0.0) -> str:
    """Values as a row of small bars; an unknown value is a space."""
    values = list(values)
    known = [value for value in values if value is not None]
    top = highest if highest is not None else max(known, default=0.0)
    span = top - lowest
    return "".join(" " if value is None else _bar_character(value - lowest, span) for value in values)


def _bar_character(value: float, span: float) -> str:
    if span <= 0:
        return SPARKS[0]
    return SPARKS[max(0, min(len(SPARKS) - 1, int(value / span * len(SPARKS))))]
