"""The dialog for the format of an export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import BindingType

from screens.dialogs.dialog import INNER, Dialog
from screens.exports import Format
from screens.host import Host
from screens.keymap import bind
from screens.panels.questions import CANCEL
from screens.widgets.lines import EMPTY, Line, Piece, line, wrapped

FORMATS = (Format.SVG, Format.CSV, Format.JSON)


class ExportDialog(Dialog[Format]):
    """Answers with a format, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("export_svg", "format('svg')", "export the screen as SVG"),
        bind("export_csv", "format('csv')", "export the table as CSV"),
        bind("export_json", "format('json')", "export the table as JSON"),
    ]

    def __init__(self, host: Host, folder: Path) -> None:
        super().__init__(host, ("SVG", "CSV", "JSON", CANCEL))
        self._folder = folder

    def content(self) -> Sequence[Line]:
        """The formats, and where the file is written."""
        return [
            line(Piece("Export", "title")),
            EMPTY,
            line(Piece(self.keyed("{export_svg}"), "key"), "  this screen as a picture (SVG)"),
            line(Piece(self.keyed("{export_csv}"), "key"), "  its table as CSV, for a spreadsheet"),
            line(Piece(self.keyed("{export_json}"), "key"), "  its table as JSON"),
            EMPTY,
            *wrapped([f"A file in {self._folder}, which only you can read."], INNER, "quiet"),
        ]

    def confirm(self) -> None:
        """Answers with the format of the button."""
        self.dismiss(FORMATS[self.button])

    def action_format(self, name: str) -> None:
        """Answers with a format."""
        self.dismiss(Format(name))
