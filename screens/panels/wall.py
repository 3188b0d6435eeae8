"""The wall display: how many alerts fire in large letters, and a tile for each job, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opsconsole.core import humanize
from opsconsole.rules import finding_text
from opsconsole.service.snapshot import AlertCard, Severity, Work
from screens.panels import pauses
from screens.panels.job_states import JobState, Rank, worst_first
from screens.panels.running import share
from screens.panels.view import NO_JOBS, View, empty, stale
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Line, Piece, bar, ends, fill, line, text
from screens.widgets.names import middle
from screens.widgets.symbols import Symbol

TILE_CELLS, TILE_ROWS, GAP = 38, 3, 1
LETTER_ROWS = 5
LETTERS = {
    "A": ("███", "█ █", "███", "█ █", "█ █"),
    "D": ("██ ", "█ █", "█ █", "█ █", "██ "),
    "E": ("███", "█  ", "██ ", "█  ", "███"),
    "K": ("█ █", "██ ", "█  ", "██ ", "█ █"),
    "L": ("█  ", "█  ", "█  ", "█  ", "███"),
    "N": ("██ ", "█ █", "█ █", "█ █", "█ █"),
    "O": ("███", "█ █", "█ █", "█ █", "███"),
    "P": ("███", "█ █", "███", "█  ", "█  "),
    "R": ("██ ", "█ █", "██ ", "█ █", "█ █"),
    "S": ("███", "█  ", "███", "  █", "███"),
    "T": ("███", " █ ", " █ ", " █ ", " █ "),
    "U": ("█ █", "█ █", "█ █", "█ █", "███"),
    "0": ("███", "█ █", "█ █", "█ █", "███"),
    "1": (" █ ", "██ ", " █ ", " █ ", "███"),
    "2": ("███", "  █", "███", "█  ", "███"),
    "3": ("███", "  █", " ██", "  █", "███"),
    "4": ("█ █", "█ █", "███", "  █", "  █"),
    "5": ("███", "█  ", "███", "  █", "███"),
    "6": ("███", "█  ", "███", "█ █", "███"),
    "7": ("███", "  █", "  █", "  █", "  █"),
    "8": ("███", "█ █", "███", "█ █", "███"),
    "9": ("███", "█ █", "███", "  █", "███"),
    " ": ("   ",) * LETTER_ROWS,
}


@dataclass(frozen=True, slots=True)
class Tile:
    """A job or an alert: its state with a note at the end of the line, its name, and one more line."""

    state: Symbol
    note: str
    name: str
    about: Line
    is_ok: bool = False


def headline(view: View) -> tuple[str, str]:
    """What the large letters spell, and their style. What cannot be read is never good news."""
    snapshot = view.snapshot
    if stale(view) or snapshot.why_unknown(Work.ALERT_LIST) is not None:
        return "STALE", "warn"
    worst = [card.alert.severity for card in snapshot.firing] or [each.severity for each in snapshot.findings]
    if worst:
        count = len(worst)
        return f"{count} {'ALERT' if count == 1 else 'ALERTS'}", symbols.SEVERITY[max(worst)].style
    if not snapshot.jobs:
        return "", ""
    if snapshot.leader is None:
        return "NO LEADER", "warn"
    return ("PAUSED", "warn") if pauses.of_all(snapshot.pauses, view.now) else ("ALL OK", "ok")


def letters(word: str, style: str) -> list[Line]:
    """A word in letters that are five rows high and eight cells wide, with their gap."""
    rows = range(LETTER_ROWS) if word else ()
    return [
        line(" ", *(Piece("".join(2 * each for each in f"{LETTERS[letter][row]} "), style) for letter in word))
        for row in rows
    ]


def tiles(view: View) -> list[Tile]:
    """The alerts that are about no job, then the jobs, the worst first."""
    others = [card for card in view.snapshot.firing if card.alert.job is None]
    found = [_of_job(view, state) for state in worst_first(view)]
    return [*(_of_alert(view, card) for card in others), *sorted(found, key=lambda tile: _rank(tile))]


def content(view: View, cells: int, rows: int) -> list[Line]:
    """The large letters, and as many tiles as fit."""
    head = letters(*headline(view))
    lines: list[Line] = [EMPTY, *head, EMPTY] if head else []
    shown = tiles(view)
    if not shown:
        return [*lines, *empty(view, Work.JOBS, NO_JOBS).lines]
    across = max(1, (cells + GAP) // (TILE_CELLS + GAP))
    each = (cells - GAP * (across - 1)) // across
    down = max(1, (rows - len(lines)) // (TILE_ROWS + GAP))
    room = across * down
    if len(shown) > room:
        shown = [*shown[: room - 1], _rest(shown[room - 1 :])]
    for start in range(0, len(shown), across):
        drawn = [list(_drawn(tile, each)) for tile in shown[start : start + across]]
        lines += [_beside(row, each) for row in zip(*drawn, strict=True)]
        lines.append(EMPTY)
    return lines[:rows]


def _rank(tile: Tile) -> int:
    """Problems first, then what runs or is paused, then what is well."""
    if tile.is_ok:
        return 2
    return 0 if tile.state.style in ("bad", "warn") and tile.state != symbols.PAUSED else 1


def _of_alert(view: View, card: AlertCard) -> Tile:
    alert = card.alert
    symbol = symbols.SEVERITY[alert.severity]
    return Tile(
        symbol,
        humanize.age(view.now - alert.since),
        finding_text.name(alert.rule, alert.subject),
        line(text(alert.message, "", 200)),
    )


def _of_job(view: View, job: JobState) -> Tile:
    card, state, finding = job.card, job.symbol, job.finding
    progress = next((each for each in view.snapshot.live if each.run.job == card.name), None)
    if progress is not None and progress.run.started_at is not None:
        done = share(progress.run)
        percent = "" if done is None else f"  {done:.0%}"
        return Tile(state, humanize.age(view.now - progress.run.started_at), card.name, line(*bar(done, 20), percent))
    if finding is not None:
        sentence = text(finding_text.sentence(finding, view.now), "", 200)
        return Tile(state, humanize.age(view.now - finding.since), card.name, line(sentence))
    if card.next_at is None:
        return Tile(state, "", card.name, line(Piece("manual", "quiet")), is_ok=True)
    at = humanize.upcoming_time(card.next_at, view.now, view.zone_of(card.name))
    is_ok = job.rank is Rank.OK
    return Tile(state, "", card.name, line(Piece(f"next {at}", "quiet")), is_ok=is_ok)


def _rest(hidden: Sequence[Tile]) -> Tile:
    """What is shown instead of the tiles that do not fit."""
    bad = sum(not tile.is_ok for tile in hidden)
    attention = symbols.SEVERITY[Severity.WARNING]._replace(word="more")
    state = attention if bad else symbols.RESOLVED._replace(word="ok")
    are_all_ok = all(tile.state == symbols.OK for tile in hidden)
    good = f"{len(hidden)} more are ok" if are_all_ok else f"{len(hidden)} more without a problem"
    name = f"{bad} more need a look" if bad else good
    return Tile(state, "", name, EMPTY, is_ok=not bad)


def _drawn(tile: Tile, cells: int) -> Iterator[Line]:
    """Three lines behind an edge in the colour of the state."""
    symbol = tile.state
    edge, inner = Piece("▌", symbol.style), cells - 2
    word = line(Piece(f"{symbol.char} {symbol.word.upper()}", symbol.style))
    yield (edge, Piece(" "), *ends(word, line(Piece(tile.note, "quiet")), inner))
    yield (edge, Piece(" "), *fill(line(Piece(middle(tile.name, inner), "strong")), inner))
    yield (edge, Piece(" "), *fill(tile.about, inner))


def _beside(row: Sequence[Line], cells: int) -> Line:
    return tuple(piece for each in row for piece in (*fill(each, cells), Piece(" " * GAP)))[:-1]
