"""A page with a text to hand on: shown, kept in a file, and copied with `y`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import BindingType

from opsconsole.core.errors import OpsconsoleError
from screens.command_lines import CommandLine
from screens.copying import shown
from screens.exports import Copied, file_name
from screens.files import write_private
from screens.host import Host
from screens.keymap import bind
from screens.pages.page import Page
from screens.panels import document
from screens.panels.view import View
from screens.threads import run_in_thread
from screens.widgets.lines import Line, Piece, line, text

FOLDER = "write-ups"


class DocumentScreen(Page):
    """Writes a Markdown text in a thread, keeps it in a file, and shows it."""

    FOOTER = (("↑↓", "scroll"), ("y", "copy"), ("=", "command"), ("esc", "back"), ("?", "help"), ("q", "quit"))
    WHEEL_ACTION = "scroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "back", "back"),
        bind("up", "scroll(-1)", "line above"),
        bind("down", "scroll(1)", "line below"),
        bind("page_up", "scroll_page(-1)", "page above"),
        bind("page_down", "scroll_page(1)", "page below"),
    ]

    def __init__(self, host: Host, title: str, write: Callable[[], str], command: CommandLine) -> None:
        super().__init__(host)
        self._title, self._write, self._command = title, write, command
        self._text: str | None = None
        self._error = ""
        self._first = self._last = 0

    def wheel_action(self, step: int) -> str:
        return f"scroll({step})"

    def presence_name(self) -> str:
        """Which text it is."""
        return self._title

    def content(self, view: View, cells: int, rows: int) -> list[Line]:
        """The text from the first visible line on."""
        head = line(" ", text(self._title.capitalize(), "title"))
        if self._error:
            return [head, line(" ", text(self._error, "bad", 300))]
        if self._text is None:
            return [head, line("   ", Piece("writing", "live"))]
        lines = document.lines(self._text, cells)
        self._last = max(0, len(lines) - rows)
        self._first = min(self._first, self._last)
        return lines[self._first : self._first + rows]

    def on_mount(self) -> None:
        """Writes the text."""
        folder, at = self.host.installation.data, self.host.now()

        def write() -> Path | None:
            self._text = self._write()
            return (
                None
                if folder is None
                else write_private(folder / FOLDER / file_name(self._title, at, "md"), self._text)
            )

        run_in_thread(self, write, self._written)

    def copied(self) -> Copied | None:
        """The whole text."""
        return Copied(self._text, f"the {self._title}", is_text=True) if self._text is not None else None

    def command_lines(self) -> Sequence[CommandLine]:
        """The command that prints it."""
        return (self._command,)

    def action_scroll(self, lines: int) -> None:
        """Scrolls; stops at both ends."""
        self._first = max(0, min(self._last, self._first + lines))
        self.repaint()

    def action_scroll_page(self, pages: int) -> None:
        """Scrolls by pages."""
        self.action_scroll(pages * max(1, self.size.height - 6))

    def action_back(self) -> None:
        """Closes the page."""
        self.dismiss(None)

    def _written(self, result: Path | OpsconsoleError | None) -> None:
        if isinstance(result, OpsconsoleError):
            if self._text is None:
                self._error = result.sentence
            self.show_notice(result.sentence, "bad")
        elif result is not None:
            self.show_notice(f"written to {shown(result)}; y copies it", "ok")
        self.repaint()
