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


class HelpScreen(Page):
    """Lists the bindings that are active on `page`."""

    FOOTER = (("esc", "back"), ("q", "quit"))

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "back", "back"),
        bind("help", "back", "back"),
    ]

    def __init__(self, host: Host, page: Page) -> None:
        super().__init__(host)
        self._page_keys = keys_of(page)
        self._page_legend = page.legend()

    def presence_name(self) -> str:
        """This page."""
        return "help"

    def content(self, view: View, cells: int, rows: int) -> list[Line]:
        """Keys in two columns, then symbols in three."""
        keys = [line(left(f"  {key}", 15, "key"), " ", word) for key, word in self._page_keys]
        half = -(-len(keys) // 2)
        lines = [rule("Keys", cells), *_columns([keys[:half], keys[half:]], cells), rule("Symbols", cells)]
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
