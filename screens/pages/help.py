"""The keys of the screen that one comes from, and what its signs mean."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from opsconsole.authoring.batch import BatchState
from screens.pages.page import Page
from screens.panels.view import View
from screens.widgets import symbols as look
from screens.widgets.lines import EMPTY, Line, Piece, fill, left, line, rule

_KEYS = {
    "question_mark": "?",
    "escape": "esc",
    "ctrl+p": "^p",
    "ctrl+c": "^c",
    "ctrl+q": "^q",
    "shift+tab": "shift tab",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "equals_sign": "=",
    "plus": "+",
}


_OF_THE_FRAMEWORK = ("screen.copy", "app.focus")


class HelpScreen(Page):
    """Reads the bindings of `page` as they are in force now."""

    FOOTER = (("esc", "back"), ("q", "quit"))

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark", "back", "back"),
    ]

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._keys_of_page = keys_of(page)
        self._signs_of_page = page.signs()

    def called(self) -> str:
        """The keys and signs."""
        return "help"

    def body(self, view: View, cells: int, rows: int) -> list[Line]:
        """Keys in two columns, then signs in two."""
        keys = [line(left(f"  {key}", 15, "key"), " ", word) for key, word in self._keys_of_page]
        if self._signs_of_page:
            signs = [_sign(seen, of) for of, seen in self._signs_of_page]
            each = -(-len(signs) // 3)
            columns = [signs[start : start + each] for start in range(0, len(signs), each)]
            return [rule("Keys", cells), *_two(keys, cells), rule("Signs", cells), *_columns(columns, cells)]
        runs = [_sign(seen, "run") for seen in look.RUN.values()]
        runs += [_sign(look.NEVER, "job:"), _sign(look.PAUSED, "job")]
        batches = [_sign(look.BATCH_PART, "batch")]
        batches += [_sign(seen, "batch") for state, seen in look.BATCH.items() if state is not BatchState.REPLACED]
        bars = line("  ", Piece("▁▃█", "ok"), "  the last runs, higher took longer; a sign: did not succeed")
        return [
            rule("Keys", cells),
            *_two(keys, cells),
            rule("Signs", cells),
            *_columns([runs[:5], runs[5:], batches], cells),
            bars,
        ]

    def action_back(self) -> None:
        """To the screen before."""
        self.dismiss(None)

    def action_help(self) -> None:
        """It is open already."""
        self.dismiss(None)


def keys_of(page: Page) -> list[tuple[str, str]]:
    """The keys in force on a page, those with one meaning together."""
    words: dict[str, list[str]] = {}
    for key, active in page.active_bindings.items():
        binding = active.binding
        if binding.description and not binding.action.startswith(_OF_THE_FRAMEWORK):
            words.setdefault(binding.description, []).append(_KEYS.get(key, key))
    return [(" ".join(keys), word) for word, keys in words.items()]


def _sign(seen: look.Symbol, of: str) -> Line:
    return line("  ", Piece(seen.symbol, seen.style), f"  {of} {seen.word}")


def _two(lines: list[Line], cells: int) -> list[Line]:
    half = -(-len(lines) // 2)
    return _columns([lines[:half], lines[half:]], cells)


def _columns(columns: list[list[Line]], cells: int) -> list[Line]:
    each = cells // len(columns)
    height = max(len(column) for column in columns)
    filled = [[*column, *[EMPTY] * (height - len(column))] for column in columns]
    return [tuple(piece for part in row for piece in fill(part, each)) for row in zip(*filled, strict=True)]
