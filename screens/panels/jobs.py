"""The list of jobs: which of them are shown, in which order, and a row for each."""

from __future__ import annotations

from enum import StrEnum

from opsconsole.authoring.run import NEEDS_A_LOOK, RunState
from opsconsole.core import humanize
from opsconsole.rules.findings import FindingKind
from opsconsole.service.snapshot import Finding, JobCard, JobHistory, Severity, Work
from screens.panels import pauses
from screens.panels.view import Block, Key, View, empty, fit, stale
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Line, Piece, fill, left, line, right, text, width
from screens.widgets.symbols import Symbol

PANEL = "jobs"
COMPACT, WIDE, WIDEST = 76, 100, 140
"""From these widths on there is room for the last run, for the schedule in words, and for more rates."""
STATE_CELLS, NEXT_CELLS, LAST_CELLS, USUAL_CELLS, RATE_CELLS = 12, 17, 8, 8, 7
WORDS_CELLS, ZONE_CELLS = 26, 14
NAME_CELLS, LONGEST_NAME = 24, 44

NO_JOBS = "no jobs; name a pack under `packs` in the configuration"

STATES = {
    FindingKind.LATE: "late",
    FindingKind.OVERDUE: "late",
    FindingKind.NO_GOOD_RUN: "stale",
    FindingKind.LONG_RUN: "too long",
    FindingKind.SLOW_RUN: "slow",
    FindingKind.FAILING_REPEATEDLY: "failing",
    FindingKind.FAILING_ITEMS: "failing",
    FindingKind.LOW_SUCCESS_RATE: "low rate",
    FindingKind.LOW_WORK: "few items",
    FindingKind.MISSED: "missed",
    FindingKind.INCOMPLETE_WINDOWS: "windows",
}
"""The state of a job with such a finding; of a failed run, the state is that of the run."""


class Segment(StrEnum):
    """Which jobs are listed."""

    ALL = "all"
    FAILED = "failed"
    RUNNING = "running"
    PAUSED = "paused"
    MANUAL = "manual"


def key(card: JobCard) -> Key:
    """The key of a job's row."""
    return PANEL, card.name


def listed(view: View, segment: Segment, query: str = "") -> list[JobCard]:
    """The jobs of a segment whose name, alias, schedule or zone contains every word of a query: those with a problem
    first, the worst one at the top, then by name.
    """
    words = query.casefold().split()
    found = [card for card in view.snapshot.jobs if is_in(view, card, segment) and _matches(card, words)]
    return sorted(found, key=lambda card: (-_badness(view, card), card.name))


def is_in(view: View, card: JobCard, segment: Segment) -> bool:
    """Whether a job is in a segment."""
    match segment:
        case Segment.ALL:
            return True
        case Segment.FAILED:
            return _badness(view, card) > 0
        case Segment.RUNNING:
            return view.active_run(card.name) is not None
        case Segment.PAUSED:
            return bool(view.pauses_of(card.name))
        case Segment.MANUAL:
            return card.cron is None


def state(view: View, card: JobCard) -> Symbol:
    """How a job is doing, in one word: its active run, its pause, its worst problem, or its newest run."""
    active = view.active_run(card.name)
    if active is not None:
        return symbols.RUN[active.state]
    if view.pauses_of(card.name):
        return symbols.PAUSED
    finding = worst(view, card.name)
    if finding is not None and finding.kind in STATES:
        severity = symbols.SEVERITY[finding.severity]
        return Symbol(severity.char, STATES[finding.kind], severity.style)
    ended = _ended(view, card.name)
    if ended is None:
        return symbols.NEVER
    symbol = symbols.RUN[ended]
    return symbol._replace(word="ok") if ended is RunState.SUCCEEDED else symbol


def worst(view: View, job: str) -> Finding | None:
    """The worst finding about a job: they are worst first."""
    return next((finding for finding in view.snapshot.findings if finding.subject == job), None)


def history(view: View, job: str) -> JobHistory | None:
    """The success rates and newest runs of a job; None until they are read."""
    return next((each for each in view.snapshot.histories if each.job == job), None)


def title(view: View, segment: Segment, cells: int) -> Line:
    """The segments with their counts, of which the chosen one stands out; without the counts where they do not fit."""
    counts = [sum(is_in(view, card, each) for card in view.snapshot.jobs) for each in Segment]
    whole = _segments([f"{each} {count:,}" for each, count in zip(Segment, counts, strict=True)], segment)
    return whole if width(whole) <= cells else _segments([str(each) for each in Segment], segment)


def end(view: View, query: Line, hidden: int) -> Line:
    """Since when the jobs are stale, otherwise how many are hidden, and the filter."""
    more = line(Piece(f"{hidden:,} more", "quiet"), "  ") if hidden else EMPTY
    return stale(view) or (*more, *query)


def columns(cells: int) -> Line:
    """The names of the columns."""
    parts = [
        left("  state", STATE_CELLS + 3, "quiet"),
        left("job", _name_cells(cells), "quiet"),
        Piece(" "),
        left("next", NEXT_CELLS, "quiet"),
    ]
    if cells < COMPACT:
        return fill(tuple(parts), cells)
    parts.append(right("last", LAST_CELLS, "quiet"))
    rates = ("24 h", "7 d", "30 d") if cells >= WIDEST else ("24 h",)
    parts += [right(each, RATE_CELLS, "quiet") for each in rates] if cells >= WIDE else []
    parts.append(right("usual", USUAL_CELLS, "quiet"))
    if cells >= WIDE:
        parts += [Piece("  "), Piece("schedule", "quiet")]
    return fill(tuple(parts), cells)


