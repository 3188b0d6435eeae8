"""The family of keys under the cursor: what it holds, which jobs fill it, and its figures of each day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from opsconsole.cache.families import Family
from opsconsole.cache.figures import CacheDay, FamilyUsage
from opsconsole.core import humanize
from screens.panels import chart
from screens.panels.cache import Families, expiry
from screens.panels.view import View
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Line, Piece, bar, crop, left, line, right, text, wrapped

LABEL_CELLS = 11
DAY_CELLS, READS_CELLS, RATE_CELLS, KEYS_CELLS, CHANGE_CELLS, MEMORY_CELLS = 12, 10, 8, 11, 8, 10
TABLE_CELLS = DAY_CELLS + READS_CELLS + RATE_CELLS + KEYS_CELLS + CHANGE_CELLS + MEMORY_CELLS + 3
LONGEST_BAR = 24
CHART_ROWS = 5
NO_FIGURES = "no figures yet: a leader counts the keys and the reads of each day"


def rows(view: View, family: Family, families: Families, cells: int, room: int) -> list[Line]:
    """Up to `room` lines about a family: its facts, a row for each day, and from two days on their course."""
    usage = families.survey.families.get(family.name) if families.survey is not None else None
    days = [day for day in families.days if day.family == family.name]
    lines = [*_facts(family, usage, cells), *_fillers(view, family, cells), EMPTY]
    lines += _table(days, view.now.date(), cells) if days else _labelled("days", NO_FIGURES, cells)
    for name, values in (("keys", [day.keys for day in days]), ("memory", [day.bytes for day in days])):
        lines += _course(name, values[::-1], cells)
    return [crop(each, cells) for each in lines][:room]


def _facts(family: Family, usage: FamilyUsage | None, cells: int) -> Iterator[Line]:
    if usage is not None:
        parts = [f"{usage.keys:,}"]
        if usage.memory is not None and usage.keys:
            parts += [humanize.megabytes(usage.memory), f"{usage.memory // usage.keys:,} bytes each"]
        yield from _labelled("keys", " · ".join(parts), cells)
    yield from _labelled("pattern", family.pattern, cells)
    yield from _labelled("TTL", " · ".join(expiry(family, usage, with_mean=True)), cells)
    if family.computed_from:
        yield from _labelled("made from", ", ".join(family.computed_from), cells)


def _fillers(view: View, family: Family, cells: int) -> Iterator[Line]:
    """The jobs that write the values, each with its newest run and its next one."""
    if not family.filled_by:
        yield from _labelled("filled by", "readers: the first read of a value computes it", cells)
    cards = {card.name: card for card in view.snapshot.jobs}
    for index, name in enumerate(family.filled_by):
        parts = [left("filled by" if index == 0 else "", LABEL_CELLS - 1, "quiet"), text(name, limit=60)]
        if (run := view.newest_run(name)) is not None:
            symbol = symbols.RUN[run.state]
            at = humanize.date_and_time(run.started_at or run.created_at, view.now, view.zone_of(name))
            parts += [Piece(f"  {symbol.char} ", symbol.style), text(at, "quiet", 40)]
        if (card := cards.get(name)) is not None and card.next_at is not None:
            parts.append(Piece(f", next in {humanize.age(card.next_at - view.now)}", "quiet"))
        yield (Piece(" "), *parts)


def _labelled(name: str, sentence: str, cells: int) -> Iterator[Line]:
    for index, each in enumerate(wrapped([sentence], cells - LABEL_CELLS)):
        yield (left(f" {name}" if index == 0 else "", LABEL_CELLS, "quiet"), *each)


def _table(days: Sequence[CacheDay], today: date, cells: int) -> Iterator[Line]:
    """A row for each day that has figures, the newest first, with the change of its keys."""
    bar_cells = max(0, min(LONGEST_BAR, cells - TABLE_CELLS))
    names = (("reads", READS_CELLS), ("hits", RATE_CELLS))
    yield line(
        Piece(" "),
        left("day", DAY_CELLS, "quiet"),
        *(right(name, room, "quiet") for name, room in names),
        Piece(" " * (bar_cells + 1)),
        *(right(name, room, "quiet") for name, room in (("keys", KEYS_CELLS), ("", CHANGE_CELLS))),
        right("memory", MEMORY_CELLS, "quiet"),
    )
    for day, before in zip(days, [*days[1:], None], strict=True):
        reads, rate = day.hits + day.misses, day.hit_rate
        yield line(
            Piece(" "),
            left("today" if day.day == today else f"{day.day:%a} {day.day.day} {day.day:%b}", DAY_CELLS),
            right(f"{reads:,}", READS_CELLS),
            right(f"{humanize.percent(rate)} %" if rate is not None else "-", RATE_CELLS),
            Piece(" "),
            left(bar(rate, bar_cells)[0].text, bar_cells, "quiet"),
            right("-" if day.keys is None else f"{day.keys:,}", KEYS_CELLS),
            right(_change(day, before), CHANGE_CELLS, "quiet"),
            right("-" if day.bytes is None else humanize.megabytes(day.bytes), MEMORY_CELLS),
        )


def _change(day: CacheDay, before: CacheDay | None) -> str:
    """By how much the number of keys has changed since the day before; empty where that day has no figures."""
    if before is None or before.day != day.day - timedelta(days=1) or not before.keys or day.keys is None:
        return ""
    change = round(100 * (day.keys / before.keys - 1))
    return f"{change:+,} %" if change else "="


def _course(name: str, values: Sequence[int | None], cells: int) -> list[Line]:
    """Figures of some days as columns, the oldest on the left."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return []
    highest = humanize.megabytes(max(known)) if name == "memory" else f"{max(known):,}"
    title = line(Piece(f" {name}, {humanize.count(len(values), 'day')} with figures", "quiet"))
    return [EMPTY, title, *chart.columns(values, highest, cells, CHART_ROWS)]
