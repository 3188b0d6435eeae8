"""The alert under the cursor: since when, its figures, what it explains, what was sent, and what happened before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from opsconsole.core import humanize
from opsconsole.rules import runbook
from opsconsole.rules.findings import ENDED, Remedy
from opsconsole.rules.notifications import DeliveryState
from opsconsole.service.snapshot import Alert, AlertCard, AlertPage, Notification
from screens.panels import alerts, fixes
from screens.panels.alerts import subject
from screens.panels.view import View
from screens.widgets import symbols
from screens.widgets.lines import Line, Piece, crop, left, line, text, wrapped

LABEL_CELLS = 10
MAX_SENTENCE_LINES = 3
MAX_ITEMS, MAX_JOINED, MAX_SENT, MAX_EARLIER = 8, 20, 12, 5
RECENT = timedelta(days=30)
EFFECTS = {
    Remedy.TRIGGER: "triggers the job",
    Remedy.RETRY: "retries what failed",
    Remedy.BACKFILL: "opens the calendar with a plan",
}
"""The effect of the key that fixes it."""
SENT = {
    DeliveryState.SENT: Piece("✓", "ok"),
    DeliveryState.DUE: Piece("waiting", "warn"),
    DeliveryState.GIVEN_UP: Piece("✗ given up", "bad"),
    DeliveryState.DROPPED: Piece("- its channel was removed", "quiet"),
}
UNREADABLE = "what was sent and what happened before cannot be read now"
NOTHING_SENT = "nothing was sent"


def title(card: AlertCard) -> Line:
    """The subject of the alert."""
    return line(text(subject(card), "title", 60))


def end(card: AlertCard, now: datetime) -> Line:
    """Its state and severity."""
    return line(*alerts.status(card, now), Piece(f" · {symbols.SEVERITY[card.alert.severity].word}", "quiet"))


def rows(
    view: View, card: AlertCard, page: AlertPage | None, cells: int, room: int, *, has_failed: bool = False
) -> list[Line]:
    """Up to `room` lines about the alert; `page` is None until it is loaded, or if that failed."""
    now = view.now
    lines = [*_facts(view, card, cells)]
    lines += (
        [_label("", Piece(UNREADABLE if has_failed else "loading", "quiet"))]
        if page is None
        else _history(page, now, cells)
    )
    lines.append(_label("runbook", text(runbook.section(card.alert.rule, card.alert.subject), "quiet", 120)))
    if len(lines) > room:  # the sentences at the start give way least, the runbook stays
        lines = [*lines[: room - 1], lines[-1]]
    return [crop(each, cells) for each in lines[:room]]


def _facts(view: View, card: AlertCard, cells: int) -> Iterator[Line]:
    """What the list has of it: the whole sentence, since when, its figures, and who acknowledged it."""
    alert, now = card.alert, view.now
    yield from (line(" ", *each) for each in wrapped([alert.message], cells - 2)[:MAX_SENTENCE_LINES])
    yield _label("since", *_since(alert, now))
    for name, value in _evidence(alert.evidence):
        yield _label(name, text(value, limit=300))
    taken = alerts.acknowledgement(card, now)
    if taken is not None:
        yield _label("who", text(taken, "strong", 300))
    if card.silence is not None:
        yield _label("silence", text(alerts.silence(card.silence, now), "strong", 300))
    offered = view.offer(fixes.OF[card.remedy]) if card.remedy is not None else None
    if offered is not None and card.remedy is not None:
        yield _label("do", Piece(offered[0], "key"), Piece(f" {EFFECTS[card.remedy]}", "quiet"))


def _history(page: AlertPage, now: datetime, cells: int) -> Iterator[Line]:
    """What the store has beside it: causes and effects, notifications, earlier alerts."""
    if page.cause is not None:
        yield _label("cause", text(f"{subject(page.cause)} {page.cause.alert.message}", limit=300))
    if page.explains:
        names = [subject(each) for each in page.explains[:MAX_JOINED]]
        more = len(page.explains) - len(names)
        listed = ", ".join(names) + (f" and {more:,} more" if more else "")
        yield from _wrapped("explains", [listed], cells)
    yield from _sent(page.notifications, now, cells)
    yield from _before(page.earlier, page.at, now, cells)


def _since(alert: Alert, now: datetime) -> Iterator[Piece]:
    lasted = humanize.duration((alert.resolved_at or now) - alert.since)
    yield Piece(f"{humanize.date_and_time(alert.since, now)}, ")
    if alert.resolved_at is not None:
        yield Piece(f"resolved {humanize.date_and_time(alert.resolved_at, now)} after {lasted}", "ok")
    else:
        yield Piece(f"for {lasted}")
    if alert.worse_at is not None:
        yield Piece(f", worse at {humanize.date_and_time(alert.worse_at, now)}", "warn")
    if alert.run is not None:
        yield Piece(f"  run {alert.run}", "quiet")


def _evidence(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    numbers = evidence.get("numbers")
    if isinstance(numbers, Mapping) and numbers:
        shown = {humanize.words(str(name)): value for name, value in numbers.items() if name != ENDED}
        figures = [f"{name} {_figure(value)}" for name, value in shown.items() if _is_number(value)]
        yield "figures", " · ".join(figures)
    for name in ("items", "jobs"):
        values = evidence.get(name)
        if isinstance(values, list) and values:
            more = f" and {len(values) - MAX_ITEMS} more" if len(values) > MAX_ITEMS else ""
            yield name, " ".join(str(each) for each in values[:MAX_ITEMS]) + more


def _figure(value: float) -> str:
    """A number as people read it: whole, or with three digits."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"


