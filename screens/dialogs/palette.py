"""The command palette: actions and jobs, found by typing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual.binding import BindingType

from screens.command_lines import CommandLine
from screens.dialogs.dialog import INNER
from screens.dialogs.text_dialog import TextDialog
from screens.host import Host
from screens.keymap import bind
from screens.widgets.lines import EMPTY, Line, Piece, ends, fill, line, text
from screens.widgets.text_field import TextField

ROWS = 12
FIRST_ROW = 2
"""The line of the first command."""
LONGEST = 60

HINTS = "{up}{down} choose · {confirm} runs · {key} command · {back} goes back"


class PaletteCommand(NamedTuple):
    """A command's name, which is also what is searched, its key, its effect, and the command line that has the same."""

    name: str
    key: str
    run: Callable[[], object]
    command: CommandLine | None = None


class Palette(TextDialog[Callable[[], object]]):
    """Answers with the effect of the chosen command, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "row(-1)", "previous command"),
        bind("down", "row(1)", "next command"),
        bind("confirm", "press", "run the command"),
    ]

    def __init__(self, host: Host, commands: Sequence[PaletteCommand]) -> None:
        super().__init__(host)
        self._commands = commands
        self._query = TextField(LONGEST)
        self._row = 0

    @property
    def field(self) -> TextField:
        """What to search for."""
        return self._query

    def changed(self) -> None:
        """Shows the matches from the first one on."""
        self._row = 0
        self.repaint()

    def content(self) -> Sequence[Line]:
        """The query and the commands that match it."""
        matches = self._matches()
        first = max(0, self._row - ROWS + 1)
        rows: list[Line] = []
        for index, command in enumerate(matches[first : first + ROWS], first):
            row = ends(line(" ", text(command.name, limit=LONGEST)), line(Piece(f"{command.key} ", "key")), INNER)
            chosen = tuple(Piece(piece.text, "chosen") for piece in fill((Piece("▸"), *row[1:]), INNER))
            rows.append(chosen if index == self._row else row)
        if not matches:
            rows = [line("   ", Piece("no command matches", "quiet"))]
        rows += [EMPTY] * (ROWS - len(rows))
        count = line(Piece(f"{len(matches)} of {len(self._commands)}", "quiet"))
        return [ends(line(*self._query.pieces()), count, INNER), EMPTY, *rows]

    def command_lines(self) -> Sequence[CommandLine]:
        """That of the chosen command."""
        chosen = self._matches()[self._row : self._row + 1]
        return [each.command for each in chosen if each.command is not None]

    def confirm(self) -> None:
        """Answers with the chosen command."""
        matches = self._matches()
        if matches:
            self.dismiss(matches[self._row].run)

    def clicked(self, x: int, y: int, *, is_last: bool) -> None:
        """Runs the command that was clicked."""
        row = max(0, self._row - ROWS + 1) + y - FIRST_ROW
        if FIRST_ROW <= y < FIRST_ROW + ROWS and row < len(self._matches()):
            self._row = row
            self.confirm()

    def action_row(self, step: int) -> None:
        """Moves up and down in the list."""
        self._row = max(0, min(len(self._matches()) - 1, self._row + step))
        self.repaint()

    def action_button(self, step: int) -> None:
        """The palette has no buttons."""

    def button_line(self) -> Line:
        """The keys, where other dialogs have buttons."""
        return line(Piece(self.keyed(HINTS, key=self.command_key()), "quiet"))

    def _matches(self) -> list[PaletteCommand]:
        return matching(self._query.value, self._commands)


def matching(query: str, commands: Sequence[PaletteCommand]) -> list[PaletteCommand]:
    """The commands whose name contains every word of the query."""
    words = query.casefold().split()
    return [command for command in commands if all(word in command.name.casefold() for word in words)]
