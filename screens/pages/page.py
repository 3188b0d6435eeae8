"""What every screen has in common: one widget full of lines, a notice, a line of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from opsconsole.service.snapshot import Snapshot
from screens.panels import questions
from screens.panels.top_line import top_line, verdict
from screens.panels.view import Key, View
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, fill, line, tell, width
from screens.widgets.paint import Lines
from screens.widgets.symbols import Symbol

if TYPE_CHECKING:
    from screens.app import ConsoleApp

LEAST_WIDTH, LEAST_HEIGHT = 80, 24
FOOTER_KEYS = 9


class Page(Screen[None]):
    """A screen with the top line, the verdict, its own `body`, a notice and its keys."""

    AUTO_FOCUS = ""
    FOOTER: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.notice: Piece = Piece("")
        self.cursor: Key | None = None

    @property
    def console_app(self) -> ConsoleApp:
        """The application, by its own type."""
        return cast("ConsoleApp", self.app)

    def compose(self) -> ComposeResult:
        """One widget for all of it."""
        yield Lines(ascii=self.console_app.ascii)

    def body(self, view: View, cells: int, rows: int) -> list[Line]:
        """The lines between the verdict and the notice."""
        raise NotImplementedError

    def called(self) -> str:
        """What the screen is called where others see who looks at what."""
        raise NotImplementedError

    def footer(self) -> tuple[tuple[str, str], ...]:
        """The keys that are named in the last line, with a word each."""
        return self.FOOTER

    def signs(self) -> tuple[tuple[str, Symbol], ...]:
        """Its own signs and what each is of; none where it shows those of runs and batches."""
        return ()

    def show(self, snapshot: Snapshot) -> None:
        """A new Snapshot has arrived."""
        self.repaint()

    def say(self, text: str, style: str = "") -> None:
        """Puts a sentence into the notice line, instead of the one before."""
        self.notice = tell(text, style)
        self.repaint()

    def repaint(self) -> None:
        """Draws everything anew; the widget paints what has changed."""
        if not self.is_current:
            return
        cells, rows = self.size
        if cells > 0 and rows > 0:
            for widget in self.query(Lines):  # none yet while the page is being made
                widget.show(self._lines(cells, rows))

    def on_mount(self) -> None:
        """The first picture."""
        self.repaint()

    def on_resize(self, event: events.Resize) -> None:
        """Everything flows anew."""
        self.repaint()

    def on_screen_resume(self) -> None:
        """What changed while another page was in front."""
        self.console_app.service.set_screen(self.called())
        self.repaint()

    def _lines(self, cells: int, rows: int) -> list[Line]:
        if cells < LEAST_WIDTH or rows < LEAST_HEIGHT:
            needs = f"needs {LEAST_WIDTH}x{LEAST_HEIGHT}, this terminal has {cells}x{rows}: make it larger"
            return [crop(line(needs), cells)]
        view = self.view()
        body = self.body(view, cells, rows - 4)[: rows - 4]
        body += [EMPTY] * (rows - 4 - len(body))
        return [top_line(view, cells), verdict(view, cells), *body, self._notice(cells), self._keys(cells)]

    def view(self) -> View:
        """What the rows are drawn from."""
        app = self.console_app
        return View(app.snapshot, app.now(), self.cursor, app.service.read_only)

    def _notice(self, cells: int) -> Line:
        """The newest notice, and at the end of its line what quitting waits for."""
        said = line(" ", self.notice)
        awaited = self.console_app.leaving.awaited
        if not awaited:
            return said
        long, short = (line("  ", tell(told, "warn"), " ") for told in questions.awaited(awaited))
        return ends(said, long if width(said) + width(long) <= cells else short, cells)

    def _keys(self, cells: int) -> Line:
        pieces: list[Piece] = []
        for key, word in self.footer()[:FOOTER_KEYS]:
            pieces += [Piece(" "), Piece(key, "key"), Piece(f" {word} ", "quiet")]
        return fill(tuple(pieces), cells)
