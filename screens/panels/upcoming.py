"""The panel of the next scheduled runs."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.core import humanize
from opsconsole.service.snapshot import JobCard, Work
from screens.panels import pauses
from screens.panels.remembered import remembered
from screens.panels.view import WIDE, Block, View, empty, fitted, hint, stale
from screens.widgets import symbols
from screens.widgets.lines import Drawing, Line, Piece, crop, ends, left, line, right, text, width


def panel(view: View, cells: int, rows: int) -> Drawing:
    """The next one first; jobs that are only triggered by hand come last."""
    upcoming, manual = _in_order(view.snapshot.jobs)
    first = (
        []
        if upcoming or not view.snapshot.jobs
        else [hint(view.hint("nothing is scheduled", "trigger", "triggers a job"))]
    )
    blocks = [Block((_row(view, card, cells),)) for card in upcoming[:rows]] + first
    blocks += [Block((_manual(view, card, cells),)) for card in manual[: max(0, rows - len(blocks))]]
    shown = fitted(blocks or [empty(view, Work.JOBS, "no jobs")], rows, cells, None)
    hidden = len(upcoming) + len(manual) + len(first) - len(shown.lines) if blocks else 0
    return Drawing(shown.lines, line(Piece("Next", "title")), stale(view) or _note(view, hidden))


@remembered
def _in_order(jobs: tuple[JobCard, ...]) -> tuple[Sequence[JobCard], Sequence[JobCard]]:
    """The jobs that are scheduled, the next one first, and those without a schedule."""
    upcoming = sorted((card for card in jobs if card.next_at is not None), key=_when)
    return upcoming, [card for card in jobs if card.cron is None]


def _note(view: View, hidden: int) -> Line:
    active = pauses.active_now(view.snapshot.pauses, view.now)
    paused = sum(bool(pauses.of_job(active, card.name)) for card in view.snapshot.jobs) if active else 0
    parts = [Piece(f"{paused} paused", symbols.PAUSED.style)] if paused else []
    parts += [Piece(" · ", "quiet")] if paused and hidden else []
    return line(*parts, Piece(f"{hidden} more", "quiet")) if hidden else tuple(parts)


def _when(card: JobCard) -> float:
    return card.next_at.timestamp() if card.next_at else 0.0


def _row(view: View, card: JobCard, cells: int) -> Line:
    if card.next_at is None:
        return ()
    seconds = (card.next_at - view.now).total_seconds()
    active = view.pauses_of(card.name)
    is_skipped = pauses.skips(active, card.next_at)
    if is_skipped or (active and cells >= WIDE):
        when = right("skipped", 14, "quiet") if is_skipped else Piece(humanize.countdown(seconds))
        return _paused(view, card, when, cells)
    at = humanize.upcoming_time(card.next_at, view.now, view.shown_zone(card.tz))
    if cells < WIDE:
        return ends(
            line(f" {humanize.countdown(seconds)}  ", text(card.name, "strong", 60)), line("  ", text(at), " "), cells
        )
    start = line(f" {humanize.countdown(seconds)}   ", left(card.name, 26, "strong"), " ", left(at, 16), " ")
    return crop((*start, text(card.words, "quiet", 120)), cells)


def _manual(view: View, card: JobCard, cells: int) -> Line:
    """A job without a schedule."""
    when = right("manual", 14, "quiet")
    if view.pauses_of(card.name) and cells >= WIDE:
        return _paused(view, card, when, cells)
    if cells < WIDE:
        return crop(line(" ", when, "  ", text(card.name, "strong", 60)), cells)
    return crop(line(" ", when, "   ", left(card.name, 26, "strong")), cells)


def _paused(view: View, card: JobCard, when: Piece, cells: int) -> Line:
    """A paused job: its next scheduled time is skipped, or lies after the end of the pause."""
    pause = view.pauses_of(card.name)[0]
    if cells < WIDE:
        name = line(" ", Piece(f"{symbols.PAUSED.char} ", symbols.PAUSED.style), text(card.name, "strong", 60), "  ")
        status = pauses.status(pause, view.now, view.pause_zone(pause), cells - width(name) - 1, symbols.PAUSED.word)
        return ends(name, (*status, Piece(" ")), cells)
    start = line(" ", when, "   ", left(card.name, 26, "strong"), " ")
    before = f"{symbols.PAUSED.char} {symbols.PAUSED.word}"
    return crop((*start, *pauses.status(pause, view.now, view.pause_zone(pause), cells - width(start), before)), cells)
