"""The wall display: no cursor, no keys needed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from screens.keymap import bind
from screens.pages.page import Page
from screens.panels import wall
from screens.panels.view import View
from screens.widgets.lines import Line


class WallScreen(Page):
    """Shows the worst first, and nothing to choose."""

    FOOTER = (("esc", "back"), ("q", "quit"))
    BINDINGS: ClassVar[list[BindingType]] = [bind("back", "back", "back")]

    def presence_name(self) -> str:
        return "wall"

    def content(self, view: View, cells: int, rows: int) -> list[Line]:
        """The large letters and the tiles."""
        return wall.content(view, cells, rows)

    def action_back(self) -> None:
        """Closes the display."""
        self.dismiss(None)
