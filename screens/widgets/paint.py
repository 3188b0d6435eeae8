"""Puts lines on the terminal: one widget that repaints only the stretches that differ from what stands there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from screens.widgets import symbols as look
from screens.widgets.lines import Line, Piece, fill, width

# Colours of the 256, chosen so that a terminal with 16 gets a bright and different one for each of them.
STYLES = {
    "ok": Style(color="#5fd787"),
    "warn": Style(color="#ffaf00"),
    "bad": Style(color="#ff5f5f", bold=True),
    "live": Style(color="#5fd7ff"),
    "quiet": Style(color="#9e9e9e"),
    "rule": Style(color="#585858"),
    "title": Style(bold=True),
    "strong": Style(bold=True),
    "key": Style(color="#5fd7ff", bold=True),
    "mark": Style(color="#5fd7ff", bold=True),
    "alarm": Style(color="#ffffff", bgcolor="#d70000", bold=True),
    "chosen": Style(reverse=True, bold=True),
}
SIXTEEN = STYLES | {
    "ok": Style(color="green"),
    "warn": Style(color="yellow"),
    "bad": Style(color="bright_red", bold=True),
    "live": Style(color="cyan"),
    "quiet": Style(),
    "rule": Style(color="bright_black"),
    "key": Style(color="cyan", bold=True),
    "mark": Style(color="cyan", bold=True),
    "alarm": Style(color="bright_white", bgcolor="red", bold=True),
}
BOLD = ("warn", "bad", "title", "strong", "key", "mark")
NO_COLOUR = {name: Style(bold=True) if name in BOLD else Style() for name in STYLES} | {
    "alarm": Style(reverse=True, bold=True),
    "chosen": STYLES["chosen"],
}
CURSOR = Style(bgcolor="#303030")
UNDER_CURSOR = "under cursor"
MARKED, MARKED_OF_SIXTEEN, MARKED_NO_COLOUR = (
    Style(bgcolor="#005f87"),
    Style(bgcolor="blue"),
    Style(underline=True),
)


class Lines(Widget):
    """Shows lines. `ascii` writes symbols and bars as plain letters."""

    can_focus = False

    def __init__(self, *, ascii: bool = False, id: str | None = None) -> None:  # noqa: A002 - what the option is called
        super().__init__(id=id)
        self._ascii = ascii
        self.lines: tuple[Line, ...] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Shows these lines instead; what is the same already is not painted again."""
        before, self.lines = self.lines, tuple(lines)
        if self.size.width == 0:
            return
        changed = [
            Region(x, y, cells, 1)
            for y in range(max(len(before), len(self.lines)))
            for x, cells in _difference(_at(before, y), _at(self.lines, y), self.size.width)
            if y < self.size.height
        ]
        if changed:
            self.refresh(*changed)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are lines."""
        return len(self.lines)

    def render_line(self, y: int) -> Strip:
        """One line, filled to the whole width."""
        pieces = fill(_at(self.lines, y), self.size.width)
        base = self.visual_style.rich_style
        segments = [Segment(self._letters(text), base + self._style(style)) for text, style in pieces if text]
        return Strip(Segment.simplify(segments), self.size.width)

    @property
    def text(self) -> str:
        """What is shown, without its styles."""
        return "\n".join("".join(self._letters(piece.text) for piece in each).rstrip() for each in self.lines)

    def _letters(self, text: str) -> str:
        return look.plain_letters(text) if self._ascii else text

    def _style(self, name: str) -> Style:
        under_cursor, marked = name.endswith(UNDER_CURSOR), name.endswith(look.MARKED)
        base = name.removesuffix(UNDER_CURSOR).removesuffix(look.MARKED).strip()
        few_colours = self.app.native_ansi_color
        no_colour = self.app.no_color
        styles = NO_COLOUR if no_colour else SIXTEEN if few_colours else STYLES
        style = styles[base] if base else Style()
        if marked:
            style += MARKED_NO_COLOUR if no_colour else MARKED_OF_SIXTEEN if few_colours else MARKED
        return style if few_colours or not under_cursor else style + CURSOR


class OnlyTheChange(CompositorUpdate):
    """Textual's update of the screen, without what stands left of a change in the same widget."""

    def __init__(self, update: ChopsUpdate) -> None:
        self._update = update

    def render_segments(self, console: Console) -> str:
        """What is sent to the terminal."""
        sent: list[str] = []
        for y, first, last in self._update.spans:
            for end, (x, strip) in zip(self._update.chop_ends[y], self._update.chops[y].items(), strict=False):
                start, stop = max(x, first), min(end, last)
                if strip is not None and start < stop:
                    sent.append(Control.move_to(start, y).segment.text)
                    sent.append(strip.crop(start - x, stop - x).render(console))
        return "".join(sent)


def _at(lines: Sequence[Line], y: int) -> Line:
    return lines[y] if y < len(lines) else ()


def _difference(before: Line, after: Line, cells: int) -> Iterator[tuple[int, int]]:
    """The stretches `(x, cells)` in which two lines differ; none when they do not."""
    if before == after:
        return
    one, other = fill(before, cells), fill(after, cells)
    widths = [width((piece,)) for piece in other]
    if [width((piece,)) for piece in one] == widths:
        x = 0
        for a, b, takes in zip(one, other, widths, strict=True):
            if a != b:
                yield x, takes
            x += takes
        return
    start = _same(one, other)
    end = _same(one[::-1], other[::-1])
    if start + end < cells:
        yield start, cells - start - end


def _same(one: Sequence[Piece], other: Sequence[Piece]) -> int:
    """How many cells of whole pieces two lines begin with in common."""
    same = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        same += width((a,))
    return same
