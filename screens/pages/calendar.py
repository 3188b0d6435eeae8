"""The calendar of a job: mark a range of its windows, plan a backfill of it, apply the plan, watch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import BindingType

from opsconsole.core import humanize
from opsconsole.rules.backfill import WindowStatus
from opsconsole.rules.backfill_status import Backfill
from opsconsole.rules.findings import FindingKind
from screens import command_lines
from screens.command_lines import CommandLine
from screens.exports import Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.backfill import BackfillPage
from screens.pages.backfill_actions import NEWEST, BackfillActionsPage
from screens.pages.planning import Planning
from screens.pages.selection import WindowSelection
from screens.panels import backfills, calendar, cursor, health, plan as plan_panel, tables
from screens.panels.calendar import DateRange, Sheet
from screens.panels.plan import Draft, Gap
from screens.panels.view import View
from screens.widgets.lines import Line

if TYPE_CHECKING:
    from opsconsole.service.backfills import WindowedJob

LEAST_LIST = 3
PLANNING_SECONDS = 0.5


class CalendarData(NamedTuple):
    """The windows of a job, and its backfills."""

    job: str
    windows: Sequence[WindowStatus]
    backfills: Sequence[Backfill]


class CalendarScreen(BackfillActionsPage[CalendarData]):
    """Keys move over the windows of one job; [ and ] go to another job."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left", "move(-1, 0)", "previous week"),
        bind("right", "move(1, 0)", "next week"),
        bind("up", "move(0, -1)", "previous day, or row above"),
        bind("down", "move(0, 1)", "next day, or row below"),
        bind("previous_year", "scroll_year(-1)", "previous year"),
        bind("next_year", "scroll_year(1)", "next year"),
        bind("next_panel", "panel", "calendar or backfills"),
        bind("previous_panel", "panel", "calendar or backfills"),
        bind("previous_job", "job(-1)", "previous job"),
        bind("next_job", "job(1)", "next job"),
        bind("mark", "mark", "mark: from, then to"),
        bind("only", "only", "only missing, stale, failed, or all"),
        bind("order", "order", "newest or oldest first"),
        bind("at_once", "at_once", "windows at once"),
        bind("add", "add", "include jobs that run after it"),
        bind("plan", "plan", "plan, start, or open"),
    ]

    def __init__(self, host: Host, calendars: Sequence[WindowedJob], job: str, gap: Gap | None = None) -> None:
        super().__init__(host)
        self._all = calendars
        self._jobs = [each for each in calendars if not each.newest_only]
        self._shown = next(each for each in self._jobs if each.job == job)
        self._cursor_date: date | None = None
        self._selection = WindowSelection()
        self._windows: dict[date, WindowStatus] = {}
        self.planning = Planning(self)
        self._gap = gap

    def on_mount(self) -> None:
        """Shows the progress of a plan; the plan of a gap is created at once."""
        self.set_interval(PLANNING_SECONDS, lambda: self.repaint() if self.planning.draft is not None else None)
        if self._gap is not None:
            self._cursor_date, self._selection.only = self._gap.range.last, self._gap.only
            for day in self._gap.range:
                self._selection.mark(day)
            self.planning.advance(self._draft(), self._selection.clear)

    def wheel_action(self, step: int) -> str:
        """Moves the cursor down or up."""
        return f"move(0, {step})"

    def presence_name(self) -> str:
        """Whose calendar it is."""
        return f"backfill of {self._shown.job}"

    def verdict_keys(self) -> tuple[tuple[str, str], ...]:
        """Hides the key to the worst problem if that leads to this calendar."""
        worst = next(iter(health.shown(self.view())[0]), None)
        is_here = worst is not None and worst.key == (FindingKind.INCOMPLETE_WINDOWS, self._shown.job)
        return () if is_here else super().verdict_keys()

    def footer(self) -> tuple[tuple[str, str], ...]:
        """The keys of the panel under the cursor."""
        if self.chosen() is not None:
            return (
                ("enter", "open"),
                *self.backfill_keys(),
                ("tab", "calendar"),
                ("esc", "back"),
                ("?", "help"),
                ("q", "quit"),
            )
        return (
            ("space", "mark"),
            ("m", "only"),
            ("enter", "start" if self.planning.plan is not None else "plan"),
            ("tab", "backfills"),
            ("=", "command"),
            ("esc", "back"),
            ("?", "help"),
        )

    def content(self, view: View, cells: int, rows: int) -> list[Line]:
        """The calendar, the plan and the backfills."""
        sheet = self._sheet()
        errors = self.error_lines()
        lines = [
            calendar.headline(sheet, self._shown.tz, cells, manual=self._shown.manual),
            *calendar.grid(sheet, cells),
            calendar.legend(cells),
            *(errors or [calendar.cursor_line(sheet, view.now, cells)]),
        ]
        lines += self._plan_lines(cells, rows - len(lines) - LEAST_LIST)
        room = rows - len(lines) - 1
        return [
            *lines,
            *backfills.panel(
                self.backfills,
                view.now,
                cells,
                room,
                cursor=self.cursor,
                tz=view.shown_zone(self._shown.tz),
            ),
        ]

    def load(self) -> CalendarData:
        """The windows on the page of the calendar, and the backfills."""
        service, shown = self.host.service.backfills, self._shown
        page = calendar.page(shown.unit, self._date, self._newest())
        newest = backfills.applied(service.newest(limit=NEWEST))
        return CalendarData(
            shown.job, service.windows(shown.job, *page), [each for each in newest if shown.job in each.jobs]
        )

    def loaded(self, data: CalendarData) -> None:
        """Keeps them, unless another job is shown by now."""
        if data.job != self._shown.job:
            self.reload()
            return
        self.backfills = data.backfills
        self._windows |= calendar.by_date(data.windows)
        if self.chosen() is None:
            self.cursor = None

    def job(self) -> str | None:
        """The job of the calendar."""
        return self._shown.job

    def window(self) -> str | None:
        """A date in the window under the cursor."""
        return self._date.isoformat()

    def table(self) -> Table | None:
        """The windows that are loaded, oldest first."""
        return tables.windows(self._shown.job, [self._windows[day] for day in sorted(self._windows)])

    # --- moving -------------------------------------------------------------------------------------------------

    def action_move(self, across: int, down: int) -> None:
        """Moves over the windows, or over the backfills."""
        if self.cursor is not None:
            rows = [backfills.key(each) for each in self.backfills]
            self.cursor = cursor.moved(self.cursor, rows, down)
            self.repaint()
        else:
            self._go(calendar.moved(self._shown.unit, self._date, across, down, self._newest()))

    def action_scroll_year(self, step: int) -> None:
        """Moves to the same day of another year."""
        self._go(calendar.moved_pages(self._shown.unit, self._date, step, self._newest()))

    def action_panel(self) -> None:
        """Moves between the calendar and the backfills."""
        in_list = self.cursor is not None or not self.backfills
        if not self.backfills:
            self.show_notice(f"{self._shown.job} has no backfill yet")
        self.cursor = None if in_list else backfills.key(self.backfills[0])
        self.repaint()

    def action_job(self, step: int) -> None:
        """Shows the calendar of another job, with nothing marked."""
        index, day = self._jobs.index(self._shown), self._date
        self._shown = self._jobs[(index + step) % len(self._jobs)]
        self.planning.drop()
        self._selection.clear()
        self._windows, self.backfills, self.cursor = {}, (), None
        self._cursor_date = min(calendar.date_of_window(self._shown.unit, day), self._newest())
        self.host.service.set_screen(self.presence_name())
        self.repaint()
        self.reload()

    def action_back(self) -> None:
        """Drops the plan, then the mark, then leaves the list, then the page."""
        if not self.planning.is_empty:
            self.planning.drop()
        elif self._selection.is_marked:
            self._selection.unmark()
        elif self.cursor is not None:
            self.cursor = None
        else:
            self.dismiss(None)
            return
        self.repaint()

    # --- marking ------------------------------------------------------------------------------------------------

    def action_mark(self) -> None:
        """Marks the start of a range, then its end, then a new one."""
        self.planning.drop()
        self._selection.mark(self._date)
        self.cursor = None
        self.repaint()

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

    def command_lines(self) -> Sequence[CommandLine]:
        """The command of the plan or the marked range, then those for the backfill and the job."""
        plan, draft = self.planning.plan, self._draft()
        line = command_lines.apply_backfill(plan.backfill.id) if plan is not None else plan_panel.run_command(draft)
        return (line, *super().command_lines())

    # --- the plan -----------------------------------------------------------------------------------------------

    def action_plan(self) -> None:
        """Creates a plan, then starts it after a question. In the list, opens the backfill."""
        backfill = self.chosen()
        if backfill is not None:
            self.host.open_page(BackfillPage(self.host, backfill.id))
        else:
            self.planning.advance(self._draft(), self._selection.clear)

    def _plan_lines(self, cells: int, rows: int) -> list[Line]:
        lines = self.planning.lines(cells, rows)
        if lines is not None:
            return lines
        return plan_panel.mark_lines(
            self._draft(),
            self._shown,
            self._windows,
            self._followers(),
            cells,
            is_marked=self._selection.is_marked,
            is_open=self._selection.is_open,
        )

    # --- state --------------------------------------------------------------------------------------------------

    @property
    def _date(self) -> date:
        """The date under the cursor: the newest window until it is moved."""
        return self._cursor_date or self._newest()

    def _go(self, day: date) -> None:
        before = calendar.page(self._shown.unit, self._date, self._newest())
        self._cursor_date = day
        self.repaint()
        if calendar.page(self._shown.unit, day, self._newest()) != before:
            self.reload()

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

    def _sheet(self) -> Sheet:
        shown = calendar.page(self._shown.unit, self._date, self._newest())
        windows = {day: each for day, each in self._windows.items() if day in shown}
        job, marked = self._shown, self._selection.range(self._date)
        return Sheet(job.job, job.unit, shown, windows, self._date, marked, is_active=self.cursor is None)
