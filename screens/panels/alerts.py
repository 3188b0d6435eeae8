"""Alerts: which are listed, their rows joined by cause, and what operators do about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from opsconsole.core import humanize
from opsconsole.rules import finding_text
from opsconsole.rules.alerts import AlertState
from opsconsole.rules.findings import FindingKind
from opsconsole.service.snapshot import AlertCard, Silence, Snapshot, Work
from screens import command_lines
from screens.panels.questions import NO, Question
from screens.panels.view import Block, Fitted, Key, View, empty, fitted, stale
from screens.widgets import segments, symbols
from screens.widgets.lines import Line, Piece, Spot, ends, fill, left, line, text, width

PANEL = "alerts"
HEAD = Piece(" "), Piece("Alerts", "title"), Piece("  ")
WIDE = 110
"""From this width on, the column with who acknowledged an alert has room for a note."""
WHO_CELLS, WIDE_WHO_CELLS = 25, 48

ACKNOWLEDGEMENTS: tuple[tuple[str, timedelta | None], ...] = (
    ("1 h", timedelta(hours=1)),
    ("4 h", timedelta(hours=4)),
    ("24 h", timedelta(hours=24)),
    ("3 d", timedelta(days=3)),
    ("until resolved", None),
)
"""The durations of an acknowledgement that the dialog offers."""
DEFAULT_ACKNOWLEDGEMENT = 4
SILENCES: tuple[tuple[str, timedelta | None], ...] = (
    ("1 h", timedelta(hours=1)),
    ("4 h", timedelta(hours=4)),
    ("12 h", timedelta(hours=12)),
    ("24 h", timedelta(hours=24)),
    ("7 d", timedelta(days=7)),
)
"""The durations of a silence that the dialog offers; a forgotten one must end."""
DEFAULT_SILENCE = 2


class Segment(StrEnum):
    """Which alerts are listed."""

    ALL = "all"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"


def key(card: AlertCard) -> Key:
    """The key of an alert's row."""
    return PANEL, str(card.alert.id)


def listed(cards: Sequence[AlertCard], segment: Segment) -> list[AlertCard]:
    """The alerts of a segment: those in its state, each followed by those that it explains."""
    if segment is Segment.ALL:
        return list(cards)
    causes = _open_numbers(cards)
    chosen = {card.alert.id for card in cards if _is_root(card, causes) and card.state == segment.value}
    return [card for card in cards if card.alert.id in chosen or (card.alert.is_open and card.alert.cause in chosen)]


def count(cards: Sequence[AlertCard], segment: Segment) -> int:
    """How many alerts of a segment no open one explains."""
    causes = _open_numbers(cards)
    return sum(_is_root(card, causes) and segment in (Segment.ALL, card.state.value) for card in cards)


def of_finding(snapshot: Snapshot, finding_key: tuple[FindingKind, str]) -> AlertCard | None:
    """The open alert of a finding; None before a leader has recorded it."""
    return next((card for card in snapshot.alerts if card.alert.is_open and card.alert.key == finding_key), None)


def header(view: View, segment: Segment, cells: int) -> Line:
    """The segments with their counts, of which the chosen one stands out; and since when they are stale."""
    pieces = *HEAD, *segments.pieces(_words(view.snapshot.alerts), segment)
    return ends(pieces, line("  ", *stale(view), " "), cells)


def spots(view: View) -> list[Spot]:
    """Where the segments of the header are."""
    return segments.spots(_words(view.snapshot.alerts), 0, width(HEAD))


def _words(cards: Sequence[AlertCard]) -> dict[str, str]:
    return {each.value: f"{each} {count(cards, each)}" for each in Segment}


def title(cells: int) -> Line:
    """The names of the columns, in the border above them: it starts with the third cell."""
    return line(
        Piece("since", "title"),
        Piece(" ─ ", "rule"),
        Piece("what", "title"),
        Piece(f" {'─' * max(0, cells - _who_cells(cells) - 17)} ", "rule"),
        Piece("who", "title"),
    )


def rows(view: View, segment: Segment, cells: int, room: int) -> Fitted:
    """`room` rows, the one under the cursor included."""
    shown = listed(view.snapshot.alerts, segment)
    causes = _open_numbers(view.snapshot.alerts)
    blocks = [Block((_row(card, view, cells, is_joined=not _is_root(card, causes)),), key(card)) for card in shown]
    return fitted(blocks or [empty(view, Work.ALERT_LIST, nothing(segment))], room, cells, view.cursor)


def nothing(segment: Segment) -> str:
    """What an empty segment shows."""
    if segment is Segment.ALL:
        return "no alerts: none is open, and none was resolved in the last 24 hours"
    if segment is Segment.RESOLVED:
        return "no alert was resolved in the last 24 hours"
    return f"no alert is {segment}"


