"""The dialog that shows command lines, to read and to copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import BindingType

from screens.command_lines import CommandLine
from screens.dialogs.dialog import INNER, Dialog
from screens.exports import Copied
from screens.host import Host
from screens.keymap import bind
from screens.panels import command_list
from screens.widgets.lines import EMPTY, Line, Piece, line, wrapped

ROWS = 14


class CommandsDialog(Dialog[Copied]):
    """Command lines with a cursor; answers with the one to copy, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "row(-1)", "command above"),
        bind("down", "row(1)", "command below"),
        bind("copy", "press", "copy the command"),
    ]

    def __init__(self, host: Host, commands: Sequence[CommandLine], keys: Callable[[str], str]) -> None:
        super().__init__(host, ("Copy", "Close"))
        self._commands, self._keys, self._row = commands, keys, 0

    def content(self) -> Sequence[Line]:
        """The commands around the cursor."""
        installation = self.host.installation
        blocks = command_list.rows(self._commands, self._keys, self.host.command_text, self._row, INNER)
        note = [EMPTY, *wrapped([installation.note], INNER, "warn")] if installation.note else []
        shown = command_list.visible(blocks, self._row, ROWS - len(note))
        title = "Command line" if len(self._commands) == 1 else "Command lines"
        return [line(Piece(title, "title")), *note, EMPTY, *shown]

    def confirm(self) -> None:
        """Answers with the command under the cursor."""
        command = self._commands[self._row]
        self.dismiss(Copied(self.host.command_text(command), f"the command line of {command_list.name(command)}"))

    def action_row(self, step: int) -> None:
        """Moves the cursor."""
        self._row = max(0, min(len(self._commands) - 1, self._row + step))
        self.repaint()
