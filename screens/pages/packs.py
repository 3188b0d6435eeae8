"""The screen of what packs show of themselves, whatever that is."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType

from opsconsole.core.errors import OpsconsoleError
from opsconsole.service.snapshot import PanelView
from screens.pages.page import Page
from screens.panels import packs
from screens.panels.view import View
from screens.threads import run_in_thread
from screens.widgets.lines import Line, Piece, line, tell

REFRESH_SECONDS = 5.0
"""Panels ask the data database: not more often than somebody can read them."""
FAR = 1_000_000


class PacksScreen(Page):
    """Asks for all panels again and again while it is in front."""

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
        Binding("escape", "back", "back"),
        Binding("up,k", "scroll(-1)", "line above"),
        Binding("down,j", "scroll(1)", "line below"),
        Binding("pageup", "scroll_page(-1)", "page above"),
        Binding("pagedown,space", "scroll_page(1)", "page below"),
        Binding("home", f"scroll({-FAR})", "first line"),
        Binding("end", f"scroll({FAR})", "last line"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._panels: tuple[PanelView, ...] | None = None
        self._read_at: datetime | None = None
        self._problem = ""
        self._asking = False
        self._first = 0

    def called(self) -> str:
        """What packs show."""
        return "packs"

    def body(self, view: View, cells: int, rows: int) -> list[Line]:
        """The panels, or why there are none."""
        trouble = [line(" ", tell(self._problem, "bad"))] if self._problem else []
        if self._panels is None or self._read_at is None:
            return trouble or [line(" ", Piece("Packs", "title"), Piece(f"  {packs.BEING_READ}", "quiet"))]
        room = rows - len(trouble)
        self._first = max(0, min(self._first, len(packs.of_panels(self._panels, cells)) - (room - 1)))
        shown = packs.body(self._panels, cells, room, first=self._first, read_at=self._read_at, now=view.now)
        return [*trouble, *shown]

    def on_mount(self) -> None:
        """Reads again and again, beginning when it comes to the front."""
        super().on_mount()
        self.set_interval(REFRESH_SECONDS, self._ask)

    def on_screen_resume(self) -> None:
        """Nobody has asked while another screen was in front."""
        super().on_screen_resume()
        self._ask()

    def action_back(self) -> None:
        """To the screen before."""
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """So many lines down; it stops at both ends."""
        self._first = max(0, self._first + lines)
        self.repaint()

    def action_scroll_page(self, pages: int) -> None:
        """A page up or down."""
        self.action_scroll(pages * max(1, self.size.height - 6))

    def _ask(self) -> None:
        if self.is_active and not self._asking:
            self._asking = True
            run_in_thread(self, self.console_app.service.queries.panels, self._told)

    def _told(self, found: tuple[PanelView, ...] | OpsconsoleError) -> None:
        self._asking = False
        if isinstance(found, OpsconsoleError):
            self._problem = found.sentence
        else:
            self._panels, self._read_at, self._problem = found, self.console_app.now(), ""
        self.repaint()
