"""What all pages share: panels between a top line and a footer with keys."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import ClassVar, Self

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Region
from textual.widget import Widget

from opsconsole.service.snapshot import Snapshot
from screens.command_lines import CommandLine
from screens.exports import Copied, Table
from screens.host import Host
from screens.keymap import bind, default_keys, key_names, rebound_key
from screens.pages.mouse import MousePage
from screens.panels import questions
from screens.panels.top_line import top_line, verdict
from screens.panels.view import Key, View
from screens.textual_private import paint_lines
from screens.widgets.area import Area
from screens.widgets.contained import OWN_EVENTS, ContainedDrawing, contained, name_of
from screens.widgets.lines import Drawing, Line, Piece, crop, ends, fill, line, text, width
from screens.widgets.paint import ASCII, COMPONENTS
from screens.widgets.panel import PLAIN, Panel
from screens.widgets.symbols import Symbol

LEAST_WIDTH, LEAST_HEIGHT = 60, 20
TOO_SMALL = "-too-small"
WIDTHS = ((0, "-narrow"), (80, "-compact"), (100, "-framed"), (120, "-wide"), (180, "-large"))
HEIGHTS = ((0, "-low"), (30, "-tall"), (50, "-high"))
"""From how many columns and rows on a page has which class."""
FOOTER_KEYS = 9
HELP = "help"
"""The word of the key that shows all keys."""
MAXIMISE = "one panel, or all"
FRESH_SECONDS = 0.9
CHANGES = ("trigger", "cancel", "retry", "pause", "resume", "acknowledge", "silence", "clear", "schedule")
"""The actions that a viewer may not use, which are also the ids of their keys."""
HIDDEN_KEYS = default_keys(CHANGES)


class Page(MousePage):
    """A screen with the top line, the verdict, its panels, a notice and its keys.

    Its class names are the size of the terminal for styles.tcss: one of those for the width and one for the height.
    """

    AUTO_FOCUS = ""
    ALLOW_IN_MAXIMIZED_VIEW = "#head, #foot"
    _keeps_its_cells = False
    BINDINGS: ClassVar[list[BindingType]] = [bind("maximise", "maximise", MAXIMISE)]
    FOOTER: ClassVar[tuple[tuple[str, str], ...]] = ()
    COMPONENT_CLASSES: ClassVar[set[str]] = set(COMPONENTS)

    def __init__(self, host: Host) -> None:
        super().__init__()
        paint_lines(self)
        self.host = host
        self.notice: Piece = Piece("")
        self.cursor: Key | None = None
        self.HORIZONTAL_BREAKPOINTS, self.VERTICAL_BREAKPOINTS = list(WIDTHS), list(HEIGHTS)
        self._drawn_at = float("-inf")
        self._keys_of: tuple[bool, Mapping[str, str]] | None = None
        self._drawn = ContainedDrawing(f"the page {type(self).__name__}")
        self.set_class(host.ascii, ASCII)

    def compose(self) -> ComposeResult:
        """The panels below the top line and above the footer."""
        self._set_size_classes()  # before the styles of the panels are computed
        yield Panel(self._head, id="head", classes=PLAIN, focusable=False)
        yield Panel(self._foot, id="foot", classes=PLAIN, focusable=False)
        with Area(id="panels"):
            yield from self.panels()

    def panels(self) -> ComposeResult:
        """The panels; one without a border that shows `content` unless the page has its own."""
        yield Panel(
            lambda view, cells, rows: Drawing(self.content(view, cells, rows)[:rows]),
            id="content",
            classes=PLAIN,
            focusable=False,
        )

    def content(self, view: View, cells: int, rows: int) -> list[Line]:
        """The lines between the verdict and the notice, of a page that is one panel."""
        raise NotImplementedError

    def presence_name(self) -> str:
        """How other operators see where this one is."""
        raise NotImplementedError

    def footer(self) -> tuple[tuple[str, str], ...]:
        """Keys for the last line, with a word each."""
        return self.FOOTER

    def verdict_keys(self) -> tuple[tuple[str, str], ...]:
        """Keys for the verdict, with a word each: those that act on it here, or lead to where they do."""
        return (("1", "go there"),)

    def legend(self) -> tuple[tuple[str, Symbol], ...]:
        """Its own symbols for the help, each with what it is about; empty where it shows those of runs and batches."""
        return ()

    def refused(self) -> frozenset[str]:
        """The ids of the actions that the row under the cursor does not allow. Footer, help, palette and `=` leave them
        out; their keys show why.
        """
        return frozenset()

    def copied(self) -> Copied | None:
        """What `y` copies: the number, name or text of the row under the cursor."""
        return None

    def table(self) -> Table | None:
        """The rows that `e` exports as CSV and JSON. Called in a thread: it may read more than is shown."""
        return None

    def command_lines(self) -> Sequence[CommandLine]:
        """The command lines that `=` shows first: one for each action on the row under the cursor."""
        return ()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides the actions that a viewer may not use: from keys, help and palette."""
        return not (self.host.service.read_only and action in CHANGES)

    def view(self) -> View:
        """The values that the lines are drawn from."""
        host = self.host
        return View(
            host.snapshot, host.now(), self.cursor, host.service.read_only, host.in_utc, host.step, self._key_names()
        )

    def keyed(self, sentence: str, **values: str) -> str:
        """A sentence with keys by their ids, such as `{back} clears it`, and other values."""
        return sentence.format(**self._key_names(), **values)

    def show(self, snapshot: Snapshot) -> None:
        """Called when a new Snapshot has arrived."""
        self.follow()

    def show_notice(self, message: str, style: str = "") -> None:
        """Replaces the notice, and draws the page."""
        self.set_notice(message, style)
        self.repaint()

    def set_notice(self, message: str, style: str = "") -> None:
        """Replaces the notice that the next drawing shows."""
        self.notice = text(message, style)

    def is_up_to_date(self) -> bool:
        """Whether it was drawn less than a second ago: clocks and countdowns need nothing."""
        return time.monotonic() - self._drawn_at < FRESH_SECONDS

    def follow(self) -> None:
        """Draws what a new Snapshot, or the time, may have changed."""
        self.repaint()

    def repaint(self) -> None:
        """Draws the page again; only cells that have changed are sent to the terminal."""
        if self.is_current:
            self._drawn_at = time.monotonic()
            for panel in self.query(Panel):  # none while the page is being composed
                self.paint(panel)

    def paint(self, panel: Panel[View]) -> None:
        """Draws one panel, if it is visible."""
        cells, rows = panel.size
        if cells > 0 and rows > 0 and self.is_current and panel.is_on_screen:
            panel.show_drawing(self._drawn.drawing(lambda: panel.draw(self.view(), cells, rows)))

    def action_maximise(self) -> None:
        """Gives the whole page to the panel of the cursor, or shows all panels again."""
        panels = [panel for panel in self.query(Panel) if panel.is_on_screen and not panel.has_class(PLAIN)]
        chosen = [panel for panel in panels if panel.has_focus or (self.cursor and panel.id == self.cursor[0])]
        if self.maximized is not None:
            self.minimize()
        elif len(panels) > 1:
            self.maximize((chosen or panels)[0], container=False)
        else:
            self.show_notice("this page has only one panel")

    def move_to(self, row: Key | None) -> None:
        """Moves the cursor, and the focus to its panel."""
        self.cursor = row
        self.focus_cursor()
        self.repaint()

    def set_focus(self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False) -> None:
        """Changes the focus without painting the page again, as Textual would: the panels paint their titles."""
        self._keeps_its_cells = True
        try:
            super().set_focus(widget, scroll_visible, from_app_focus)
        finally:
            self._keeps_its_cells = False

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Paints the whole page, or regions of it."""
        if self._keeps_its_cells and not (regions or layout or recompose):
            return self
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def focus_cursor(self) -> None:
        """Gives the focus to the panel of the cursor."""
        panel = next(iter(self.query(f"#{self.cursor[0]}")), None) if self.cursor is not None else None
        if panel is not None and panel.can_focus and panel is not self.focused:
            self.set_focus(panel, scroll_visible=False)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Moves the cursor to the panel that has received the focus."""
        panel = event.widget
        if isinstance(panel, Panel) and panel.rows and (self.cursor is None or self.cursor[0] != panel.id):
            self.move_to(panel.rows[0])

    async def on_event(self, event: events.Event) -> None:
        """Handles an event; a handler that raises ends neither the page nor the console."""
        with contained(name_of(event), self.host.show_notice) if isinstance(event, OWN_EVENTS) else nullcontext():
            await super().on_event(event)

    def on_mount(self) -> None:
        """Draws the page."""
        self.repaint()

    def on_resize(self, event: events.Resize) -> None:
        """Follows the size of the terminal; the panels draw themselves."""
        was_too_small = self.has_class(TOO_SMALL)
        self._set_size_classes()
        if was_too_small != self.has_class(TOO_SMALL):
            self.repaint()

    def on_screen_resume(self) -> None:
        """Shows what changed while another page was in front."""
        self._set_size_classes()
        self.host.service.set_screen(self.presence_name())
        self.repaint()

    def _set_size_classes(self) -> None:
        """Sets the classes of the size; Textual does so only when the terminal is resized."""
        columns, rows = self.app.size
        self.set_class(columns < LEAST_WIDTH or rows < LEAST_HEIGHT, TOO_SMALL)
        for size, breakpoints in ((columns, WIDTHS), (rows, HEIGHTS)):
            current = max((least, name) for least, name in breakpoints if size >= least)[1]
            for _, name in breakpoints:
                self.set_class(name == current, name)

    def _head(self, view: View, cells: int, rows: int) -> Drawing:
        if self.has_class(TOO_SMALL):
            columns, height = self.app.size
            message = f"needs {LEAST_WIDTH}x{LEAST_HEIGHT}, this terminal has {columns}x{height}: make it larger"
            return Drawing([crop(line(message), cells)])
        drawn, keys = self._drawn, self._usable(self.verdict_keys())
        return Drawing([*drawn(lambda: [top_line(view, cells)]), *drawn(lambda: [verdict(view, cells, keys)])])

    def _foot(self, view: View, cells: int, rows: int) -> Drawing:
        drawn = self._drawn
        return Drawing([*drawn(lambda: [self._notice_line(cells)]), *drawn(lambda: [self._footer(cells)])])

    def _notice_line(self, cells: int) -> Line:
        """The notice, and at the end of its line what quitting waits for."""
        notice = line(" ", self.notice)
        awaited = self.host.awaited_runs
        if not awaited:
            return notice
        long, short = (line("  ", text(status, "warn"), " ") for status in questions.quit_status(awaited))
        return ends(notice, long if width(notice) + width(long) <= cells else short, cells)

    def _usable(self, keys: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The keys as the configuration rebinds them, without those that this operator or this row may not use."""
        rebound, hidden = self.host.installation.keys, default_keys(self.refused())
        hidden |= HIDDEN_KEYS if self.host.service.read_only else frozenset()
        ids = frozenset(active.binding.id or "" for active in self.active_bindings.values()) if rebound else frozenset()
        return [(rebound_key(key, rebound, ids), word) for key, word in keys if key not in hidden]

    def _key_names(self) -> Mapping[str, str]:
        read_only = self.host.service.read_only
        if self._keys_of is None or self._keys_of[0] != read_only:
            self._keys_of = read_only, key_names(self.host.installation.keys, CHANGES if read_only else ())
        return self._keys_of[1]

    def _footer(self, cells: int) -> Line:
        """The keys that fit, and always the one that shows all keys."""
        pieces: list[Piece] = []
        parts = [
            (Piece(" "), Piece(key, "key"), Piece(f" {word} ", "quiet"), word)
            for key, word in self._usable(self.footer())[:FOOTER_KEYS]
        ]
        reserved = sum(width(each) for *each, word in parts if word == HELP)
        for *each, word in parts:
            reserved -= width(each) if word == HELP else 0
            if width((*pieces, *each)) + reserved - 1 <= cells:  # without the last space
                pieces += each
        if width(pieces) > cells:
            pieces[-1] = Piece(pieces[-1].text.rstrip(), pieces[-1].style)
        return fill(tuple(pieces), cells)
