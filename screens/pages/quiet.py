"""Pages that draw only the panels that a new Snapshot, or the time, may have changed."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from screens.host import Host
from screens.pages.page import Page
from screens.panels import facts
from screens.panels.facts import Facts
from screens.panels.view import Key, View
from screens.widgets.panel import Panel

SECOND = timedelta(seconds=1)
REST = timedelta(seconds=5)
"""How long a panel rests that shows no seconds: a time in minutes may change this much late."""


class Painted(NamedTuple):
    """From what a panel was drawn and when, and when that last changed it."""

    facts: Facts
    at: datetime
    changed_at: datetime


class QuietPage(Page):
    """Draws a panel again when what it is drawn from has changed. While only the time passes, it is drawn each second
    as long as that changes it, and otherwise now and then.
    """

    ALWAYS: ClassVar[frozenset[str]] = frozenset({"head"})
    """The panels with a clock."""
    WITH_REDIS: ClassVar[frozenset[str]] = frozenset()
    """The panels with figures of Redis, which change all the time."""
    WITHOUT_CURSOR: ClassVar[frozenset[str]] = frozenset()
    """The panels that have no rows, and show nothing about the row under the cursor."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._painted: dict[str | None, Painted] = {}

    def facts(self, view: View) -> Facts:
        """What the page is drawn from."""
        try:
            return facts.of(view, self.notice, self.host.awaited_runs)
        except Exception:  # noqa: BLE001 - a panel that cannot be drawn shows the cause
            return (object(),)

    def follow(self) -> None:
        """Draws the panels that may have changed."""
        if self.is_current:
            self._drawn_at = time.monotonic()
            view = self.view()
            current = self.facts(view)
            for panel in self.query(Panel):
                if self._is_due(panel, current, view):
                    self.paint(panel)

    def move_to(self, row: Key | None) -> None:
        """Moves the cursor, and draws the panels that show it, or something about its row."""
        self.cursor = row
        self.focus_cursor()
        self.follow()

    def paint(self, panel: Panel[View]) -> None:
        """Draws one panel, if it is visible."""
        before, drawing = self._painted.get(panel.id), panel.drawing
        super().paint(panel)
        view = self.view()
        changed_at = view.now if before is None or panel.drawing != drawing else before.changed_at
        self._painted[panel.id] = Painted(self._of(panel, self.facts(view), view), view.now, changed_at)

    def _is_due(self, panel: Panel[View], current: Facts, view: View) -> bool:
        painted = self._painted.get(panel.id)
        if painted is None or panel.id in self.ALWAYS or painted.facts != self._of(panel, current, view):
            return True
        is_moving = abs(painted.at - painted.changed_at) < SECOND and view.now != painted.at
        return is_moving or abs(view.now - painted.at) >= REST

    def _of(self, panel: Panel[View], current: Facts, view: View) -> Facts:
        """What one panel is drawn from."""
        is_elsewhere = panel.can_focus and self.cursor is not None and self.cursor[0] != panel.id
        cursor = None if is_elsewhere or panel.id in self.WITHOUT_CURSOR else self.cursor
        return current, cursor, view.snapshot.redis if panel.id in self.WITH_REDIS else None
