"""Marking a range of a job's windows, and what to do with them: the part of a calendar without its drawing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Generic

from textual.binding import BindingType

from opsconsole.core import humanize
from screens.host import Host
from screens.keymap import bind
from screens.pages.backfill_actions import BackfillActionsPage
from screens.pages.planning import Planning
from screens.pages.polling import Data
from screens.pages.selection import WindowSelection
from screens.panels import calendar, plan as plan_panel
from screens.panels.calendar import DateRange
from screens.panels.plan import Draft
from screens.panels.view import Key

if TYPE_CHECKING:
    from opsconsole.service.backfills import WindowedJob


class MarkingPage(BackfillActionsPage[Data], Generic[Data]):
    """The calendar of one job of `calendars`, its cursor and its marked range. A change of what is selected drops the
    plan.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("mark", "mark", "mark: from, then to"),
        bind("only", "only", "only missing, stale, failed, or all"),
        bind("order", "order", "newest or oldest first"),
        bind("at_once", "at_once", "windows at once"),
        bind("add", "add", "include jobs that run after it"),
    ]

    def __init__(self, host: Host, calendars: Sequence[WindowedJob], job: str) -> None:
        super().__init__(host)
        self._all = calendars
        self._jobs = [each for each in calendars if not each.newest_only]
        self._shown = next(each for each in self._jobs if each.job == job)
        self._cursor_date: date | None = None
        self._selection = WindowSelection()
        self.planning = Planning(self)

    def action_mark(self) -> None:
        """Marks the start of a range, then its end, then a new one."""
        self.planning.drop()
        self._selection.mark(self._date)
        self.move_to(self._calendar_row(self._date))

    def action_only(self) -> None:
        """Selects the next kind of window."""
        self.planning.drop()
        self._selection.next_only()
        self.repaint()

    def action_order(self) -> None:
        """Runs the newest or the oldest windows first."""
        self.planning.drop()
        self._selection.other_order()
        self.repaint()

    def action_at_once(self) -> None:
        """Changes how many windows run at once."""
        self.planning.drop()
        self._selection.next_at_once()
        self.repaint()

    def action_add(self) -> None:
        """Includes the jobs that run after this one, or leaves them out again."""
        if not self._followers():
            self.show_notice(f"no job that can be backfilled runs after {self._shown.job}")
            return
        self.planning.drop()
        self._selection.with_followers = not self._selection.with_followers
        self.repaint()

    @property
    def _date(self) -> date:
        """The date under the cursor: the newest window until it is moved."""
        return self._cursor_date or self._newest()

    def _calendar_row(self, day: date) -> Key:
        return calendar.PANEL, day.isoformat()

    def _newest(self) -> date:
        """The date of the newest window that has started."""
        today = self.host.now().astimezone(humanize.zone(self._shown.tz)).date()
        return calendar.date_of_window(self._shown.unit, today)

    def _followers(self) -> tuple[str, ...]:
        return plan_panel.followers(self._shown.job, self._all)

    def _draft(self) -> Draft:
        selection, day = self._selection, self._date
        jobs = (self._shown.job, *(self._followers() if selection.with_followers else ()))
        return Draft(jobs, selection.range(day) or DateRange(day, day), selection.only, selection.order)
