"""What operators write for others, as Markdown: an incident, and what the next shift has to know. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from opsconsole.authoring.run import RunState
from opsconsole.core.humanize import count, duration, relative_time, timestamp, words
from opsconsole.core.text import safe
from opsconsole.rules import finding_text, runbook
from opsconsole.rules.alerts import AlertState
from opsconsole.rules.findings import FindingKind
from opsconsole.rules.notifications import DeliveryState
from opsconsole.service import wording
from opsconsole.service.alert_cards import AlertCard, AlertPage, firing
from opsconsole.service.snapshot import JobCard, Pause, Progress, Snapshot

MAX_TEXT = 500
MAX_EARLIER = 5
NEXT_RUNS = 5
NEXT_HOURS = timedelta(hours=12)
UNHAPPY = (RunState.PARTIAL, RunState.FAILED, RunState.TIMED_OUT, RunState.ABANDONED)
_SPECIAL = re.compile(r"([\\`*\[\]<>|~])")

Event = tuple[datetime, str]


# --- an incident --------------------------------------------------------------------------------------------------


def incident(pages: Sequence[AlertPage], environment: str, now: datetime) -> str:
    """The write-up of some alerts: each with its state, what it explains and what happened before, and one timeline."""
    if not pages:
        return f"# No incident\n\nNo alert is open.\n\n{_written(environment, now)}\n"
    first, *others = pages
    more = f" and {count(len(others), 'other alert')}" if others else ""
    parts = [f"# Incident: {_name(first.card)}{more}", _written(environment, now)]
    parts += [_alert(page, now) for page in pages]
    parts.append("## Timeline\n\n" + "\n".join(f"- {timestamp(at)} {what}" for at, what in _timeline(pages)))
    return "\n\n".join(parts) + "\n"


def _alert(page: AlertPage, now: datetime) -> str:
    card, alert = page.card, page.card.alert
    lasted = duration((alert.resolved_at or now) - alert.since)
    lines = [
        f"- {'lasted' if alert.resolved_at else 'for'} {lasted}, since {timestamp(alert.since)}",
        f"- severity: {alert.severity.name.lower()}, alert {alert.id}, rule {alert.rule}",
        f"- state: {state(card)}",
    ]
    if alert.run is not None:
        lines.append(f"- run: {alert.run}")
    if page.cause is not None:
        lines.append(f"- likely cause: {_name(page.cause)} {_text(page.cause.alert.message)}")
    if page.explains:
        lines.append(f"- explains: {', '.join(_name(each) for each in page.explains)}")
    lines += [f"- {line}" for line in _evidence(card)]
    lines.append(f"- runbook: {runbook.section(alert.rule, safe(alert.subject, 200))}")
    earlier = page.earlier[:MAX_EARLIER]
    lines.append(f"- before: {'never' if not earlier else ''}".rstrip())
    for each in earlier:
        note = each.acknowledged.note if each.acknowledged is not None else ""
        length = duration((each.resolved_at or now) - each.since)
        lines.append(f"  - {timestamp(each.since)} for {length}{f': {_text(note)}' if note else ''}")
    return f"## {_name(card)} {_text(alert.message)}\n\n" + "\n".join(lines)


def _evidence(card: AlertCard) -> Iterator[str]:
    numbers = card.alert.evidence.get("numbers")
    if isinstance(numbers, dict) and numbers:
        yield "figures: " + ", ".join(f"{_text(words(str(name)))} {_text(value)}" for name, value in numbers.items())
    items = card.alert.evidence.get("items")
    if isinstance(items, list) and items:
        yield "items: " + ", ".join(_text(each) for each in items[:20])


def _timeline(pages: Iterable[AlertPage]) -> list[Event]:
    """What happened, oldest first: when alerts began and ended, who acknowledged them, and what was sent."""
    found: dict[tuple[datetime, str], None] = {}
    for page in pages:
        for card in (page.card, *page.explains):
            found.update(dict.fromkeys(_events(card)))
        for each in page.notifications:
            if each.state is DeliveryState.SENT and each.sent_at is not None:
                found[each.sent_at, f"{_name(page.card)}: {words(each.event)} sent to {_text(each.channel)}"] = None
            elif each.state is DeliveryState.GIVEN_UP:
                found[each.created_at, f"{_name(page.card)}: not delivered to {_text(each.channel)}"] = None
    return sorted(found)


def _events(card: AlertCard) -> Iterator[Event]:
    alert, name = card.alert, _name(card)
    yield alert.since, f"{name} {_text(alert.message)}"
    if alert.worse_at is not None:
        yield alert.worse_at, f"{name} became worse"
    if alert.acknowledged is not None:
        note = f": {_text(alert.acknowledged.note)}" if alert.acknowledged.note else ""
        yield alert.acknowledged.at, f"{name}: acknowledged by {_text(alert.acknowledged.who)}{note}"
    if alert.resolved_at is not None:
        yield alert.resolved_at, f"{name} resolved"


# --- a handover ---------------------------------------------------------------------------------------------------


def handover(snapshot: Snapshot, now: datetime) -> str:
    """What fires and who works on it, what runs, what is paused, and what runs next."""
    fires = firing(snapshot.alerts)
    held = [card for card in snapshot.alerts if card.state in (AlertState.ACKNOWLEDGED, AlertState.SILENCED)]
    sections = (
        ("Firing", [_firing(card, now) for card in fires], "nothing"),
        ("Acknowledged and silenced", [f"{_headline(card)}: {state(card)}" for card in held], "nothing"),
        ("Running", [_running(progress, now) for progress in snapshot.live], "nothing"),
        ("Paused", [_paused(pause) for pause in snapshot.pauses], "nothing"),
        ("Next runs", [_next(card, now) for card in next_runs(snapshot, now)], "none in the next 12 hours"),
    )
    parts = ["# Handover", _written(snapshot.environment, now), f"Leader: {_leader(snapshot)}"]
    if snapshot.store_outage is not None:
        parts.append(
            f"**The store is unreachable since {timestamp(snapshot.store_outage.since)}: all below is older.**"
        )
    for title, lines, nothing in sections:
        parts.append(f"## {title} ({len(lines)})\n\n" + "\n".join(f"- {each}" for each in lines or [nothing]))
    return "\n\n".join(parts) + "\n"


def next_runs(snapshot: Snapshot, now: datetime) -> list[JobCard]:
    """The next run of each job with an open alert or a last run that did not succeed, then of some others; in the next
    12 hours, the earliest first.
    """
    due = [card for card in snapshot.jobs if card.next_at is not None and card.next_at - now <= NEXT_HOURS]
    due.sort(key=lambda card: (card.next_at or now, card.name))
    alerts = {card.alert.job for card in snapshot.alerts if card.alert.is_open}
    troubled = [card for card in due if card.name in alerts or (card.last is not None and card.last.state in UNHAPPY)]
    others = [card for card in due if card not in troubled]
    return [*troubled, *others[:NEXT_RUNS]]


def state(card: AlertCard) -> str:
    """`firing`, `acknowledged by ben until 2026-01-19 22:00:00 UTC: ticket 81`, ..."""
    alert = card.alert
    if alert.resolved_at is not None:
        return f"resolved {timestamp(alert.resolved_at)}"
    if card.acknowledged is not None:
        given = card.acknowledged
        until = f"until {timestamp(given.until)}" if given.until is not None else "until it is resolved"
        return f"acknowledged by {_text(given.who)} {until}{f': {_text(given.note)}' if given.note else ''}"
    if card.state is AlertState.SILENCED and card.silence is not None:
        held = card.silence
        until = f"until {timestamp(held.until)}" if held.until is not None else "without an end"
        return f"silenced by {_text(held.who)} {until}{f': {_text(held.note)}' if held.note else ''}"
    return "firing"


def _firing(card: AlertCard, now: datetime) -> str:
    explained = f"; explains {count(len(card.explains), 'other alert')}" if card.explains else ""
    return f"{_headline(card)}, {duration(now - card.alert.since)}, alert {card.alert.id}{explained}"


def _headline(card: AlertCard) -> str:
    return f"**{card.alert.severity.name.lower()}** {_name(card)} {_text(card.alert.message)}"


def _running(progress: Progress, now: datetime) -> str:
    run = progress.run
    of = f"{run.counts.tried:,} of {run.counts.planned:,}" if run.planning_done else f"{run.counts.tried:,} so far"
    failed = f", {run.counts.failed:,} failed" if run.counts.failed else ""
    waits = f", waits for {_text(wording.wait(progress.waits))}" if progress.waits is not None else ""
    since = f", for {duration(now - run.started_at)}" if run.started_at is not None else ""
    return f"run {run.id} {_code(run.job)} {_text(run.window.label)}: {words(run.state)}, {of}{failed}{since}{waits}"


def _paused(pause: Pause) -> str:
    until = f"until {timestamp(pause.until)}" if pause.until is not None else "until it is resumed"
    note = f": {_text(pause.note)}" if pause.note else ""
    return f"{_code(pause.target)} {until} by {_text(pause.who)}{note}"


def _next(card: JobCard, now: datetime) -> str:
    assert card.next_at is not None  # noqa: S101 - only jobs with a next run are listed
    last = card.last
    after = f"; its last run, {last.id}, {_ended(last.state)}" if last is not None and last.state in UNHAPPY else ""
    return f"{timestamp(card.next_at)} ({relative_time(card.next_at, now)}) {_code(card.name)}{after}"


def _ended(state: RunState) -> str:
    return "failed in part" if state is RunState.PARTIAL else words(state)


def _leader(snapshot: Snapshot) -> str:
    leader = snapshot.leader
    return "none: no run starts" if leader is None else f"{_text(leader.who)} on {_text(leader.host)}/{leader.pid}"


# --- texts --------------------------------------------------------------------------------------------------------


def _written(environment: str, now: datetime) -> str:
    where = f", environment {_text(environment)}" if environment else ""
    return f"Written {timestamp(now)}{where}."


def _name(card: AlertCard) -> str:
    """The subject of an alert."""
    alert = card.alert
    name = finding_text.name(alert.rule, alert.subject)
    return _text(name) if alert.rule is FindingKind.DEGRADED else _code(name)


def _code(name: str) -> str:
    """A name, in which nothing is markup."""
    return f"`{safe(name, 200).replace('`', chr(39))}`"


def _text(value: object) -> str:
    """Untrusted text: one line in which nothing is markup, a link or a picture."""
    return _SPECIAL.sub(r"\\\1", safe(value, MAX_TEXT))
