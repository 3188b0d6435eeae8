"""Alerts: lists of them, and requests to acknowledge and to silence them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from opsconsole.core.bounds import MAX_ID
from opsconsole.core.errors import UnknownAlert
from opsconsole.core.settings import Actor
from opsconsole.rules import alert_actions
from opsconsole.rules.actions import Verb
from opsconsole.rules.alerts import Alert, AlertState, Silence, target_of
from opsconsole.service import alert_views, write_ups
from opsconsole.service.alert_cards import AlertCard, AlertPage, firing
from opsconsole.service.backend import Backend
from opsconsole.service.commands import Commands
from opsconsole.store import alerts, silences

MAX_LISTED = 1000
MAX_WRITTEN_UP = 100
MAX_DIGITS = 20
"""Of an alert's number; a longer text is none."""


class Alerts:
    """Reads alerts and silences. Requests return the number of their command."""

    def __init__(self, backend: Backend, commands: Commands) -> None:
        self._backend, self._commands = backend, commands

    def by(self, actor: Actor, key: str | None = None) -> Alerts:
        """The same, for requests of someone other than this process's user; see `Commands.by`."""
        return Alerts(self._backend, self._commands.by(actor, key))

    def current(self, states: Collection[AlertState] = ()) -> tuple[AlertCard, ...]:
        """The open alerts, worst first, each followed by those that it explains, then those that were resolved in the
        last day; only those in one of `states` if there are any.
        """
        return self.overview(states)[0]

    def overview(self, states: Collection[AlertState] = ()) -> tuple[tuple[AlertCard, ...], list[Silence]]:
        """The current alerts, and the active silences, oldest first."""
        now = self._backend.now()
        with self._backend.reading() as db:
            silenced = silences.in_force(db, now)
            cards = alert_views.current(db, silenced, now)
        return tuple(card for card in cards if not states or card.state in states), silenced

    def firing(self) -> tuple[AlertCard, ...]:
        """The alerts that somebody should look at: firing, and not explained by another open one; worst first."""
        return firing(self.current())

    def history(self, since: datetime, states: Collection[AlertState] = ()) -> tuple[AlertCard, ...]:
        """Up to 1,000 alerts that were open at `since` or later: the open ones, newest first, then those resolved last;
        only those in one of `states` if there are any.
        """
        now = self._backend.now()
        with self._backend.reading() as db:
            found = alerts.newest(db, limit=MAX_LISTED, since=since)
            cards = alert_views.cards(found, silences.in_force(db, now), now)
        return tuple(card for card in cards if not states or card.state in states)

    def page(self, number: int) -> AlertPage:
        """An alert with its details. Raises UnknownAlert."""
        self._check(number)
        with self._backend.reading() as db:
            return alert_views.page(db, number, self._backend.now())

    def write_up(self, numbers: Sequence[int] = ()) -> str:
        """The write-up of these alerts as Markdown; of all open ones that no other explains if there are no numbers.
        Raises UnknownAlert.
        """
        if not numbers:
            current = self.current()
            open_ = {card.alert.id for card in current if card.alert.is_open}
            numbers = [card.alert.id for card in current if card.alert.id in open_ and card.alert.cause not in open_]
        pages = [self.page(number) for number in numbers[:MAX_WRITTEN_UP]]
        return write_ups.incident(pages, self._backend.settings.console.environment, self._backend.now())

    def silences(self) -> list[Silence]:
        """The active silences, oldest first."""
        with self._backend.reading() as db:
            return silences.in_force(db, self._backend.now())

    def acknowledge(self, number: int, *, until: datetime | None = None, note: str = "") -> int:
        """Requests that reminders of an alert stop until `until`; until it is resolved when that is None. Raises
        UnknownAlert.
        """
        self._get(number)
        return self._commands.send(Verb.ACKNOWLEDGE, str(number), {"until": _iso(until), "note": note})

    def unacknowledge(self, number: int, *, note: str = "") -> int:
        """Requests that the acknowledgement of an alert ends. Raises UnknownAlert."""
        self._get(number)
        return self._commands.send(Verb.UNACKNOWLEDGE, str(number), {"note": note})

    def silence(self, target: str, *, until: datetime | None, note: str = "") -> int:
        """Requests that nothing is sent about a target until `until`, or until the silence is ended when that is None.
        The target is an alert's number, a job, a pack or a rule. Raises UnknownAlert, UnknownSilenceTarget.
        """
        return self._commands.send(Verb.SILENCE, self._target(target), {"until": _iso(until), "note": note})

    def unsilence(self, target: str, *, note: str = "") -> int:
        """Requests that the silence of exactly this target ends. Raises UnknownAlert, UnknownSilenceTarget."""
        return self._commands.send(Verb.UNSILENCE, self._target(target), {"note": note})

    def _target(self, text: str) -> str:
        """The target of a silence: of one alert it is its rule and subject, so that it lasts when the alert recurs."""
        if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
            return target_of(self._get(int(text)))
        active = [silence.target for silence in self.silences()]
        return text if text in active else alert_actions.silence_target(self._backend.catalog, text)

    def _get(self, number: int) -> Alert:
        self._check(number)
        with self._backend.reading() as db:
            return alerts.get(db, number)

    def _check(self, number: int) -> None:
        if not 0 < number <= MAX_ID:
            raise UnknownAlert(number)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
