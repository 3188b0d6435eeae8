"""What packs show of themselves: a rule for each panel, its facts, its table, and what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.cells import cell_len

from opsconsole.authoring.extensions import PanelContent
from opsconsole.core import humanize
from opsconsole.service.snapshot import PanelView
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, fill, left, line, right, rule, tell, wrapped

NO_PANEL = "no pack that is loaded shows anything here; a pack does with `panels`"
BEING_READ = "what packs show is being read"
ROWS = 1000
"""A panel with more rows shows these."""
LEAST_COLUMN = 4
OLD_AFTER = timedelta(seconds=20)
_NUMBER = re.compile(r"[-+]?\d[\d,.]*\s?(?:%|\w{0,3})")


def body(
    panels: Sequence[PanelView], cells: int, rows: int, *, first: int, read_at: datetime, now: datetime
) -> list[Line]:
    """A headline and what fits below it, from the line `first` on."""
    whole = of_panels(panels, cells)
    last = min(len(whole), first + rows - 1)
    packs = len({panel.pack for panel in panels})
    told = f"{humanize.count(len(panels), 'panel')} of {humanize.count(packs, 'pack')}"
    place = f"   lines {first + 1} to {last} of {len(whole)}" if len(whole) > rows - 1 else ""
    age = "stale since" if now - read_at > OLD_AFTER else "as of"
    style = "warn" if now - read_at > OLD_AFTER else "quiet"
    end = line(Piece(f"{age} {humanize.clock(read_at, seconds=True)}", style), Piece(f"{place} ", "quiet"))
    return [ends(line(" ", Piece("Packs", "title"), Piece(f"  {told}", "quiet")), end, cells), *whole[first:last]]


def of_panels(panels: Sequence[PanelView], cells: int) -> list[Line]:
    """All lines of all panels, one below the other."""
    if not panels:
        return [EMPTY, line("   ", Piece(NO_PANEL, "quiet"))]
    return [each for panel in panels for each in of_panel(panel, cells)]


def of_panel(panel: PanelView, cells: int) -> list[Line]:
    """The lines of one panel."""
    shown = panel.content
    says = f"✗ {shown.message}" if panel.failed else shown.message
    style = "bad" if panel.failed else ""
    lines = [rule(tell(f"{panel.pack}: {panel.title}", limit=cells).text, cells)]
    if shown.message:
        lines += [line(" ", *each) for each in wrapped([says], cells - 2, style)]
    lines += _facts(shown, cells)
    lines += _table(shown, cells)
    if len(lines) == 1:
        lines.append(line("   ", Piece("there is nothing to show", "quiet")))
    return [*(crop(each, cells) for each in lines), EMPTY]


def _facts(shown: PanelContent, cells: int) -> list[Line]:
    """Names and values, as many beside each other as fit."""
    facts = [(tell(name, "quiet", 80), tell(value, "strong", 200)) for name, value in shown.facts]
    if not facts:
        return []
    names = max(cell_len(name.text) for name, _ in facts)
    values = max(cell_len(value.text) for _, value in facts)
    each = min(cells - 2, names + 2 + values)
    across = max(1, (cells + 2) // (each + 4))
    cell = [fill(line(left(name.text, names, name.style), "  ", value), each) for name, value in facts]
    rows = (cell[start : start + across] for start in range(0, len(cell), across))
    return [line(" ", *(piece for told in row for piece in (*told, Piece("   "))))[:-1] for row in rows]


def _table(shown: PanelContent, cells: int) -> list[Line]:
    """Rows below their head; numbers stand right-aligned, and the widest columns give way."""
    count = max([len(shown.columns), *(len(row) for row in shown.rows[:ROWS])])
    if not count:
        return []
    grid = [[tell(cell, limit=200).text for cell in row] + [""] * (count - len(row)) for row in shown.rows[:ROWS]]
    head = [tell(name, limit=200).text for name in shown.columns] + [""] * (count - len(shown.columns))
    numbers = [all(_NUMBER.fullmatch(row[i]) or not row[i] for row in grid) for i in range(count)]
    widths = _fitted([max(cell_len(row[i]) for row in (head, *grid)) for i in range(count)], cells - 2)

    def drawn(row: Sequence[str], style: str) -> Line:
        placed = [(right if numbers[i] else left)(cell, widths[i], style) for i, cell in enumerate(row)]
        return line(" ", *(piece for each in placed for piece in (each, Piece("  "))))[:-1]

    lines = [drawn(head, "quiet")] if shown.columns else []
    lines += [drawn(row, "") for row in grid]
    more = len(shown.rows) - len(grid)
    if not grid:
        lines.append(line("   ", Piece("no rows", "quiet")))
    return [*lines, line("   ", Piece(f"and {more:,} more", "quiet"))] if more else lines


def _fitted(widths: list[int], room: int) -> list[int]:
    """Widths of columns that fit, with two cells between them; the widest are made narrower."""
    room -= 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > LEAST_COLUMN:
        widths[widths.index(max(widths))] -= 1
    return widths
