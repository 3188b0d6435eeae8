"""The help: the keys of the page behind it, and its symbols."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from opsconsole.authoring.batch import BatchState
from screens.host import Host
from screens.keymap import bind
from screens.pages.keys import keys_of
from screens.pages.page import Page
from screens.panels.view import View
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Line, Piece, fill, left, line, rule
from screens.widgets.symbols import Symbol

KEY_CELLS, KEY_COLUMN_CELLS = 15, 40


class HelpScreen(Page):
    """Lists the bindings that are active on `page`."""

    FOOTER = (("↑↓", "scroll"), ("esc", "back"), ("q", "quit"))

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "back", "back"),
        bind("help", "back", "back"),
        bind("up", "scroll(-1)", "line above"),
        bind("down", "scroll(1)", "line below"),
        bind("page_up", "scroll_page(-1)", "page above"),
        bind("page_down", "scroll_page(1)", "page below"),
    ]

    def __init__(self, host: Host, page: Page) -> None:
        super().__init__(host)
        self._page_keys = keys_of(page)
        self._page_legend = page.legend()
        self._first = self._last = 0

    def wheel_action(self, step: int) -> str:
        return f"scroll({step})"

    def presence_name(self) -> str:
        return "help"

    def content(self, view: View, cells: int, rows: int) -> list[Line]:
        """Keys and symbols, from the first visible line on."""
        lines = self.lines(cells)
        self._last = max(0, len(lines) - rows)
        self._first = min(self._first, self._last)
        return lines[self._first : self._first + rows]

    def lines(self, cells: int) -> list[Line]:
        """Keys in columns of 40 cells, then symbols in three columns."""
        keys = [line(left(f"  {key}", KEY_CELLS, "key"), " ", word) for key, word in self._page_keys]
        each = -(-len(keys) // max(1, cells // KEY_COLUMN_CELLS))
        columns = [keys[start : start + each] for start in range(0, len(keys), each)]
        lines = [rule("Keys", cells), *_columns(columns, cells), rule("Symbols", cells)]
        if self._page_legend:
            legend = [_symbol(symbol, subject) for subject, symbol in self._page_legend]
            third = -(-len(legend) // 3)
            columns = [legend[start : start + third] for start in range(0, len(legend), third)]
            return [*lines, *_columns(columns, cells)]
        runs = [_symbol(symbol, "run") for symbol in symbols.RUN.values()]
        runs += [_symbol(symbols.NEVER, "job:"), _symbol(symbols.PAUSED, "job")]
        batches = [_symbol(symbols.BATCH_PARTIAL, "batch")]
        batches += [
            _symbol(symbol, "batch") for state, symbol in symbols.BATCH.items() if state is not BatchState.REPLACED
        ]
        bars = line(
            "  ", Piece("▁▃█", "ok"), "  recent runs: bar height is duration; a symbol marks an unsuccessful run"
        )
        return [*lines, *_columns([runs[:5], runs[5:], batches], cells), bars]

    def action_back(self) -> None:
        """Closes the help."""
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Scrolls by lines; stops at both ends."""
        self._first = max(0, min(self._last, self._first + lines))
        self.repaint()

    def action_scroll_page(self, pages: int) -> None:
        """Scrolls by pages."""
        self.action_scroll(pages * max(1, self.size.height - 6))

    def action_help(self) -> None:
        """The same key closes the help."""
        self.dismiss(None)


def _symbol(symbol: Symbol, subject: str) -> Line:
    return line("  ", Piece(symbol.char, symbol.style), f"  {subject} {symbol.word}")


def _columns(columns: list[list[Line]], cells: int) -> list[Line]:
    each = cells // len(columns)
    height = max(len(column) for column in columns)
    padded = [[*column, *[EMPTY] * (height - len(column))] for column in columns]
    return [tuple(piece for part in row for piece in fill(part, each)) for row in zip(*padded, strict=True)]
