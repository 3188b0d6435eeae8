"""Events about runs, alerts and the leader. Reads only what has changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from opsconsole.rules.alerts import AlertState
from opsconsole.rules.findings import Severity
from opsconsole.service import alert_views
from opsconsole.service.alert_cards import AlertCard
from opsconsole.service.alert_documents import alert_document
from opsconsole.service.backend import Backend
from opsconsole.service.documents import Document
from opsconsole.service.run_documents import run_document
from opsconsole.service.run_watch import RunWatch
from opsconsole.store import silences


class EventKind(StrEnum):
    """What an event is about."""

    RUN = "run"
    ALERT = "alert"
    LEADER = "leader"


class LeaderDocument(Document, frozen=True, kw_only=True):
    """The process that leads; null when none does."""

    who: str | None
    host: str | None
    pid: int | None


NOBODY = LeaderDocument(who=None, host=None, pid=None)


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """A change, with the state after it."""

    kind: EventKind
    document: Document


class LiveEvents:
    """Returns the changes since the previous read; the first read returns nothing."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self._runs = backend, RunWatch()
        self._alerts: dict[int, _AlertKey] | None = None
        self._leader: LeaderDocument | None = None

    def read(self) -> list[LiveEvent]:
        """The changes: of runs in the order of their numbers, then of alerts. Raises Unavailable."""
        backend, now = self._backend, self._backend.now()
        with backend.reading() as db:
            leader = backend.leader(db, now)
            cards = alert_views.current(db, silences.in_force(db, now), now)
            is_first = self._alerts is None
            changes = self._runs.changes(db)
        found = [] if is_first else [LiveEvent(EventKind.RUN, run_document(change.run)) for change in changes]
        keys = {card.alert.id: _key(card) for card in cards}
        known = self._alerts or {}
        if not is_first:
            changed = [card for card in cards if known.get(card.alert.id) != keys[card.alert.id]]
            found += [LiveEvent(EventKind.ALERT, alert_document(card, now)) for card in changed]
        self._alerts = keys
        led = NOBODY if leader is None else LeaderDocument(who=leader.who, host=leader.host, pid=leader.pid)
        if self._leader not in (None, led):
            found.append(LiveEvent(EventKind.LEADER, led))
        self._leader = led
        return found

    def state(self) -> list[LiveEvent]:
        """The state at the last read, as events: the leader and the runs that have not ended."""
        runs = [LiveEvent(EventKind.RUN, run_document(run)) for run in self._runs.open]
        return [LiveEvent(EventKind.LEADER, self._leader or NOBODY), *runs]


_AlertKey = tuple[AlertState, Severity, str]


def _key(card: AlertCard) -> _AlertKey:
    return card.state, card.alert.severity, card.alert.message
