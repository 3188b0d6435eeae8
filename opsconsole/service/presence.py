"""Lets everybody know that this process is there, as long as it is."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.core.clock import Clock
from opsconsole.core.database import reason
from opsconsole.store import Store, presence
from opsconsole.store.presence import BEAT, Attached

log = logging.getLogger(__name__)


class PresenceAnnouncer:
    """Writes `me` into the store from a thread of its own, every few seconds and when the screen changes."""

    def __init__(self, store: Store, me: Attached, *, now: Clock) -> None:
        self._store, self._me, self._now = store, me, now
        self._changed, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._attend, name="presence", daemon=True)
        self._thread.start()

    def looks_at(self, screen: str) -> None:
        """The screen that is open now."""
        if screen != self._me.screen:
            self._me = replace(self._me, screen=screen)
            self._changed.set()

    def leave(self) -> None:
        """Takes it back."""
        self._over.set()
        self._changed.set()
        self._thread.join(timeout=5)

    def _attend(self) -> None:
        while not self._over.is_set():
            try:
                with self._store.writing() as db:
                    presence.say(db, replace(self._me, seen_at=self._now()))
            except SQLAlchemyError as error:
                log.info("nobody can be told that this process is there: %s", reason(error))
            self._changed.wait(BEAT.total_seconds())
            self._changed.clear()
        try:
            with self._store.writing() as db:
                presence.leave(db, self._me.owner)
        except SQLAlchemyError:
            pass  # it will not be seen any more, which says the same a little later
