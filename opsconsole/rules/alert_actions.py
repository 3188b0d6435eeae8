"""Which actions on alerts are allowed: acknowledging and silencing them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from opsconsole.core.errors import Exit, OpsconsoleError, Refused, UnknownJob
from opsconsole.core.humanize import alternatives, local_time
from opsconsole.rules.alerts import Alert, Silence, acknowledgement_of
from opsconsole.rules.findings import FindingKind

if TYPE_CHECKING:
    from opsconsole.authoring.catalog import Catalog


class UnknownSilenceTarget(OpsconsoleError):
    """What a silence cannot apply to: neither an alert's number nor a job, a pack or a rule."""

    exit_code = Exit.USAGE

    def __init__(self, text: str, similar: Sequence[str]) -> None:
        hint = f"did you mean {alternatives(similar)}?" if similar else "`opsconsole alerts` lists the alerts"
        super().__init__(f"{text!r} is neither the number of an alert nor a job, a pack or a rule; {hint}")


class AlertResolved(Refused):
    """An alert that is resolved needs no action."""

    def __init__(self, alert: Alert, at: datetime) -> None:
        super().__init__(f"alert {alert.id} has been resolved since {local_time(at, 'UTC')}")


class NotAcknowledged(Refused):
    """An alert without an acknowledgement in force."""

    def __init__(self, alert: Alert) -> None:
        super().__init__(f"alert {alert.id} is not acknowledged")


class EndInPast(Refused):
    """A silence or an acknowledgement must end in the future."""

    def __init__(self, what: str, until: datetime) -> None:
        super().__init__(
            f"the {what} would end at {local_time(until, 'UTC')}, which is in the past; choose a later time"
        )


class SilencedForLonger(Refused):
    """A silence must not shorten another one: somebody relies on it."""

    def __init__(self, silence: Silence) -> None:
        until = f"until {local_time(silence.until, 'UTC')}" if silence.until else "without an end"
        note = f" ({silence.note})" if silence.note else ""
        super().__init__(
            f"{silence.target} is silenced by {silence.who} {until}{note}; to shorten that, end it with unsilence first"
        )


class NotSilenced(Refused):
    """A target without an active silence."""

    def __init__(self, target: str, active: Sequence[Silence]) -> None:
        targets = ", ".join(dict.fromkeys(silence.target for silence in active))
        super().__init__(f"{target} is not silenced" + (f"; silenced now: {targets}" if targets else ""))


def silence_target(catalog: Catalog, text: str) -> str:
    """What a silence applies to, other than one alert: a job (by name or alias), a pack, or a rule. Raises
    UnknownSilenceTarget.
    """
    names = [*(pack.name for pack in catalog.packs), *FindingKind]
    if text in names:
        return text
    try:
        return catalog.find(text).name
    except UnknownJob as error:
        similar = get_close_matches(text, [*names, *error.jobs], n=3)
        raise UnknownSilenceTarget(text, similar) from None


def check_acknowledge(alert: Alert, until: datetime | None, now: datetime) -> None:
    """Raises AlertResolved, or EndInPast. A later acknowledgement replaces an earlier one."""
    if alert.resolved_at is not None:
        raise AlertResolved(alert, alert.resolved_at)
    if until is not None and until <= now:
        raise EndInPast("acknowledgement", until)


def check_unacknowledge(alert: Alert, now: datetime) -> None:
    """Raises AlertResolved, or NotAcknowledged unless an acknowledgement is in force."""
    if alert.resolved_at is not None:
        raise AlertResolved(alert, alert.resolved_at)
    if acknowledgement_of(alert, now) is None:
        raise NotAcknowledged(alert)


def check_silence(target: str, until: datetime | None, active: Sequence[Silence], now: datetime) -> None:
    """Raises EndInPast, or SilencedForLonger when an active silence of exactly this target ends later."""
    if until is None:
        return
    if until <= now:
        raise EndInPast("silence", until)
    for silence in active:
        if silence.target == target and (silence.until is None or silence.until > until):
            raise SilencedForLonger(silence)


def check_unsilence(target: str, active: Sequence[Silence]) -> None:
    """Raises NotSilenced unless one of the active silences has exactly this target."""
    if all(silence.target != target for silence in active):
        raise NotSilenced(target, active)
