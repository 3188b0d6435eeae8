"""Announces this process in the store while it is running."""

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
    """Writes `own` into the store from a thread, every few seconds and when the screen changes."""

    def __init__(self, store: Store, own: Attached, *, now: Clock) -> None:
        self._store, self._own, self._now = store, own, now
        self._changed, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._announce, name="presence", daemon=True)
        self._thread.start()

    def set_screen(self, screen: str) -> None:
        """Announces which screen is open."""
        if screen != self._own.screen:
            self._own = replace(self._own, screen=screen)
            self._changed.set()

    def stop(self) -> None:
        """Withdraws the announcement."""
        self._stopping.set()
        self._changed.set()
        self._thread.join(timeout=5)

    def _announce(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._store.writing() as db:
                    presence.announce(db, replace(self._own, seen_at=self._now()))
            except SQLAlchemyError as error:
                log.info("cannot announce this process in the store: %s", reason(error))
            self._changed.wait(BEAT.total_seconds())
            self._changed.clear()
        try:
            with self._store.writing() as db:
                presence.leave(db, self._own.owner)
        except SQLAlchemyError:
            pass  # the announcement expires shortly
