"""Notifications: which alerts are sent to which channels, and when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum

from opsconsole.core.settings import Channel
from opsconsole.rules.alerts import Alert, AlertEvent, Silence, acknowledgement_of, silence_of
from opsconsole.rules.findings import Finding, FindingKind, Severity
from opsconsole.rules.pauses import Pause

FLAPPING = timedelta(minutes=5)
"""An alert that fires again within this time of its end is sent when the time is over, if it lasts."""
UNDELIVERED_AFTER = timedelta(minutes=10)
"""A channel that has not delivered for this long is a finding: a short outage of its service is none."""


class DeliveryState(StrEnum):
    """How far a notification got."""

    DUE = "due"
    SENT = "sent"
    GIVEN_UP = "given_up"  # it could not be delivered within a day
    DROPPED = "dropped"  # its channel is no longer configured


@dataclass(frozen=True, slots=True)
class Notification:
    """A message for one channel. `uid` goes with it, so that its receivers can recognise a duplicate; `error` is why
    the last attempt failed; it is not tried again before `not_before`.
    """

    id: int
    uid: str
    alert: int
    event: AlertEvent
    channel: str
    severity: Severity
    title: str
    body: str
    created_at: datetime
    state: DeliveryState
    attempts: int = 0
    not_before: datetime | None = None
    error: str | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastMessage:
    """The newest message about an alert to a channel, and when it was written."""

    event: AlertEvent
    at: datetime
    state: DeliveryState


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a channel is doing, if its oldest undelivered message has failed at least once: since when, and why."""

    channel: str
    since: datetime
    attempts: int
    waiting: int
    error: str


def channels_for(
    channels: Iterable[Channel], severity: Severity, jobs: Collection[str], packs: Collection[str] = ()
) -> list[Channel]:
    """The channels whose filters accept an alert of this severity about these jobs: its own, and those whose alerts it
    explains. A channel with a filter gets nothing that concerns no job or pack.
    """
    concerned = {*packs, *(job.partition(".")[0] for job in jobs)}
    return [
        channel
        for channel in channels
        if severity >= Severity[channel.severity.upper()]
        and (
            not (channel.jobs or channel.packs)
            or not concerned.isdisjoint(channel.packs)
            or not set(jobs).isdisjoint(channel.jobs)
        )
    ]


def is_quiet(alert: Alert, silences: Iterable[Silence], pauses: Iterable[Pause], now: datetime) -> bool:
    """Whether nobody is notified about an alert now: one of the active silences applies to it, or its job is paused. A
    pause keeps neither critical alerts back that are not about the job itself, nor that an alert is resolved.
    """
    if silence_of(alert, silences) is not None:
        return True
    if (
        alert.job is None
        or alert.resolved_at is not None
        or (alert.severity is Severity.CRITICAL and alert.subject != alert.job)
    ):
        return False
    return any(pause.skips(alert.job, now) for pause in pauses)


def due_events(
    alert: Alert,
    channels: Iterable[Channel],
    history: Mapping[str, LastMessage],
    *,
    now: datetime,
    jobs: Collection[str] = (),
    quiet: bool = False,
    reminder: timedelta | None = None,
    resolved_before: datetime | None = None,
) -> Iterator[tuple[Channel, AlertEvent]]:
    """What to send about an alert now, by channel, after what was sent before (`history`, by channel).

    `jobs` are the further jobs whose alerts this one explains, `resolved_before` is when an earlier alert with the same
    key ended. It depends on nothing but these values: what was not sent while an alert was silenced, or before a
    channel existed, is sent when that is over.
    """
    if alert.resolved_at is not None:
        waiting = (channel for channel in channels if _awaits_the_end(history.get(channel.name)))
        yield from ((channel, AlertEvent.RESOLVED) for channel in waiting if not quiet)
        return
    if alert.cause is not None or quiet or acknowledgement_of(alert, now) is not None:
        return
    concerned = {*jobs, *((alert.job,) if alert.job else ())}
    packs = (alert.pack,) if alert.pack else ()
    for channel in channels_for(channels, alert.severity, concerned, packs):
        if alert.rule is FindingKind.NOTIFICATIONS and alert.subject == channel.name:
            continue
        last = history.get(channel.name)
        event = _due_event(alert, last, now, reminder, resolved_before)
        if event is not None:
            yield channel, event


def _due_event(
    alert: Alert, last: LastMessage | None, now: datetime, reminder: timedelta | None, resolved_before: datetime | None
) -> AlertEvent | None:
    if last is None:
        is_flapping = resolved_before is not None and now < resolved_before + FLAPPING and alert.worse_at is None
        return None if is_flapping else AlertEvent.FIRED
    if alert.worse_at is not None and last.at < alert.worse_at:
        return AlertEvent.WORSE
    if reminder is not None and now >= last.at + reminder and last.state is not DeliveryState.DUE:
        return AlertEvent.REMINDER
    return None


def _awaits_the_end(last: LastMessage | None) -> bool:
    """Whether a channel was notified of an alert, and not yet of its end."""
    undelivered = (DeliveryState.GIVEN_UP, DeliveryState.DROPPED)
    return last is not None and last.event is not AlertEvent.RESOLVED and last.state not in undelivered


def undelivered(deliveries: Iterable[Delivery], now: datetime) -> Iterator[Finding]:
    """A finding for each channel that does not deliver."""
    for each in deliveries:
        if each.since + UNDELIVERED_AFTER <= now:
            yield Finding(
                Severity.WARNING,
                FindingKind.NOTIFICATIONS,
                each.channel,
                each.since,
                reason=each.error,
                count=each.waiting,
                numbers={"attempts": each.attempts},
            )


def filter_problems(channels: Iterable[Channel], jobs: Collection[str], packs: Collection[str]) -> Iterator[str]:
    """A sentence for each job or pack in the filter of a channel that does not exist."""
    for channel in channels:
        for kind, names, existing in (("job", channel.jobs, jobs), ("pack", channel.packs, packs)):
            for name in (name for name in names if name not in existing):
                close = get_close_matches(name, existing, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                yield f"notify.{channel.name}.{kind}s: there is no {kind} {name}{hint}"
