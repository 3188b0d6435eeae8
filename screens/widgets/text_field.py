"""A line of text being typed: what it accepts, how long it may be, how it is shown. No Textual in it."""

from __future__ import annotations

from collections.abc import Sequence

from screens.widgets.lines import Piece, tail, text

CELLS = 40
DIGITS_AND_DASH = "0123456789-"


class TextField:
    """Characters are appended and erased at the end. `allowed` are the only characters accepted; None accepts all that
    are printable.
    """

    def __init__(self, limit: int, *, allowed: str | None = None) -> None:
        self.value = ""
        self._limit = limit
        self._allowed = allowed

    def accepts(self, character: str) -> bool:
        """Whether typing a character would insert it."""
        return character.isprintable() and (self._allowed is None or character in self._allowed)

    def insert(self, typed: str) -> None:
        """Appends the characters that are accepted, up to the limit."""
        self.value = (self.value + "".join(c for c in typed if self.accepts(c)))[: self._limit]

    def paste(self, pasted: str) -> None:
        """Inserts a text as one line."""
        self.insert(" ".join(pasted.split()))

    def erase(self) -> None:
        """Removes the last character."""
        self.value = self.value[:-1]

    def pieces(self, cells: int = CELLS, *, is_active: bool = True) -> tuple[Piece, ...]:
        """A prompt, the end of the text in at most `cells`, and a cursor while the field is active."""
        shown = Piece(tail(text(self.value, limit=self._limit * 6).text, cells), "strong")
        return (Piece("> ", "key"), shown, Piece("_" if is_active else "", "quiet"))


class DateField(TextField):
    """A date such as 2026-01-19."""

    LENGTH = len("2026-01-19")

    def __init__(self) -> None:
        super().__init__(self.LENGTH, allowed=DIGITS_AND_DASH)

    @property
    def is_partial(self) -> bool:
        """Whether only a part of the date is typed."""
        return 0 < len(self.value) < self.LENGTH

    def pieces(self, cells: int = CELLS, *, is_active: bool = True) -> tuple[Piece, ...]:
        """The date with underscores for what is missing."""
        return (Piece(f"[{self.value}{'_' * (self.LENGTH - len(self.value))}]", "strong"),)


class ChoiceField(TextField):
    """One of several names or none, chosen with `step` or by typing a part of its name."""

    def __init__(self, choices: Sequence[str], limit: int) -> None:
        super().__init__(limit)
        self.choices = choices
        self.chosen: str | None = None

    def insert(self, typed: str) -> None:
        """Chooses the first name that contains the text; characters that match no name are not inserted."""
        before = self.value
        super().insert(typed)
        if not self._choose():
            self.value = before

    def erase(self) -> None:
        """Removes the last character; without any, nothing is chosen."""
        super().erase()
        self._choose()

    def choose(self, name: str) -> None:
        """Chooses exactly this name, if it is one of the choices."""
        self.chosen, self.value = (name if name in self.choices else None), ""

    def step(self, by: int) -> None:
        """Chooses the next or the previous name; none comes before the first."""
        names = [None, *self.choices]
        at = names.index(self.chosen) if self.chosen in names else 0
        self.chosen = names[(at + by) % len(names)]
        self.value = ""

    def _choose(self) -> bool:
        typed = self.value.casefold()
        match = next((name for name in self.choices if typed in name.casefold()), None)
        if match is not None:
            self.chosen = match if self.value else None
        return match is not None