def status(card: AlertCard, now: datetime, *, note: bool = False) -> Line:
    """Its state in words: `firing 8 min`, `ben until 18:00 UTC`, `silenced until 18:00 UTC`, `resolved 06:44 UTC`."""
    alert = card.alert
    if alert.resolved_at is not None:
        return line(Piece(f"resolved {humanize.date_and_time(alert.resolved_at, now)}", "ok"))
    if card.acknowledged is not None:
        given = card.acknowledged
        words: Line = (text(given.who, "", 40), Piece(f" {_until(given.until, now, 'until resolved')}"))
        return (*words, text(f": {given.note}", "quiet", 200)) if note and given.note else words
    if card.state is AlertState.SILENCED and card.silence is not None:
        words = (Piece(f"silenced {_until(card.silence.until, now, 'without an end')}"),)
        reason = f": {card.silence.note}" if card.silence.note else ""
        return (*words, text(f" by {card.silence.who}{reason}", "quiet", 200)) if note else words
    return line(Piece(f"firing {humanize.age(now - alert.since)}", symbols.SEVERITY[alert.severity].style))


def name(card: AlertCard) -> str:
    """An alert in a sentence; contains untrusted text."""
    return f"alert {card.alert.id} ({subject(card)}: {kind(card)})"


def kind(card: AlertCard) -> str:
    """The rule that an alert is about, in words."""
    return humanize.words(card.alert.rule)


def silence_targets(card: AlertCard) -> list[tuple[str, str, str]]:
    """What can be silenced from an alert's row, with its name and a description: the alert, its job, pack and rule."""
    alert = card.alert
    found = [(str(alert.id), f"{subject(card)}: {kind(card)}", "this alert")]
    if alert.job is not None:
        found.append((alert.job, alert.job, "the whole job"))
    if alert.pack is not None:
        found.append((alert.pack, alert.pack, "the whole pack"))
    return [*found, (alert.rule, kind(card), "this rule, for every job")]


def until(duration: timedelta | None, now: datetime) -> datetime | None:
    """The end of what starts now: a whole minute, so that the time shown is exact."""
    return None if duration is None else (now + duration).replace(second=0, microsecond=0)


def end_in_words(at: datetime | None, now: datetime, otherwise: str) -> str:
    """When it ends: `06:20 UTC, in 11 h 59 min`."""
    if at is None:
        return otherwise
    return f"{humanize.upcoming_time(at, now)}, in {humanize.duration(at - now)}"


def acknowledgement(card: AlertCard, now: datetime) -> str | None:
    """The acknowledgement in force, as a sentence; contains untrusted text."""
    given = card.acknowledged
    if given is None:
        return None
    note = f": {given.note}" if given.note else ""
    return f"{given.who} acknowledged it {_until(given.until, now, 'until it is resolved')}{note}"


def silence(silence: Silence, now: datetime) -> str:
    """A silence, as a sentence; contains untrusted text."""
    note = f": {silence.note}" if silence.note else ""
    return f"{silence.target} is silenced by {silence.who} {_until(silence.until, now, 'without an end')}{note}"


def target_name(target: str) -> str:
    """The target of a request for a silence, in a sentence."""
    return f"alert {target}" if target.isdigit() else target


def unsilence_question(silenced: Silence, now: datetime) -> Question:
    """The question before a silence ends that concerns more than one alert."""
    effect = f"From then on, notifications about {silenced.target} are sent."
    title, commands = f"End the silence of {silenced.target}?", (command_lines.unsilence(silenced.target),)
    return Question(title, (f"{silence(silenced, now)}.", effect), ("End it", NO), 0, commands)


def symbol_of(card: AlertCard) -> symbols.Symbol:
    """How an alert is shown: by its severity while it is open, quietly once it is acknowledged or silenced."""
    if not card.alert.is_open:
        return symbols.RESOLVED
    symbol = symbols.SEVERITY[card.alert.severity]
    return symbol if card.state is AlertState.FIRING else symbol._replace(style="quiet")


def subject(card: AlertCard) -> str:
    """What an alert is about, in words."""
    return finding_text.name(card.alert.rule, card.alert.subject)


def _row(card: AlertCard, view: View, cells: int, *, is_joined: bool) -> Line:
    alert, now, symbol = card.alert, view.now, symbol_of(card)
    style = "strong" if alert.is_open else "quiet"
    start = line(
        " ",
        Piece(symbol.char, symbol.style),
        " ",
        left(_short_time(alert.since, now), 6),
        "   " if is_joined else " ",
        text(subject(card), style, 80),
        text(f" {alert.message}", "" if alert.is_open else "quiet", 300),
    )
    who = status(card, now, note=cells >= WIDE)
    if is_joined and card.state is AlertState.FIRING:
        who = line(Piece("(same cause)", "quiet"))
    joined = f" +{len(card.explains)}" if card.explains else ""
    return ends(start, line(Piece(joined, "quiet"), "  ", *fill(who, _who_cells(cells)), " "), cells)


def _who_cells(cells: int) -> int:
    return WIDE_WHO_CELLS if cells >= WIDE else WHO_CELLS


def _open_numbers(cards: Sequence[AlertCard]) -> set[int]:
    return {card.alert.id for card in cards if card.alert.is_open}


def _is_root(card: AlertCard, causes: set[int]) -> bool:
    return not card.alert.is_open or card.alert.cause not in causes


def _until(at: datetime | None, now: datetime, otherwise: str) -> str:
    return otherwise if at is None else f"until {humanize.upcoming_time(at, now)}"


def _short_time(at: datetime, now: datetime) -> str:
    """The time of day in UTC, or the date of another day: at most six cells."""
    local, today = (each.astimezone(UTC) for each in (at, now))
    return f"{local:%H:%M}" if local.date() == today.date() else humanize.short_date(local, local)
