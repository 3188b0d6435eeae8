"""The widget that draws lines, and repaints only the cells that changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from screens.widgets import symbols
from screens.widgets.lines import Line, Piece, fill, width

log = logging.getLogger(__name__)

MAX_LOGGED = 200
"""Characters of a line that cannot be drawn."""

# Of the 256 colours; each maps to a different bright one on a terminal with 16.
STYLES = {
    "ok": Style(color="#5fd787"),
    "warn": Style(color="#ffaf00"),
    "bad": Style(color="#ff5f5f", bold=True),
    "live": Style(color="#5fd7ff"),
    "quiet": Style(color="#9e9e9e"),
    "rule": Style(color="#585858"),
    "title": Style(bold=True),
    "strong": Style(bold=True),
    "key": Style(color="#5fd7ff", bold=True),
    "mark": Style(color="#5fd7ff", bold=True),
    "alarm": Style(color="#ffffff", bgcolor="#d70000", bold=True),
    "chosen": Style(reverse=True, bold=True),
}
SIXTEEN = STYLES | {
    "ok": Style(color="green"),
    "warn": Style(color="yellow"),
    "bad": Style(color="bright_red", bold=True),
    "live": Style(color="cyan"),
    "quiet": Style(),
    "rule": Style(color="bright_black"),
    "key": Style(color="cyan", bold=True),
    "mark": Style(color="cyan", bold=True),
    "alarm": Style(color="bright_white", bgcolor="red", bold=True),
}
BOLD = ("warn", "bad", "title", "strong", "key", "mark")
NO_COLOUR = {name: Style(bold=True) if name in BOLD else Style() for name in STYLES} | {
    "alarm": Style(reverse=True, bold=True),
    "chosen": STYLES["chosen"],
}
CURSOR = Style(bgcolor="#303030")
UNDER_CURSOR = "under cursor"
MARKED, MARKED_OF_SIXTEEN, MARKED_NO_COLOUR = (
    Style(bgcolor="#005f87"),
    Style(bgcolor="blue"),
    Style(underline=True),
)


class Lines(Widget):
    """Shows lines. `ascii` replaces symbols and bars by ASCII."""

    can_focus = False

    def __init__(self, *, ascii: bool = False, id: str | None = None) -> None:  # noqa: A002 - as the option
        super().__init__(id=id)
        self._ascii = ascii
        self.lines: tuple[Line, ...] = ()
        self._failed: object = None

    def show(self, lines: Sequence[Line]) -> None:
        """Replaces the lines; cells that stay the same are not painted again."""
        before, self.lines = self.lines, tuple(lines)
        if self.size.width == 0:
            return
        changed = [
            Region(x, y, cells, 1)
            for y in range(max(len(before), len(self.lines)))
            for x, cells in _changes(_at(before, y), _at(self.lines, y), self.size.width)
            if y < self.size.height
        ]
        if changed:
            self.refresh(*changed)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The number of lines."""
        return len(self.lines)

    def render_line(self, y: int) -> Strip:
        """One line, padded to the whole width; one that cannot be drawn is empty, with the cause in the log."""
        try:
            return self._strip(y)
        except Exception as error:
            if self._failed != (failed := (type(error), str(_at(self.lines, y))[:MAX_LOGGED])):
                self._failed = failed
                log.exception("a line cannot be drawn: %s", failed[1])
            return Strip.blank(self.size.width)

    def _strip(self, y: int) -> Strip:
        pieces = fill(_at(self.lines, y), self.size.width)
        base = self.visual_style.rich_style
        segments = [Segment(self._characters(text), base + self._style(style)) for text, style in pieces if text]
        return Strip(Segment.simplify(segments), self.size.width)

    @property
    def text(self) -> str:
        """The lines without their styles."""
        return "\n".join("".join(self._characters(piece.text) for piece in each).rstrip() for each in self.lines)

    def _characters(self, text: str) -> str:
        return symbols.to_ascii(text) if self._ascii else text

    def _style(self, name: str) -> Style:
        under_cursor, marked = name.endswith(UNDER_CURSOR), name.endswith(symbols.MARKED)
        base = name.removesuffix(UNDER_CURSOR).removesuffix(symbols.MARKED).strip()
        few_colours = self.app.native_ansi_color
        no_colour = self.app.no_color
        styles = NO_COLOUR if no_colour else SIXTEEN if few_colours else STYLES
        style = styles[base] if base else Style()
        if marked:
            style += MARKED_NO_COLOUR if no_colour else MARKED_OF_SIXTEEN if few_colours else MARKED
        return style if few_colours or not under_cursor else style + CURSOR


def _at(lines: Sequence[Line], y: int) -> Line:
    return lines[y] if y < len(lines) else ()


def _changes(before: Line, after: Line, cells: int) -> Iterator[tuple[int, int]]:
    """The ranges `(x, cells)` in which two lines differ."""
    if before == after:
        return
    old, new = fill(before, cells), fill(after, cells)
    widths = [width((piece,)) for piece in new]
    if [width((piece,)) for piece in old] == widths:
        x = 0
        for a, b, piece_width in zip(old, new, widths, strict=True):
            if a != b:
                yield x, piece_width
            x += piece_width
        return
    start = _common_cells(old, new)
    end = _common_cells(old[::-1], new[::-1])
    if start + end < cells:
        yield start, cells - start - end


def _common_cells(old: Sequence[Piece], new: Sequence[Piece]) -> int:
    """The width of the pieces that two lines have in common at their start."""
    common = 0
    for a, b in zip(old, new, strict=False):
        if a != b:
            break
        common += width((a,))
    return common
