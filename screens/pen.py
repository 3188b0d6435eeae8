"""Writes styled text for a terminal with few bytes: of each style only what differs from the one before."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

ATTRIBUTES = (("bold", "1"), ("dim", "2"), ("italic", "3"), ("underline", "4"), ("reverse", "7"), ("strike", "9"))
"""SGR parameters of text attributes."""
VISIBLE_ON_SPACES = {"4", "7", "9"}


class Codes(NamedTuple):
    """The SGR parameters of a style; empty for the terminal's own."""

    attributes: str = ""
    foreground: str = ""
    background: str = ""


@lru_cache(maxsize=1024)
def codes_of(style: Style, system: ColorSystem) -> Codes:
    """The parameters of a style on a terminal with these colours."""
    colours = [
        ";".join(colour.downgrade(system).get_ansi_codes(foreground))
        if colour is not None and not colour.is_default
        else ""
        for colour, foreground in ((style.color, True), (style.bgcolor, False))
    ]
    return Codes(";".join(code for name, code in ATTRIBUTES if getattr(style, name)), *colours)


class Pen:
    """The style that the terminal draws in. It starts and ends as the terminal's own."""

    def __init__(self, system: ColorSystem) -> None:
        self._system = system
        self._codes = Codes()

    def write(self, segments: Iterable[Segment]) -> str:
        """The text of segments, with the sequences that change the style."""
        return "".join(
            self._change(each.style, is_blank=each.text.isspace()) + each.text for each in segments if not each.control
        )

    def end(self) -> str:
        """Returns to the terminal's own style."""
        before, self._codes = self._codes, Codes()
        return "\x1b[0m" if before != Codes() else ""

    def _change(self, style: Style | None, *, is_blank: bool) -> str:
        before, codes = self._codes, codes_of(style, self._system) if style is not None else Codes()
        if is_blank and VISIBLE_ON_SPACES.isdisjoint(codes.attributes.split(";")):
            # Only the background shows.
            keeps = VISIBLE_ON_SPACES.isdisjoint(before.attributes.split(";"))
            codes = Codes(before.attributes if keeps else codes.attributes, before.foreground, codes.background)
        if codes == before:
            return ""
        self._codes = codes
        if codes.attributes != before.attributes:
            return f"\x1b[{';'.join(filter(None, ('0', *codes)))}m" if any(codes) else "\x1b[0m"
        foreground = (codes.foreground or "39") if codes.foreground != before.foreground else ""
        background = (codes.background or "49") if codes.background != before.background else ""
        return f"\x1b[{';'.join(filter(None, (foreground, background)))}m"