def _sent(sent: Sequence[Notification], now: datetime, cells: int) -> Iterator[Line]:
    """To which channels, when, and how far each message got; a failure with its reason on a line of its own."""
    if not sent:
        yield _label("sent", Piece(NOTHING_SENT, "quiet"))
        return
    pieces: list[Piece] = []
    for each in reversed(sent[:MAX_SENT]):
        at = humanize.date_and_time(each.sent_at or each.created_at, now).removesuffix(" UTC")
        pieces += [text(f"{each.channel} {each.event} {at} ", limit=80), SENT[each.state], Piece("   ")]
    yield _label("sent", *pieces)
    failed = next((each for each in sent if each.error and each.state is not DeliveryState.SENT), None)
    if failed is not None:
        tries = humanize.count(failed.attempts, "attempt")
        yield from _wrapped("", [f"{failed.channel} failed, {tries}: {failed.error}"], cells, "bad")


def _before(earlier: Sequence[Alert], at: datetime, now: datetime, cells: int) -> Iterator[Line]:
    """The earlier alerts of the same rule and subject, with the notes of those who acknowledged them."""
    if not earlier:
        yield _label("before", Piece("never", "quiet"))
        return
    recent = sum(each.since > at - RECENT for each in earlier)
    listed = "; ".join(_earlier(each, now) for each in earlier[:MAX_EARLIER])
    yield from _wrapped("before", [f"{_times(recent)} in 30 days: {listed}"], cells)


def _earlier(alert: Alert, now: datetime) -> str:
    lasted = humanize.age((alert.resolved_at or now) - alert.since)
    given = alert.acknowledged
    note = f" ({given.who}: {given.note})" if given is not None and given.note else ""
    return f"{humanize.date_and_time(alert.since, now).removesuffix(' UTC')} for {lasted}{note}"


def _times(number: int) -> str:
    return {0: "not", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _label(name: str, *pieces: Piece) -> Line:
    return line(" ", left(name, LABEL_CELLS, "quiet"), *pieces)


def _wrapped(name: str, sentences: Sequence[str], cells: int, style: str = "") -> Iterator[Line]:
    for index, each in enumerate(wrapped(sentences, cells - LABEL_CELLS - 2, style)):
        yield _label(name if index == 0 else "", *each)
