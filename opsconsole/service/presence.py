"""Announces this process in the store while it is running."""

from __future__ import annotations

from dataclasses import replace

from opsconsole.core.clock import Clock
from opsconsole.core.problems import Work
from opsconsole.core.supervision import OUTAGE_SECONDS, Loop
from opsconsole.store import Store, presence
from opsconsole.store.presence import BEAT, Attached


class PresenceAnnouncer:
    """Writes `own` into the store from a thread, every few seconds and when the screen changes."""

    def __init__(self, store: Store, own: Attached, *, now: Clock) -> None:
        self._store, self._own, self._now = store, own, now
        seconds = BEAT.total_seconds()
        self.loop = Loop(
            Work.PRESENCE, self._announce, seconds=seconds, now=now, last=self._leave, outage_seconds=OUTAGE_SECONDS
        )
        self.loop.start()

    def set_screen(self, screen: str) -> None:
        """Announces which screen is open."""
        if screen != self._own.screen:
            self._own = replace(self._own, screen=screen)
            self.loop.wake()

    def stop(self) -> None:
        """Withdraws the announcement, if the store can be reached; it expires shortly."""
        self.loop.stop()

    def _announce(self) -> None:
        with self._store.writing(quiet=True) as db:
            presence.announce(db, replace(self._own, seen_at=self._now()))

    def _leave(self) -> None:
        with self._store.writing(quiet=True) as db:
            presence.leave(db, self._own.owner)
