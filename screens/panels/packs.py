"""The panels of the packs: a rule for each, its message, its facts and its table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.cells import cell_len

from opsconsole.authoring.extensions import PanelContent
from opsconsole.core import humanize
from opsconsole.service.snapshot import PanelView
from screens.widgets.lines import EMPTY, Line, Piece, crop, fill, left, line, right, rule, text, wrapped

NO_PANEL = "no loaded pack has a panel; a pack declares them with `panels`"
ROWS = 1000
"""How many rows of a panel are shown."""
LEAST_COLUMN = 4
OLD_AFTER = timedelta(seconds=20)
_NUMBER = re.compile(r"[-+]?\d[\d,.]*\s?(?:%|\w{0,3})")


def title(panels: Sequence[PanelView]) -> Line:
    """The number of panels and packs."""
    packs = len({panel.pack for panel in panels})
    counts = f"{humanize.count(len(panels), 'panel')} of {humanize.count(packs, 'pack')}"
    return line(Piece("Packs", "title"), Piece(f"  {counts}", "quiet"))


def end(*, first: int, rows: int, total: int, loaded_at: datetime, now: datetime) -> Line:
    """How old the figures are, and which of `total` lines are shown when `rows` are too few for all."""
    place = f"   lines {first + 1} to {min(total, first + rows)} of {total}" if total > rows else ""
    label, style = ("stale since", "warn") if now - loaded_at > OLD_AFTER else ("as of", "quiet")
    return line(Piece(f"{label} {humanize.clock(loaded_at, seconds=True)}", style), Piece(place, "quiet"))


def all_lines(panels: Sequence[PanelView], cells: int) -> list[Line]:
    """The lines of all panels."""
    if not panels:
        return [line("   ", Piece(NO_PANEL, "quiet"))]
    return [each for panel in panels for each in panel_lines(panel, cells)]


def panel_lines(panel: PanelView, cells: int) -> list[Line]:
    """The lines of one panel."""
    shown = panel.content
    message = f"✗ {shown.message}" if panel.failed else shown.message
    style = "bad" if panel.failed else ""
    lines = [rule(text(f"{panel.pack}: {panel.title}", limit=cells).text, cells)]
    if shown.message:
        lines += [line(" ", *each) for each in wrapped([message], cells - 2, style)]
    lines += _facts(shown, cells)
    lines += _table(shown, cells)
    if len(lines) == 1:
        lines.append(line("   ", Piece("nothing to show", "quiet")))
    return [*(crop(each, cells) for each in lines), EMPTY]


def _facts(shown: PanelContent, cells: int) -> list[Line]:
    """Names and values, in as many columns as fit."""
    facts = [(text(name, "quiet", 80), text(value, "strong", 200)) for name, value in shown.facts]
    if not facts:
        return []
    names = max(cell_len(name.text) for name, _ in facts)
    values = max(cell_len(value.text) for _, value in facts)
    each = min(cells - 2, names + 2 + values)
    across = max(1, (cells + 2) // (each + 4))
    cells_of_facts = [fill(line(left(name.text, names, name.style), "  ", value), each) for name, value in facts]
    rows = (cells_of_facts[start : start + across] for start in range(0, len(cells_of_facts), across))
    return [line(" ", *(piece for cell in row for piece in (*cell, Piece("   "))))[:-1] for row in rows]


def _table(shown: PanelContent, cells: int) -> list[Line]:
    """A header and rows. Numbers are right-aligned, and the widest columns are cut."""
    count = max([len(shown.columns), *(len(row) for row in shown.rows[:ROWS])])
    if not count:
        return []
    grid = [[text(cell, limit=200).text for cell in row] + [""] * (count - len(row)) for row in shown.rows[:ROWS]]
    header = [text(name, limit=200).text for name in shown.columns] + [""] * (count - len(shown.columns))
    numbers = [all(_NUMBER.fullmatch(row[i]) or not row[i] for row in grid) for i in range(count)]
    widths = _fitted([max(cell_len(row[i]) for row in (header, *grid)) for i in range(count)], cells - 2)

    def table_row(row: Sequence[str], style: str) -> Line:
        columns = [(right if numbers[i] else left)(cell, widths[i], style) for i, cell in enumerate(row)]
        return line(" ", *(piece for each in columns for piece in (each, Piece("  "))))[:-1]

    lines = [table_row(header, "quiet")] if shown.columns else []
    lines += [table_row(row, "") for row in grid]
    more = len(shown.rows) - len(grid)
    if not grid:
        lines.append(line("   ", Piece("no rows", "quiet")))
    return [*lines, line("   ", Piece(f"and {more:,} more", "quiet"))] if more else lines


def _fitted(widths: list[int], room: int) -> list[int]:
    """Column widths that fit with two cells between them; the widest are reduced."""
    room -= 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > LEAST_COLUMN:
        widths[widths.index(max(widths))] -= 1
    return widths
