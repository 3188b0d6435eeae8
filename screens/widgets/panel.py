"""A part of a page: lines in a border with a title; styles.tcss places it and gives it its border."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar, cast

from textual import events
from textual.geometry import Region, Size
from textual.strip import Strip

from screens.widgets.lines import EMPTY, Drawing, Line, Piece, Row, crop, key_at, width
from screens.widgets.paint import Lines, changes

View = TypeVar("View")
"""What panels are drawn from."""

PLAIN = "-plain"
"""The class of a panel without a border."""
LEFT_BUTTON = 1
"""The only button of the mouse that presses and selects: terminals paste and open menus with the others."""


class PanelOwner(Protocol[View]):
    """The page of a panel."""

    def paint(self, panel: Panel[View], /) -> None:
        """Draws one panel, and contains what that raises."""

    def clicked(self, row: Row, /) -> None:
        """Called when the mouse has selected a row."""

    def pressed(self, key: str, /) -> None:
        """Called when the mouse was pressed on a key, as it is drawn."""

    def scrolled(self, step: int, /) -> None:
        """Called when the wheel was turned by one row."""


class Panel(Lines, Generic[View]):
    """Shows what `draw(view, cells, rows)` returns for the inside of its border, and only the cells that changed.

    Not focusable: for a panel without rows to choose. `row_at(x, y, cells)` returns what the mouse selects where a line
    has several things to choose.
    """

    ALLOW_MAXIMIZE = True
    _keeps_its_cells = False

    def __init__(
        self,
        draw: Callable[[View, int, int], Drawing],
        *,
        id: str,  # noqa: A002 - as in Textual
        classes: str | None = None,
        focusable: bool = True,
        row_at: Callable[[int, int, int], Row | None] | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.draw = draw
        self._row_at = row_at
        self.can_focus = focusable
        self._needed: int | None = None
        self._top = Drawing(())
        self._rows: tuple[Row | None, ...] = ()

    @property
    def rows(self) -> list[Row]:
        """The rows that are shown."""
        return [row for row in dict.fromkeys(self._rows) if row is not None]

    @property
    def drawing(self) -> Drawing:
        """What is shown."""
        return self._top

    def show_drawing(self, drawing: Drawing) -> None:
        """Replaces what is shown; cells that stay the same are not painted again."""
        self.show(drawing.lines)
        self._rows = tuple(drawing.rows)
        before, self._top = self._top, drawing
        if not self.styles.border_top[0] or (before.title, before.end) == (drawing.title, drawing.end):
            return
        cells = self.outer_size.width - 2 * self._inset
        old, new = border(before, cells), border(drawing, cells)
        x, y = self._inset - self.content_offset.x, -self.content_offset.y
        changed = [Region(x + start, y, length, 1) for start, length in changes(old, new, cells)] if cells > 0 else []
        if changed:
            self.refresh(*changed)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The rows that it needs, where styles.tcss gives it the height `auto`."""
        return self._needed if self._needed is not None else super().get_content_height(container, viewport, width)

    def need(self, rows: int) -> None:
        """Sets the number of rows that it needs. Changes the layout: not for what changes often."""
        if rows != self._needed:
            self._needed = rows
            self.refresh(layout=True)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines, with the title and the end in the border."""
        strips = super().render_lines(crop)
        if crop.y == 0 and strips and self.styles.border_top[0]:
            strips[0] = self._border_with_title().crop(crop.x, crop.right)
        return strips

    def on_resize(self, event: events.Resize) -> None:
        """Draws the panel in its new size."""
        self._owner.paint(self)

    def on_show(self) -> None:
        """Draws what changed while it was hidden."""
        self._owner.paint(self)

    async def on_event(self, event: events.Event) -> None:
        """Handles an event. Textual repaints a widget that gains or loses the focus: here only the title changes."""
        self._keeps_its_cells = isinstance(event, (events.Focus, events.Blur))
        try:
            await super().on_event(event)
        finally:
            self._keeps_its_cells = False

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Paints the whole panel, or regions of it."""
        if self._keeps_its_cells and not (regions or layout or recompose):
            return self
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def on_focus(self) -> None:
        """Draws the title of the panel with the cursor in another colour: a frame in one would be sent whole."""
        self._repaint_title()

    def on_blur(self) -> None:
        """Draws the title as before."""
        self._repaint_title()

    def on_click(self, event: events.Click) -> None:
        """Selects the row, or presses the key."""
        if event.button != LEFT_BUTTON:
            return
        x, y = event.x - self.content_offset.x, event.y - self.content_offset.y
        if (row := self._row_under(x, y)) is not None:
            self._owner.clicked(row)
        elif 0 <= y < len(self.lines) and (key := key_at(self.lines[y], x)):
            self._owner.pressed(key)

    def on_mouse_scroll_up(self) -> None:
        """Moves one row up."""
        self._owner.scrolled(-1)

    def on_mouse_scroll_down(self) -> None:
        """Moves one row down."""
        self._owner.scrolled(1)

    def _row_under(self, x: int, y: int) -> Row | None:
        spot = next((each for each in self._top.spots if each.y == y and each.x <= x < each.end), None)
        if spot is not None:
            return spot.row
        if self._row_at is not None:
            return self._row_at(x, y, self.size.width)
        return self._rows[y] if 0 <= y < len(self._rows) else None

    def _repaint_title(self) -> None:
        title, _ = _top_pieces(self._top, self.outer_size.width - 2 * self._inset)
        if title and self.styles.border_top[0]:
            x, y = self._inset - self.content_offset.x, -self.content_offset.y
            self.refresh(Region(x, y, width(title), 1))

    @property
    def _owner(self) -> PanelOwner[View]:
        return cast("PanelOwner[View]", self.screen)

    @property
    def _inset(self) -> int:
        """How far the title is from the corner."""
        return 2 if self.styles.border_left[0] else 1

    def _border_with_title(self) -> Strip:
        cells = self.outer_size.width
        border = super().render_lines(Region(0, 0, cells, 1))[0]
        title, end = (self._filtered(each) for each in _top_pieces(self._top, cells - 2 * self._inset))
        left, right = self._inset + title.cell_length, cells - self._inset - end.cell_length
        parts = [border.crop(0, self._inset), title, border.crop(left, right), end, border.crop(cells - self._inset)]
        return Strip.join(parts)

    def _filtered(self, pieces: Line) -> Strip:
        """Pieces in the colours of the terminal."""
        if self.has_focus:
            pieces = tuple(Piece(text, "key" if style == "title" else style) for text, style in pieces)
        strip = self.strip(pieces)
        for each in self.get_line_filters():
            strip = strip.apply_filter(each, self.background_colors[1])
        return strip


def border(drawing: Drawing, cells: int) -> Line:
    """What is in the border between its corners."""
    title, end = _top_pieces(drawing, cells)
    return (*title, Piece("─" * (cells - width(title) - width(end)), "rule"), *end)


def _top_pieces(drawing: Drawing, cells: int) -> tuple[Line, Line]:
    """The title and the end, each between spaces; the end gives way."""
    title = crop((Piece(" "), *drawing.title, Piece(" ")), max(0, cells)) if drawing.title else EMPTY
    room = cells - width(title) - 1
    end = crop(_closer(drawing.end, room - 2), room - 2) if drawing.end and room > 4 else EMPTY
    return title, (Piece(" "), *end, Piece(" ")) if end else EMPTY


def _closer(pieces: Line, cells: int) -> Line:
    """A line that fits without some of the spaces at its start."""
    surplus = width(pieces) - cells
    if surplus <= 0:
        return pieces
    first, *others = pieces
    spaces = len(first.text) - len(first.text.lstrip(" "))
    return (Piece(first.text[min(surplus, spaces) :], first.style), *others)
