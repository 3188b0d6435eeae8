"""What failed in a run, and the end of its log."""

from __future__ import annotations

from opsconsole.core import humanize
from opsconsole.service.run_details import RunPage
from screens.panels.run_log import without_tag
from screens.panels.view import View
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Drawing, Line, Piece, crop, ends, line, right, text

CAUSES = 3
"""The causes of failures that are shown above a log."""


def message(sentence: str, title: str) -> Drawing:
    """What is shown instead of a run."""
    return Drawing([line("   ", text(sentence, "quiet", 300))], line(Piece(title, "title")))


def panel(view: View, page: RunPage, cells: int, rows: int) -> Drawing:
    """Failures by cause, most frequent first, then the newest log lines in the rows that are left."""
    run = page.progress.run
    symbol = symbols.RUN[run.state]
    title = line(Piece(f"Run {run.id}", "title"), Piece(f" {view.window_of(run)}", "quiet"))
    end = line(Piece(f"{symbol.char} {symbol.word}", symbol.style))
    if run.seconds is not None:
        end = (*end, Piece(f" · {humanize.elapsed(run.seconds)}", "quiet"))
    end = (*end, text(f" · {view.zone_of(run.job)}", "quiet", 40))
    lines = [_cause(each.count, each.message, " ".join(each.items), cells) for each in page.causes[:CAUSES]]
    if len(page.causes) > CAUSES:
        lines.append(line(Piece(f"        {len(page.causes) - CAUSES} more causes", "quiet")))
    lines = lines[: max(0, rows - 2)]
    room = rows - len(lines)
    tail = page.log[-room:] if room > 0 else ()
    zone = humanize.zone(view.zone_of(run.job))
    lines += [_entry(f"{at.astimezone(zone):%H:%M:%S}", without_tag(message, run.job), cells) for at, message in tail]
    return Drawing(lines or [line("   ", Piece("no log", "quiet"))], title, end)


def _cause(count: int, message: str, items: str, cells: int) -> Line:
    start = line(right(f"{count:,}", 6, "warn"), "  ", text(message, limit=300))
    return ends(start, crop(line("  ", text(items, "quiet")), cells // 3) if items else EMPTY, cells)


def _entry(at: str, message: str, cells: int) -> Line:
    return crop(line(Piece(f" {at}  ", "quiet"), text(message)), cells)
