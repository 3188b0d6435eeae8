"""The panel of what runs next."""

from __future__ import annotations

from opsconsole.core import humanize
from opsconsole.service.snapshot import JobCard
from screens.panels import pauses
from screens.panels.view import WIDE, Block, View, fit, hint, stale
from screens.widgets import symbols as look
from screens.widgets.lines import Line, Piece, crop, ends, left, line, right, rule, tell, width


def panel(view: View, cells: int, rows: int) -> list[Line]:
    """The rule and `rows` lines, the nearest first."""
    soonest = sorted((card for card in view.snapshot.jobs if card.next_at is not None), key=_when)
    manual = [card for card in view.snapshot.jobs if card.cron is None]
    blocks = [Block((_row(view, card, cells),)) for card in soonest]
    if not blocks and view.snapshot.jobs:
        blocks = [hint("no schedule fires again · t triggers a job by hand")]
    blocks += [Block((_manual(view, card, cells),)) for card in manual]
    shown, hidden = fit(blocks or [hint("no job, no schedule")], rows, cells, None)
    return [rule("Next", cells, stale(view) or _note(view, hidden)), *shown]


def _note(view: View, hidden: int) -> Line:
    paused = sum(bool(view.pauses_of(card.name)) for card in view.snapshot.jobs)
    parts = [Piece(f"{paused} paused", look.PAUSED.style)] if paused else []
    parts += [Piece(" · ", "quiet")] if paused and hidden else []
    return line(*parts, Piece(f"{hidden} more", "quiet")) if hidden else tuple(parts)


def _when(card: JobCard) -> float:
    return card.next_at.timestamp() if card.next_at else 0.0


def _row(view: View, card: JobCard, cells: int) -> Line:
    if card.next_at is None:
        return ()
    seconds = (card.next_at - view.now).total_seconds()
    held = view.pauses_of(card.name)
    skipped = pauses.skips(held, card.next_at)
    if skipped or (held and cells >= WIDE):
        when = right("skipped", 14, "quiet") if skipped else Piece(humanize.countdown(seconds))
        return _paused(view, card, when, cells)
    at = humanize.upcoming_time(card.next_at, view.now, card.tz)
    if cells < WIDE:
        return ends(
            line(f" {humanize.countdown(seconds)}  ", tell(card.name, "strong", 60)), line("  ", tell(at), " "), cells
        )
    start = line(f" {humanize.countdown(seconds)}   ", left(card.name, 26, "strong"), " ", left(at, 16), " ")
    return crop((*start, tell(card.words, "quiet", 120)), cells)


def _manual(view: View, card: JobCard, cells: int) -> Line:
    """A job without a schedule."""
    when = right("manual", 14, "quiet")
    if view.pauses_of(card.name) and cells >= WIDE:
        return _paused(view, card, when, cells)
    if cells < WIDE:
        return crop(line(" ", when, "  ", tell(card.name, "strong", 60)), cells)
    return crop(line(" ", when, "   ", left(card.name, 26, "strong")), cells)


def _paused(view: View, card: JobCard, when: Piece, cells: int) -> Line:
    """A job that is paused: its next instant is skipped, or comes when the pause is over."""
    pause = view.pauses_of(card.name)[0]
    if cells < WIDE:
        name = line(" ", Piece(f"{look.PAUSED.symbol} ", look.PAUSED.style), tell(card.name, "strong", 60), "  ")
        told = pauses.told(pause, view.now, card.tz, cells - width(name) - 1, look.PAUSED.word)
        return ends(name, (*told, Piece(" ")), cells)
    start = line(" ", when, "   ", left(card.name, 26, "strong"), " ")
    sign = f"{look.PAUSED.symbol} {look.PAUSED.word}"
    return crop((*start, *pauses.told(pause, view.now, card.tz, cells - width(start), sign)), cells)