def rows(view: View, cards: list[JobCard], cells: int, room: int, nothing: str) -> tuple[list[Line], list[Key], int]:
    """`room` rows, the one under the cursor included; their keys, and how many jobs are hidden. `nothing` is shown
    without a job.
    """
    keys = [key(card) for card in cards]
    blocks = [Block((_row(view, card, cells),), key(card)) for card in cards]
    if not blocks and view.snapshot.jobs:
        return [line("   ", Piece(nothing, "quiet"))], [], 0
    lines, hidden = fit(blocks or [empty(view, Work.JOBS, NO_JOBS)], room, cells, view.cursor)
    first = max(0, keys.index(view.cursor) + 1 - room) if view.cursor in keys else 0
    return lines, keys[first : first + room], hidden


def nothing(segment: Segment, query: str) -> str:
    """What a list without jobs shows."""
    if query:
        return "no job matches; esc clears the filter"
    return "every job has a schedule" if segment is Segment.MANUAL else f"no job is {segment}"


def _row(view: View, card: JobCard, cells: int) -> Line:
    symbol = state(view, card)
    start = line(
        " ",
        Piece(symbol.char, symbol.style),
        " ",
        left(symbol.word, STATE_CELLS, symbol.style),
        left(card.name, _name_cells(cells), "strong"),
        " ",
    )
    if cells < COMPACT:
        return fill((*start, *_next(view, card)), cells)
    mine = history(view, card.name)
    last = _last(view, card)
    rates = [mine.rates.day, mine.rates.week, mine.rates.month] if mine is not None else [None] * 3
    shown = rates if cells >= WIDEST else rates[:1] if cells >= WIDE else []
    parts = [*_next(view, card), right(last, LAST_CELLS), *(_rate(share) for share in shown)]
    usual = mine.usual_seconds if mine is not None else None
    parts.append(right(humanize.short_duration(usual), USUAL_CELLS))
    if cells >= WIDE:
        zone = f" ({card.tz})" if card.cron is not None else ""
        parts += [Piece("  "), text(f"{card.words}{zone}", "quiet", 120)]
    return fill((*start, *parts), cells)


def _segments(words: list[str], chosen: Segment) -> Line:
    pieces = [Piece("Jobs", "title"), Piece(" ")]
    for each, word in zip(Segment, words, strict=True):
        pieces.append(Piece(f"[{word}]", "chosen") if each is chosen else Piece(f" {word} ", "quiet"))
    return tuple(pieces)


def _next(view: View, card: JobCard) -> Line:
    """The next scheduled time in the job's zone; for a paused job, who paused it until when."""
    paused = view.pauses_of(card.name)
    if paused:
        pause = paused[0]
        end = pauses.end_of(pause, view.now, view.shown_zone(card.tz))
        who = line(text(f"{pause.who} {end.removeprefix('until ')}", symbols.PAUSED.style, 40))
        return fill(who if width(who) < NEXT_CELLS else line(Piece(end, symbols.PAUSED.style)), NEXT_CELLS)
    if card.next_at is None:
        return (left("manual" if card.cron is None else "-", NEXT_CELLS, "quiet"),)
    return (left(humanize.upcoming_time(card.next_at, view.now, view.shown_zone(card.tz)), NEXT_CELLS),)


def _last(view: View, card: JobCard) -> str:
    """How long ago its newest run ended, or started."""
    run = view.newest_run(card.name)
    if run is None:
        return "-"
    return humanize.age(view.now - (run.ended_at or run.started_at or run.created_at))


def _rate(share: float | None) -> Piece:
    style = "quiet" if share is None else "bad" if share < 0.90 else "warn" if share < 0.95 else ""
    return right(humanize.percent(share), RATE_CELLS, style)


def _name_cells(cells: int) -> int:
    """The width of a name: what the other columns leave."""
    others = STATE_CELLS + 4 + NEXT_CELLS + LAST_CELLS + USUAL_CELLS
    if cells >= WIDE:
        others += RATE_CELLS * (3 if cells >= WIDEST else 1) + WORDS_CELLS + 2
    return max(NAME_CELLS, min(LONGEST_NAME, cells - others))


def _badness(view: View, card: JobCard) -> int:
    """0 for a job without a problem."""
    finding = worst(view, card.name)
    if finding is not None:
        return 3 if finding.severity is Severity.CRITICAL else 2
    return 1 if _ended(view, card.name) in NEEDS_A_LOOK else 0


def _ended(view: View, job: str) -> RunState | None:
    """The state of the newest ended run."""
    mine = history(view, job)
    return mine.newest[0].state if mine is not None and mine.newest else None


def _matches(card: JobCard, words: list[str]) -> bool:
    texts = [each.casefold() for each in (card.name, *card.aliases, card.words, card.tz, card.description)]
    return all(any(word in each for each in texts) for word in words)
