"""The job under the cursor: its schedule, its runs, and its limits, as much of it as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from opsconsole.core import humanize
from opsconsole.rules import finding_text
from opsconsole.service.snapshot import JobCard
from screens.panels import chart, job_text, pauses
from screens.panels.job_status import JobStatus
from screens.panels.running import done
from screens.panels.view import UNKNOWN, View
from screens.widgets import symbols
from screens.widgets.lines import (
    EMPTY,
    Line,
    Piece,
    crop,
    fitting,
    left,
    line,
    side_by_side,
    text,
    wrapped,
    wrapped_parts,
)

if TYPE_CHECKING:
    from opsconsole.service.job_page import JobPage

TWO_COLUMNS = 96
"""From this width on, the schedule and the runs are side by side."""
LABEL_CELLS = 10
CHART_ROWS, TALL_CHART_ROWS = 5, 8
IN_FULL, TALL = 24, 36
"""From this many rows on, two columns and one have room for each limit in its own line, one column also for a chart."""
TIME_CELLS = 18
LONGEST_LINES = 5
"""The lines that a sentence may take."""
ITEMS = 6


class Section(NamedTuple):
    """Lines about one subject. Where there is no room for all sections, those with a high `rank` are left out."""

    rank: int
    lines: Sequence[Line]


Sections = Callable[[int], Sequence[Section]]
"""The sections of a column, with this number of scheduled times."""


def title(card: JobCard | None) -> Line:
    return line(text(card.name, "title", 80)) if card is not None else EMPTY


def end(card: JobCard | None) -> Line:
    """Its schedule in words, with its zone."""
    if card is None:
        return EMPTY
    zone = f" ({card.tz})" if card.cron is not None else ""
    return line(text(f"{card.words}{zone}", "quiet", 120))


def rows(view: View, status: JobStatus, page: JobPage | None, cells: int, room: int) -> list[Line]:
    """Up to `room` lines about a job; `page` is None until it is loaded."""
    problem = Section(0, _problem(view, status, cells))
    if page is None:
        is_down = view.snapshot.store_outage is not None
        why = Piece(UNKNOWN, "warn") if is_down else Piece("loading", "quiet")
        return [*problem.lines, _label("", why)][:room]
    if cells < TWO_COLUMNS:
        is_tall = room >= TALL
        runs = _runs(view, status, page, cells, TALL_CHART_ROWS if is_tall else 1, in_full=is_tall)
        waits, schedule = _waits(page, cells), _schedule(view, page, cells, status.card.changed)
        return _fitting(lambda times: [problem, *runs, waits, *schedule(times)], cells, room)
    first = (cells - 1) // 2
    second = cells - 1 - first
    runs = _runs(view, status, page, second, CHART_ROWS, in_full=room >= IN_FULL)
    left_column = _fitting(_schedule(view, page, first, status.card.changed), first, room)
    right_column = _filling([problem, *runs, _waits(page, second)], second, room)
    return side_by_side(left_column, first, right_column, second)


def _fitting(sections: Sections, cells: int, room: int) -> list[Line]:
    """The sections in their order, without the least important ones if there is too little room; the rest of it is for
    scheduled times.
    """
    shown, rest = _without_least(sections(1), room)
    ranks = {section.rank for section in shown}
    found = [section for section in sections(1 + rest) if section.rank in ranks]
    return [crop(each, cells) for section in found for each in section.lines][:room]


def _filling(sections: Sequence[Section], cells: int, room: int) -> list[Line]:
    """The sections in their order; where there is too little room, the first of those without it is shortened."""
    shown, rest = _without_least(sections, room)
    ranks = {section.rank for section in shown}
    first = min((section.rank for section in sections if section.lines and section.rank not in ranks), default=None)
    lines: list[Line] = []
    for section in sections:
        if section.rank in ranks:
            lines += section.lines
        elif section.rank == first and rest > 0:
            lines += _shortened(section.lines, cells, rest)
    return [crop(each, cells) for each in lines][:room]


def _without_least(sections: Sequence[Section], room: int) -> tuple[list[Section], int]:
    """The sections that fit, without the least important ones; and how much room they leave."""
    shown = [section for section in sections if section.lines]
    while (used := sum(len(each.lines) for each in shown)) > room:
        least = max(each.rank for each in shown)
        shown = [each for each in shown if each.rank != least]
    return shown, room - used


# --- runs -----------------------------------------------------------------------------------------------------------


def _runs(view: View, status: JobStatus, page: JobPage, cells: int, chart_rows: int, *, in_full: bool) -> list[Section]:
    """The last run, what is usual, and what health checks expect; `in_full` has a line for each limit."""
    limits = job_text.limits(page.job)
    return [
        Section(1, [_last(view, page, cells)]),
        Section(6, _durations(page, cells, chart_rows)),
        Section(3, _joined("usual", _usual(page), cells)),
        Section(8, _success(status)),
        Section(7, _labelled("fails", [_failing(page)] if page.failing.items else [], cells)),
        Section(11, _labelled("limits", limits, cells) if in_full else _joined("limits", limits, cells)),
    ]


def _waits(page: JobPage, cells: int) -> Section:
    return Section(5, _labelled("waits", job_text.waits(page), cells))


def _problem(view: View, status: JobStatus, cells: int) -> list[Line]:
    """The worst finding, and the pause."""
    lines = []
    finding = status.finding
    if finding is not None:
        severity = symbols.SEVERITY[finding.severity]
        sentence = finding_text.sentence(finding, view.now)
        lines += _labelled("problem", [f"{severity.char} {sentence}"], cells, severity.style)
    if status.pauses:
        name = status.card.name
        pause = status.pauses[0]
        sentence = pauses.sentence(pause, name, view.now, view.pause_zone(pause))
        lines += _labelled("paused", [sentence], cells, symbols.PAUSED.style)
    return lines


def _last(view: View, page: JobPage, cells: int) -> Line:
    run = page.newest[0] if page.newest else None
    if run is None:
        return _label("last run", Piece(view.hint("no run has ended yet", "trigger", "triggers it"), "quiet"))
    symbol = symbols.RUN[run.state]
    at = humanize.date_and_time(run.started_at or run.created_at, view.now, view.shown_zone(page.job.tz))
    start = [text(f"{run.id}", "strong"), Piece("  "), Piece(f"{symbol.char} {symbol.word}", symbol.style), Piece("  ")]
    outcome = [text(run.error, "bad", 200)] if run.error else list(done(run.counts))
    ended = [line(Piece(f"  {each}", "quiet")) for each in (at, humanize.elapsed(run.seconds))]
    return fitting([_label("last run", *start, *outcome), *ended], cells)


def _durations(page: JobPage, cells: int, rows: int) -> list[Line]:
    """The durations of the newest runs: a chart, or bars in one line."""
    if rows > 1:
        drawn = chart.durations(page.newest, cells - LABEL_CELLS, rows)
        return [(*_label("took" if index == 0 else ""), *each) for index, each in enumerate(drawn)]
    shown = page.newest[: cells - LABEL_CELLS - 12]
    return [_label("took", *chart.bars(shown), Piece(f"  last {len(shown)}", "quiet"))] if shown else []


def _success(status: JobStatus) -> list[Line]:
    mine = status.history
    if mine is None or mine.rates.month is None:
        return []
    rates = zip(("24 h", "7 d", "30 d"), (mine.rates.day, mine.rates.week, mine.rates.month), strict=True)
    return [_label("success", text(" · ".join(f"{span} {humanize.percent(share)}" for span, share in rates) + " %"))]


def _usual(page: JobPage) -> list[str]:
    """The usual duration, the number of items of the last run, and how a run is divided."""
    parts = []
    if page.usual is not None:
        least, most = humanize.short_duration(page.usual.least), humanize.short_duration(page.usual.most)
        parts.append(least if least == most else f"{least} to {most}")
    if page.newest and page.newest[0].counts.planned:
        parts.append(humanize.count(page.newest[0].counts.planned, "item"))
    return [*parts, *job_text.sizes(page.job)]


def _failing(page: JobPage) -> str:
    items = page.failing.items[:ITEMS]
    named = ", ".join(f"{each.item} in {each.failed}" for each in items)
    others = page.failing.total - len(items)
    more = f", and {humanize.count(others, 'other item')}" if others > 0 else ""
    return f"{named} of the last {len(page.failing.runs)} runs{more}"


# --- schedule -------------------------------------------------------------------------------------------------------


def _schedule(view: View, page: JobPage, cells: int, changed: str) -> Sections:
    """When it runs, for which data, and what becomes of missed times."""
    job = page.job
    written = line(Piece("none; it runs when an operator triggers it", "quiet"))
    if job.cron is not None:
        written = line(text(job.cron, "strong", 80), Piece("  "), text(f"{page.words} ({job.tz})", limit=160))
    missed = [job_text.catch_up(job.catch_up), job_text.overlap(job)] if job.cron is not None else []
    jitter = [sentence] if (sentence := job_text.jitter(job)) else []
    aliases = [_label("aliases", text(", ".join(job.aliases), limit=300))] if job.aliases else []
    return lambda times: [
        Section(4, [_label("schedule", *written), *_labelled("", jitter, cells)]),
        Section(4, _labelled("changed", [changed] if changed else [], cells, "warn")),
        Section(2, _scheduled(view, page, times)),
        Section(9, [_label("covers", text(job_text.covers(job.covers)))]),
        Section(10, _labelled("missed", missed, cells)),
        Section(12, aliases),
    ]


def _scheduled(view: View, page: JobPage, times: int) -> list[Line]:
    """The next scheduled times, in the job's zone and in UTC; each with what a pause does to it."""
    tz, active = view.shown_zone(page.job.tz), view.pauses_of(page.job.name)
    lines = []
    for index, at in enumerate(page.scheduled[:times]):
        local = left(humanize.date_and_time(at, view.now, tz), TIME_CELLS, "strong" if index == 0 else "")
        utc = (left(humanize.date_and_time(at, view.now), TIME_CELLS, "quiet"),) if tz != "UTC" else ()
        skipped = Piece("skipped", symbols.PAUSED.style)
        note = (
            skipped
            if pauses.skips(active, at + page.job.shift)
            else Piece(f"in {humanize.age(at + page.job.shift - view.now)}", "quiet")
        )
        lines.append(_label("next" if index == 0 else "", local, *utc, note))
    return lines


# --- lines ----------------------------------------------------------------------------------------------------------


def _shortened(lines: Sequence[Line], cells: int, most: int = LONGEST_LINES) -> Sequence[Line]:
    """At most `most` lines, with an ellipsis at the end where there were more."""
    return lines if len(lines) <= most else [*lines[: most - 1], crop((*lines[most - 1], Piece(" " * cells)), cells)]


def _label(name: str, *pieces: Piece) -> Line:
    return line(left(f" {name}", LABEL_CELLS, "quiet"), *pieces)


def _labelled(name: str, sentences: Sequence[str], cells: int, style: str = "") -> list[Line]:
    """Each sentence in up to five lines, the first one with a label."""
    room = cells - LABEL_CELLS
    return _under(name, [each for sentence in sentences for each in _shortened(wrapped([sentence], room, style), room)])


def _joined(name: str, parts: Sequence[str], cells: int) -> list[Line]:
    """Parts with dots between them, in up to five lines, the first one with a label."""
    room = cells - LABEL_CELLS
    return _under(name, _shortened(wrapped_parts(parts, room), room))


def _under(name: str, lines: Sequence[Line]) -> list[Line]:
    return [_label(name if index == 0 else "", *each) for index, each in enumerate(lines)]
