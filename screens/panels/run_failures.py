"""What failed in a run: the causes, and below them every item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opsconsole.core import humanize
from opsconsole.service.history import FailedItem
from opsconsole.service.run_details import RunPage
from screens.exports import Table
from screens.widgets.lines import Line, Piece, crop, ends, left, line, right, text
from screens.widgets.names import shortened

BATCH_CELLS = 13
LONGEST_ITEM = 40


@dataclass(frozen=True, slots=True)
class Items:
    """A page of the items that failed, how many are before them, and the first one that is shown of all lines."""

    items: Sequence[FailedItem] = ()
    before: int = 0
    at: int = 0


def title(page: RunPage) -> Line:
    """How many items failed, of how many causes."""
    words = f"{page.progress.run.counts.failed:,} failed"
    if page.causes:
        words += f", {humanize.count(len(page.causes), 'cause')}"
    return line(Piece(words, "title"))


def end(page: RunPage, items: Items, rows: int, keys: Mapping[str, str]) -> Line:
    """Which of the items are shown, or how to see them with these keys."""
    failed = page.progress.run.counts.failed
    shown = _shown(page, items, rows)
    if not failed:
        return ()
    if not shown:
        return line(Piece(f"{keys['next_panel']} {keys['down']} lists the items", "quiet"))
    first = items.before + items.items.index(shown[0]) + 1
    return line(Piece(f"items {first:,} to {first + len(shown) - 1:,} of {failed:,}", "quiet"))


def length(page: RunPage, items: Items) -> int:
    """The number of lines there are to scroll through."""
    return len(page.causes) + len(items.items)


def rows(page: RunPage, items: Items, cells: int, room: int) -> list[Line]:
    """The causes, most frequent first, with their first items; then the items in the order of their batches."""
    if not page.causes and not items.items:
        return [line("   ", Piece("no item failed", "quiet"))]
    recurring = recurring_items(page) if len(page.causes) < room else {}  # only where there is room for it
    lines: list[Line] = []
    for cause in page.causes[items.at :]:
        keys = text(" ".join(cause.items), "quiet")
        start = line(right(f"{cause.count:,}", 6, "bad"), "  ", text(cause.message, limit=300))
        lines.append(ends(start, crop(line("  ", keys, " "), max(20, cells // 3)), cells))
        if cause.kind in recurring:
            lines.append(crop(line("        ", text(recurring[cause.kind], "warn")), cells))
    shown = _shown(page, items, room - len(lines) + len(page.causes[items.at :]))
    names = shortened([each.item for each in shown], max(12, min(LONGEST_ITEM, cells // 3)))
    widest = max((len(name) for name in names.values()), default=0)
    lines += [_item(each, names[each.item], widest, cells) for each in shown]
    return lines[:room]


def recurring_items(page: RunPage) -> dict[str, str]:
    """Which items of each cause failed in other runs, too, as a sentence."""
    found = {}
    for cause in page.causes:
        counts = sorted(((page.failed_in.get(item, 0), item) for item in cause.items), key=lambda each: -each[0])
        first, *others = [(count, item) for count, item in counts if count > 1] or [(0, "")]
        if first[0]:
            parts = [f"{first[1]} failed in {first[0]} of the last {page.last_runs} runs"]
            found[cause.kind] = ", ".join([*parts, *(f"{item} in {count}" for count, item in others)])
    return found


def _shown(page: RunPage, items: Items, rows: int) -> Sequence[FailedItem]:
    """The items in `rows` lines, of which the causes that are not scrolled out of sight take the first."""
    causes = max(0, len(page.causes) - items.at)
    first = max(0, items.at - len(page.causes))
    return items.items[first : first + max(0, rows - causes)]


def _item(each: FailedItem, name: str, widest: int, cells: int) -> Line:
    message = each.message or (humanize.words(each.kind) if each.kind else "")
    parts = [Piece("  "), left(name, widest), right(f"batch {each.batch:,}", BATCH_CELLS, "quiet"), Piece("  ")]
    return crop((*parts, text(message, limit=300)), cells)


def table(items: Iterable[FailedItem]) -> Table:
    """Failed items as rows to export."""
    rows = [(each.item, each.batch, each.kind, each.message) for each in items]
    return Table(("item", "batch", "kind", "message"), rows)
