"""The filter of a page: one line of text that is typed on the page itself. No Textual in it."""

from __future__ import annotations

from screens.widgets.lines import EMPTY, Line, Piece, line, tail, text
from screens.widgets.text_field import TextField

LENGTH = 200


class FilterField(TextField):
    """A text that filters rows, and the `key` that opens it. While it `is_open`, what is typed goes into it."""

    def __init__(self) -> None:
        super().__init__(LENGTH)
        self.is_open = False
        self.key = "/"

    def erase_word(self) -> None:
        """Erases the last word."""
        self.value = " ".join(self.value.split()[:-1])
        if self.value:
            self.value += " "

    def clear(self) -> None:
        """Removes the text, and closes the field."""
        self.value, self.is_open = "", False

    def keep(self) -> None:
        """Closes the field and keeps its text."""
        self.value, self.is_open = self.value.strip(), False

    def line(self, cells: int, hint: str = "filter") -> Line:
        """The filter in at most `cells`: its key with a hint while it is closed and empty, otherwise its text, with a
        cursor while it is open.
        """
        if cells < len(self.key) + 2:
            return EMPTY
        if not self.value and not self.is_open:
            return line(Piece(self.key, "key"), Piece(f" {hint}"[: cells - len(self.key)], "quiet"))
        cursor = "_" if self.is_open else ""
        room = cells - len(self.key) - 1 - len(cursor)
        shown = Piece(tail(text(self.value, limit=LENGTH * 6).text, room), "strong")
        pieces = [Piece(self.key, "key"), Piece(" "), shown, Piece(cursor, "quiet")]
        if not self.value:
            pieces += [Piece(f" {hint}"[: max(0, room - 1)], "quiet")]
        return tuple(pieces)
