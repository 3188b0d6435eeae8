"""The segments of a list, of which one is chosen: `[all]  failed   running`."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len

from screens.widgets.lines import Line, Piece, Spot

PANEL = "segment"
"""The panel of the rows that the mouse selects on segments."""


def pieces(words: Mapping[str, str], chosen: str, gap: str = " ") -> Line:
    """The words of each segment, with a gap behind it; the chosen one stands out."""
    found: list[Piece] = []
    for segment, word in words.items():
        found.append(Piece(f"[{word}]", "chosen") if segment == chosen else Piece(f" {word} ", "quiet"))
        found += [Piece(gap)] if gap else []
    return tuple(found)


def spots(words: Mapping[str, str], y: int, x: int, gap: str = " ") -> list[Spot]:
    """Where the mouse selects each segment, with the first one at the cell `x` of the line `y`."""
    found = []
    for segment, word in words.items():
        end = x + cell_len(word) + 2
        found.append(Spot(y, x, end, (PANEL, segment)))
        x = end + len(gap)
    return found
