"""The widget that draws lines, and repaints only the cells that changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from screens.textual_private import free_when_closed
from screens.widgets import symbols
from screens.widgets.lines import Line, Piece, fill, width

log = logging.getLogger(__name__)

MAX_LOGGED = 200
"""Characters of a line that cannot be drawn."""

STYLES = (
    "ok",
    "warn",
    "bad",
    "live",
    "quiet",
    "rule",
    "title",
    "strong",
    "key",
    "mark",
    "alarm",
    "chosen",
)
"""What a piece may be drawn in; styles.tcss gives each its colours, as `.lines--ok`."""
CURSOR, UNDER_CURSOR = "cursor", "under cursor"
COMPONENTS = frozenset(f"lines--{name}" for name in (*STYLES, CURSOR, symbols.MARKED))
"""The component classes of a screen with lines."""
ASCII = "-ascii"
"""The class of a screen that draws symbols, bars and borders in ASCII."""


class Lines(Widget):
    """Shows lines on a screen whose component classes are `COMPONENTS`."""

    can_focus = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - as in Textual
        super().__init__(id=id, classes=classes)
        free_when_closed(self)
        self.lines: tuple[Line, ...] = ()
        self._styles: dict[str, Style] = {}
        self._failed: object = None

    def show(self, lines: Sequence[Line]) -> None:
        """Replaces the lines; cells that stay the same are not painted again."""
        before, self.lines = self.lines, tuple(lines)
        if self.size.width == 0:
            return
        changed = [
            Region(x, y, cells, 1)
            for y in range(max(len(before), len(self.lines)))
            for x, cells in changes(_at(before, y), _at(self.lines, y), self.size.width)
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
        return self.strip(fill(_at(self.lines, y), self.size.width))

    def strip(self, pieces: Line) -> Strip:
        """Pieces in the colours of the theme."""
        segments = [Segment(self._characters(text), self._style(style)) for text, style in pieces if text]
        return Strip(Segment.simplify(segments), width(pieces))

    @property
    def text(self) -> str:
        """The lines without their styles."""
        return "\n".join("".join(self._characters(piece.text) for piece in each).rstrip() for each in self.lines)

    def notify_style_update(self) -> None:
        """Forgets the colours of before."""
        self._styles.clear()
        super().notify_style_update()

    def restyle(self) -> None:
        """Draws itself in the colours of another theme."""
        self._styles.clear()
        self.refresh()

    def _characters(self, text: str) -> str:
        return symbols.to_ascii(text) if self.screen.has_class(ASCII) else text

    def _style(self, name: str) -> Style:
        if (style := self._styles.get(name)) is None:
            under_cursor, marked = name.endswith(UNDER_CURSOR), name.endswith(symbols.MARKED)
            base = name.removesuffix(UNDER_CURSOR).removesuffix(symbols.MARKED).strip()
            parts = [base, symbols.MARKED if marked else "", CURSOR if under_cursor else ""]
            style = self.visual_style.rich_style
            for part in filter(None, parts):
                style += self._component(part)
            self._styles[name] = style
        return style

    def _component(self, name: str) -> Style:
        """The colours and text style of a component class; translucent colours are blended with the screen's."""
        styles = self.screen.get_component_styles(f"lines--{name}")
        if self.app.no_color:
            return styles.text_style
        blended = styles.rich_style
        colour = blended.color if styles.has_rule("color") else None
        background = blended.bgcolor if styles.has_rule("background") and styles.background.a else None
        return Style(color=colour, bgcolor=background) + styles.text_style


def _at(lines: Sequence[Line], y: int) -> Line:
    return lines[y] if y < len(lines) else ()


def changes(before: Line, after: Line, cells: int) -> Iterator[tuple[int, int]]:
    """The ranges `(x, cells)` in which two lines differ."""
    if before == after:
        return
    old, new = fill(before, cells), fill(after, cells)
    widths = [width((piece,)) for piece in new]
    if [width((piece,)) for piece in old] == widths:
        x = 0
        for a, b, piece_width in zip(old, new, widths, strict=True):
            if a != b:
                first, last = _changed_characters(a, b)
                yield x + first, piece_width - first - last
            x += piece_width
        return
    start = _common_cells(old, new)
    end = _common_cells(old[::-1], new[::-1])
    if start + end < cells:
        yield start, cells - start - end


def _changed_characters(old: Piece, new: Piece) -> tuple[int, int]:
    """How many cells two pieces of the same width have in common at their start and at their end."""
    (a, style), (b, other) = old, new
    cells = width((new,))
    if style != other or not len(a) == len(b) == cells:  # with wide characters, a cell is not a character
        return 0, 0
    differ = [i for i in range(cells) if a[i] != b[i]]
    return differ[0], cells - 1 - differ[-1]


def _common_cells(old: Sequence[Piece], new: Sequence[Piece]) -> int:
    """The width of the pieces that two lines have in common at their start."""
    common = 0
    for a, b in zip(old, new, strict=False):
        if a != b:
            break
        common += width((a,))
    return common
