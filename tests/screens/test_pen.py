"""The pen writes the same picture as a terminal would draw from whole styles, in fewer bytes."""

from __future__ import annotations

import re

from hypothesis import given, strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from screens.pen import Codes, Pen, codes_of

STYLES = st.builds(
    Style,
    color=st.sampled_from([None, "#ff0000", "#00ff00", "red", "default"]),
    bgcolor=st.sampled_from([None, "#121212", "blue"]),
    bold=st.sampled_from([None, True, False]),
    underline=st.sampled_from([None, True]),
    reverse=st.sampled_from([None, True]),
)
TEXTS = st.sampled_from(["a", "▂", "   ", "word"])
SEGMENTS = st.lists(st.tuples(TEXTS, st.none() | STYLES).map(lambda each: Segment(*each)), max_size=8)
SYSTEMS = st.sampled_from([ColorSystem.STANDARD, ColorSystem.EIGHT_BIT, ColorSystem.TRUECOLOR])


def drawn(written: str) -> list[tuple[str, Codes]]:
    """What a terminal shows in each cell."""
    cells: list[tuple[str, Codes]] = []
    attributes: list[str] = []
    foreground = background = ""
    for parameters, text in re.findall(r"(?:\x1b\[([\d;]*)m)?([^\x1b]*)", written):
        numbers = parameters.split(";") if parameters else []
        while numbers:
            number = numbers.pop(0)
            if number == "0":
                attributes, foreground, background = [], "", ""
            elif number in ("38", "48"):
                length = {"2": 4, "5": 2}[numbers[0]]
                value = ";".join([number, *numbers[:length]])
                numbers = numbers[length:]
                foreground, background = (value, background) if number == "38" else (foreground, value)
            elif number == "39":
                foreground = ""
            elif number == "49":
                background = ""
            elif 30 <= int(number) <= 37 or 90 <= int(number) <= 97:
                foreground = number
            elif 40 <= int(number) <= 47 or 100 <= int(number) <= 107:
                background = number
            else:
                attributes.append(number)
        cells += [(character, Codes(";".join(attributes), foreground, background)) for character in text]
    return cells


def seen(character: str, codes: Codes) -> tuple[str, Codes]:
    """A cell as people see it: of a space only the background, where nothing else shows."""
    shows = {"4", "7", "9"} & set(codes.attributes.split(";"))
    return (character, codes if character != " " or shows else Codes("", "", codes.background))


@given(SEGMENTS, SYSTEMS)
def test_every_cell_looks_as_its_style_says(segments: list[Segment], system: ColorSystem) -> None:
    pen = Pen(system)
    written = pen.write(segments) + pen.end()

    expected = [(c, codes_of(each.style, system) if each.style else Codes()) for each in segments for c in each.text]
    assert [seen(*cell) for cell in drawn(written)] == [seen(*cell) for cell in expected]
    assert drawn(written + "x")[-1] == ("x", Codes())


def test_only_what_differs_is_written() -> None:
    grey, red = Style(color="#999999", bgcolor="#121212"), Style(color="#ff0000", bgcolor="#121212")
    pen = Pen(ColorSystem.TRUECOLOR)
    assert pen.write([Segment("a", grey), Segment("b", grey)]) == "\x1b[38;2;153;153;153;48;2;18;18;18mab"
    assert pen.write([Segment("  ", red)]) == "  "
    assert pen.write([Segment("c", red)]) == "\x1b[38;2;255;0;0mc"
    assert pen.end() == "\x1b[0m"
    assert pen.end() == ""
