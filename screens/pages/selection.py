"""What an operator has selected in a calendar."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from opsconsole.rules.backfill import OLDEST_FIRST, Only
from screens.panels.calendar import DateRange
from screens.panels.plan import CHOICES

AT_ONCE = (None, 1, 2, 4, 8)
"""The limits that `#` steps through: the most windows at once."""


class WindowSelection:
    """A marked range, which of its windows to run in which order, and whether the jobs that follow are included."""

    def __init__(self) -> None:
        self.only, self.order = Only.MISSING, OLDEST_FIRST
        self.clear()

    def clear(self) -> None:
        """Unmarks the range and leaves the following jobs out."""
        self.with_followers = False
        self._start: date | None = None
        self._end: date | None = None

    @property
    def is_marked(self) -> bool:
        """Whether at least the start is marked."""
        return self._start is not None

    @property
    def is_open(self) -> bool:
        """Whether only the start is marked; the end follows the cursor."""
        return self._start is not None and self._end is None

    def mark(self, at: date) -> None:
        """Marks the start of a range, then its end, then the start of a new one."""
        if self.is_open:
            self._end = at
        else:
            self._start, self._end = at, None

    def unmark(self) -> None:
        self._start = self._end = None

    def range(self, cursor: date) -> DateRange | None:
        """The marked range, while the cursor is at a date."""
        if self._start is None:
            return None
        end = self._end or cursor
        return DateRange(min(self._start, end), max(self._start, end))

    def next_only(self) -> None:
        """Selects the next kind of window."""
        self.only = CHOICES[(CHOICES.index(self.only) + 1) % len(CHOICES)]

    def other_order(self) -> None:
        """Newest or oldest first."""
        self.order = replace(self.order, newest_first=not self.order.newest_first)

    def next_at_once(self) -> None:
        """Selects the next number of windows at once."""
        self.order = replace(self.order, at_once=AT_ONCE[(AT_ONCE.index(self.order.at_once) + 1) % len(AT_ONCE)])
