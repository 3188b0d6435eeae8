"""What all pages share: one widget with lines, a notice and a footer with keys."""

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from opsconsole.service.snapshot import Snapshot
from screens.host import Host
from screens.panels import questions
from screens.panels.top_line import top_line, verdict
from screens.panels.view import Key, View
from screens.widgets.contained import OWN_EVENTS, ContainedDrawing, contained, name_of
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, fill, line, text, width
from screens.widgets.paint import Lines
from screens.widgets.symbols import Symbol

LEAST_WIDTH, LEAST_HEIGHT = 80, 24
FOOTER_KEYS = 9


class Page(Screen[None]):
    """A screen with the top line, the verdict, its own content, a notice and its keys."""

    AUTO_FOCUS = ""
    FOOTER: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host
        self.notice: Piece = Piece("")
        self.cursor: Key | None = None
        self._drawn = ContainedDrawing(f"the page {type(self).__name__}")

    def compose(self) -> ComposeResult:
        """One widget for the whole page."""
        yield Lines(ascii=self.host.ascii)

    def content(self, view: View, cells: int, rows: int) -> list[Line]:
        """The lines between the verdict and the notice."""
        raise NotImplementedError

    def presence_name(self) -> str:
        """How other operators see where this one is."""
        raise NotImplementedError

    def footer(self) -> tuple[tuple[str, str], ...]:
        """Keys for the last line, with a word each."""
        return self.FOOTER

    def legend(self) -> tuple[tuple[str, Symbol], ...]:
        """Its own symbols for the help, each with what it is about; empty where it shows those of runs and batches."""
        return ()

    def view(self) -> View:
        """The values that the lines are drawn from."""
        host = self.host
        return View(host.snapshot, host.now(), self.cursor, host.service.read_only)

    def show(self, snapshot: Snapshot) -> None:
        """Called when a new Snapshot has arrived."""
        self.repaint()

    def show_notice(self, message: str, style: str = "") -> None:
        """Replaces the notice."""
        self.notice = text(message, style)
        self.repaint()

    def repaint(self) -> None:
        """Draws the page again; the widget sends only what has changed."""
        if not self.is_current:
            return
        cells, rows = self.size
        if cells > 0 and rows > 0:
            for widget in self.query(Lines):  # none while the page is being composed
                widget.show(self._lines(cells, rows))

    async def on_event(self, event: events.Event) -> None:
        """Handles an event; a handler that raises ends neither the page nor the console."""
        with contained(name_of(event), self.host.show_notice) if isinstance(event, OWN_EVENTS) else nullcontext():
            await super().on_event(event)

    def on_mount(self) -> None:
        """Draws the page."""
        self.repaint()

    def on_resize(self, event: events.Resize) -> None:
        """Draws the page in its new size."""
        self.repaint()

    def on_screen_resume(self) -> None:
        """Shows what changed while another page was in front."""
        self.host.service.set_screen(self.presence_name())
        self.repaint()

    def _lines(self, cells: int, rows: int) -> list[Line]:
        if cells < LEAST_WIDTH or rows < LEAST_HEIGHT:
            message = f"needs {LEAST_WIDTH}x{LEAST_HEIGHT}, this terminal has {cells}x{rows}: make it larger"
            return [crop(line(message), cells)]
        drawn = self._drawn
        head = [*drawn(lambda: [top_line(self.view(), cells)]), *drawn(lambda: [verdict(self.view(), cells)])]
        content = drawn(lambda: self.content(self.view(), cells, rows - 4)[: rows - 4])
        content += [EMPTY] * (rows - 4 - len(content))
        foot = [*drawn(lambda: [self._notice_line(cells)]), *drawn(lambda: [self._footer(cells)])]
        return [*head, *content, *foot]

    def _notice_line(self, cells: int) -> Line:
        """The notice, and at the end of its line what quitting waits for."""
        notice = line(" ", self.notice)
        awaited = self.host.awaited_runs
        if not awaited:
            return notice
        long, short = (line("  ", text(status, "warn"), " ") for status in questions.quit_status(awaited))
        return ends(notice, long if width(notice) + width(long) <= cells else short, cells)

    def _footer(self, cells: int) -> Line:
        pieces: list[Piece] = []
        for key, word in self.footer()[:FOOTER_KEYS]:
            pieces += [Piece(" "), Piece(key, "key"), Piece(f" {word} ", "quiet")]
        return fill(tuple(pieces), cells)
