"""The panel of what runs next."""

from __future__ import annotations

from opsconsole.desk.values import JobCard
from screens import figures
from screens.lines import Line, Piece, crop, ends, left, line, rule, tell
from screens.rows.view import WIDE, Block, View, fit, hint, stale

DAY_SECONDS = 86_400


def panel(view: View, cells: int, rows: int) -> list[Line]:
    """The rule and `rows` lines, the nearest first."""
    soonest = sorted((card for card in view.snapshot.jobs if card.next_at is not None), key=_when)
    blocks = [Block((_row(view, card, cells),)) for card in soonest]
    if not blocks and view.snapshot.jobs:
        blocks = [hint("no schedule fires again · t triggers a job by hand")]
    shown, hidden = fit(blocks or [hint("no job, no schedule")], rows, cells, None)
    note = stale(view) or (line(Piece(f"{hidden} more", "quiet")) if hidden else ())
    return [rule("Next", cells, note), *shown]


def _when(card: JobCard) -> float:
    return card.next_at.timestamp() if card.next_at else 0.0


def _row(view: View, card: JobCard, cells: int) -> Line:
    if card.next_at is None:
        return ()
    seconds = (card.next_at - view.now).total_seconds()
    local, today = (at.astimezone(figures.zone(card.tz)) for at in (card.next_at, view.now))
    date = f"{figures.day(local, today)} " if seconds > DAY_SECONDS else ""
    at = f"{date}{figures.clock(card.next_at, card.tz)}"
    if cells < WIDE:
        return ends(
            line(f" {figures.countdown(seconds)}  ", tell(card.name, "strong", 60)), line("  ", tell(at), " "), cells
        )
    start = line(f" {figures.countdown(seconds)}   ", left(card.name, 26, "strong"), " ", left(at, 16), " ")
    return crop((*start, tell(card.words, "quiet", 120)), cells)
