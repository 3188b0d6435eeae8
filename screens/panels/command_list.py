"""A list of command lines, each wrapped and none cut off."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len

from screens.command_lines import CommandLine
from screens.widgets.lines import Line, Piece, left, line, text

KEY_CELLS, NAME_CELLS = 7, 13


def rows(
    commands: Sequence[CommandLine],
    keys: Callable[[str], str],
    typed: Callable[[CommandLine], str],
    chosen: int,
    cells: int,
) -> list[list[Line]]:
    """The lines of each command: its key, its action, and the command itself in the cells that are left."""
    blocks: list[list[Line]] = []
    room = cells - KEY_CELLS - NAME_CELLS - 2
    for index, command in enumerate(commands):
        style = "chosen" if index == chosen else "strong"
        parts = wrap(text(typed(command), limit=5000).text, room)
        mark = Piece("▸ " if index == chosen else "  ", "mark")
        start = (mark, left(keys(command.action), KEY_CELLS, "key"), left(name(command), NAME_CELLS, "quiet"))
        blank = (Piece(" " * (KEY_CELLS + NAME_CELLS + 2)),)
        blocks.append([line(*(start if n == 0 else blank), Piece(part, style)) for n, part in enumerate(parts)])
    return blocks


def name(command: CommandLine) -> str:
    """An action in words."""
    return command.action.replace("_", " ")


def visible(blocks: Sequence[Sequence[Line]], chosen: int, rows_: int) -> list[Line]:
    """The lines of as many blocks as fit, the chosen one included."""
    first = chosen
    height = len(blocks[chosen])
    while first > 0 and height + len(blocks[first - 1]) <= rows_:
        first -= 1
        height += len(blocks[first])
    return [each for block in blocks[first:] for each in block][:rows_]


def wrap(value: str, cells: int) -> list[str]:
    """A text in lines of at most `cells`: broken at spaces, and inside a word only where it is longer than a line."""
    lines: list[str] = []
    row = ""
    for word in value.split(" "):
        joined = f"{row} {word}" if row else word
        if cell_len(joined) <= cells:
            row = joined
            continue
        lines += [row] if row else []
        row = word
        while cell_len(row) > cells:
            cut = next(n for n in range(len(row), 0, -1) if cell_len(row[:n]) <= cells or n == 1)
            lines.append(row[:cut])
            row = row[cut:]
    return [*lines, row]
