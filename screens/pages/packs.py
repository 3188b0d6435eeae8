"""The page with the panels of the packs."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.service.snapshot import PanelView
from screens.exports import Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.polling import PollingPage
from screens.panels import packs, tables
from screens.panels.view import View
from screens.widgets.lines import Drawing, Piece, line
from screens.widgets.panel import Panel

END = 1_000_000


class PacksScreen(PollingPage[tuple[PanelView, ...]]):
    """Scrolls through the panels of all packs. Panels query the data database, so they are polled slowly."""

    FOOTER = (
        ("↑↓", "scroll"),
        ("c", "clear"),
        ("1", "dashboard"),
        ("esc", "back"),
        ("?", "help"),
        ("^p", "find"),
        ("q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "back", "back"),
        bind("up", "scroll(-1)", "line above"),
        bind("down", "scroll(1)", "line below"),
        bind("page_up", "scroll_page(-1)", "page above"),
        bind("page_down", "scroll_page(1)", "page below"),
        bind("first", f"scroll({-END})", "first line"),
        bind("last", f"scroll({END})", "last line"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._panels: tuple[PanelView, ...] | None = None
        self._first = 0

    def wheel_action(self, step: int) -> str:
        return f"scroll({step})"

    def presence_name(self) -> str:
        return "packs"

    def panels(self) -> ComposeResult:
        """One that scrolls through the panels of all packs."""
        yield Panel(self._draw, id="packs", focusable=False)

    def _draw(self, view: View, cells: int, rows: int) -> Drawing:
        """The lines from the first visible one on."""
        errors = self.error_lines()
        if self._panels is None or self.loaded_at is None:
            return Drawing(errors or [line("   ", Piece("loading", "quiet"))], line(Piece("Packs", "title")))
        whole, room = packs.all_lines(self._panels, cells), rows - len(errors)
        self._first = max(0, min(self._first, len(whole) - room))
        end = packs.end(first=self._first, rows=room, total=len(whole), loaded_at=self.loaded_at, now=view.now)
        return Drawing([*errors, *whole[self._first : self._first + room]], packs.title(self._panels), end)

    def load(self) -> tuple[PanelView, ...]:
        """All panels."""
        return self.host.service.queries.panels()

    def loaded(self, data: tuple[PanelView, ...]) -> None:
        self._panels = data

    def table(self) -> Table | None:
        """The facts and rows of all panels."""
        return None if self._panels is None else tables.panels(self._panels)

    def action_scroll(self, lines: int) -> None:
        """Scrolls by lines; stops at both ends."""
        self._first = max(0, self._first + lines)
        self.repaint()

    def action_scroll_page(self, pages: int) -> None:
        """Scrolls by pages."""
        self.action_scroll(pages * max(1, self.size.height - 6))
