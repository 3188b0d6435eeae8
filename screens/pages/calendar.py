"""The calendar of a job: mark a range of its windows, plan a backfill of it, apply the plan, watch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.rules.backfill import WindowStatus
from opsconsole.rules.backfill_status import Backfill
from opsconsole.rules.findings import FindingKind
from screens import command_lines
from screens.command_lines import CommandLine
from screens.exports import Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.backfill import BackfillPage
from screens.pages.backfill_actions import KEYS, NEWEST
from screens.pages.marking import MarkingPage
from screens.panels import backfills, calendar, cursor, health, plan as plan_panel, tables
from screens.panels.calendar import Sheet
from screens.panels.plan import Gap
from screens.panels.view import Key, View, hint
from screens.widgets.area import Area
from screens.widgets.lines import Drawing, Piece, line
from screens.widgets.panel import Panel

if TYPE_CHECKING:
    from opsconsole.service.backfills import WindowedJob

PLANNING_SECONDS = 0.5


class CalendarData(NamedTuple):
    """The windows of a job, and its backfills."""

    job: str
    windows: Sequence[WindowStatus]
    backfills: Sequence[Backfill]


class CalendarScreen(MarkingPage[CalendarData]):
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
        bind("plan", "plan", "plan, start, or open"),
    ]

    def __init__(self, host: Host, calendars: Sequence[WindowedJob], job: str, gap: Gap | None = None) -> None:
        super().__init__(host, calendars, job)
        self._windows: dict[date, WindowStatus] = {}
        self._gap = gap

    def on_mount(self) -> None:
        """Shows the progress of a plan; the plan of a gap is created at once."""
        self.set_interval(PLANNING_SECONDS, lambda: self.repaint() if self.planning.draft is not None else None)
        if self._gap is not None:
            self._cursor_date, self._selection.only = self._gap.range.last, self._gap.only
            for day in self._gap.range:
                self._selection.mark(day)
            self.planning.advance(self._draft(), self._selection.clear)
        self._enter_calendar()

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
                *KEYS,
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

    def panels(self) -> ComposeResult:
        """The calendar, the plan and the backfills."""
        grid = Panel(self._draw_calendar, id=calendar.PANEL, row_at=self._row_at)
        grid.need(calendar.rows_of(self._shown.unit))
        yield grid
        with Area(id="parts"):
            yield Panel(self._draw_plan, id="plan", focusable=False)
            yield Panel(self._draw_backfills, id=backfills.PANEL)

    def _draw_calendar(self, view: View, cells: int, rows: int) -> Drawing:
        sheet = self._sheet()
        lines = [
            *calendar.grid(sheet, cells),
            calendar.legend(cells),
            *(self.error_lines() or [calendar.cursor_line(sheet, view.now, cells)]),
        ]
        heading = calendar.heading(sheet, self._shown.tz, cells, name="Backfill", manual=self._shown.manual)
        return Drawing(lines[:rows], *heading, [self._calendar_row(self._date)])

    def _draw_plan(self, view: View, cells: int, rows: int) -> Drawing:
        selection = self._selection
        return self.planning.drawing(view, cells, rows) or plan_panel.mark_lines(
            self._draft(),
            self._shown,
            self._windows,
            self._followers(),
            cells,
            view.keys,
            is_marked=selection.is_marked,
            is_open=selection.is_open,
        )

    def _draw_backfills(self, view: View, cells: int, rows: int) -> Drawing:
        tz = view.shown_zone(self._shown.tz)
        title = line(Piece(backfills.title(self.backfills, tz), "title"))
        if self.loaded_at is None:
            return Drawing(hint("unknown" if self.error_lines() else "loading").lines, title)
        shown = backfills.newest(self.backfills, view.now, cells, rows, cursor=self.cursor, tz=tz, with_jobs=False)
        return Drawing(shown.lines, title, backfills.end(self.backfills, shown.hidden), shown.rows)

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
            self.loaded_at = None
            self.reload()
            return
        self.backfills = data.backfills
        self._windows |= calendar.by_date(data.windows)
        if self._is_in_list and self.chosen() is None:
            self._enter_calendar()

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
        if self._is_in_list:
            self.move_to(cursor.moved(self.cursor, [backfills.key(each) for each in self.backfills], down))
        else:
            self._go(calendar.moved(self._shown.unit, self._date, across, down, self._newest()))

    def action_scroll_year(self, step: int) -> None:
        """Moves to the same day of another year."""
        self._go(calendar.moved_pages(self._shown.unit, self._date, step, self._newest()))

    def action_panel(self) -> None:
        """Moves between the calendar and the backfills."""
        if not self.backfills:
            self.show_notice(f"{self._shown.job} has no backfill yet")
        if self._is_in_list or not self.backfills:
            self._enter_calendar()
        else:
            self.move_to(backfills.key(self.backfills[0]))
        if self.maximized is not None and self.focused is not None:
            self.maximize(self.focused, container=False)

    def move_to(self, row: Key | None) -> None:
        """Moves the cursor to a window of the calendar, or to a backfill."""
        if row is not None and row[0] == calendar.PANEL:
            self._go(date.fromisoformat(row[1]), row)
        else:
            super().move_to(row)

    def action_job(self, step: int) -> None:
        """Shows the calendar of another job, with nothing marked."""
        index, day = self._jobs.index(self._shown), self._cursor_date
        self._shown = self._jobs[(index + step) % len(self._jobs)]
        self.planning.drop()
        self._selection.clear()
        self._windows, self.backfills, self.loaded_at = {}, (), None
        self.query_one(f"#{calendar.PANEL}", Panel).need(calendar.rows_of(self._shown.unit))
        if day is not None:
            self._cursor_date = min(calendar.date_of_window(self._shown.unit, day), self._newest())
        self._enter_calendar()
        self.host.service.set_screen(self.presence_name())
        self.reload()

    def action_back(self) -> None:
        """Drops the plan, then the mark, then leaves the list, then the page."""
        if not self.planning.is_empty:
            self.planning.drop()
        elif self._selection.is_marked:
            self._selection.unmark()
        elif self._is_in_list:
            self._enter_calendar()
        else:
            self.dismiss(None)
            return
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

    # --- state --------------------------------------------------------------------------------------------------

    @property
    def _is_in_list(self) -> bool:
        """Whether the cursor is on a backfill instead of the calendar."""
        return self.cursor is not None and self.cursor[0] == backfills.PANEL

    def _row_at(self, x: int, y: int, cells: int) -> Key | None:
        """The window under the mouse."""
        day = calendar.date_at(self._sheet(), cells, x, y)
        return self._calendar_row(day) if day is not None else None

    def _enter_calendar(self) -> None:
        """Moves the cursor to the calendar, where it follows the newest window until it is moved."""
        super().move_to(self._calendar_row(self._date))

    def _go(self, day: date, row: Key | None = None) -> None:
        before = calendar.page(self._shown.unit, self._date, self._newest())
        self._cursor_date = day
        super().move_to(row or self.cursor)
        if calendar.page(self._shown.unit, day, self._newest()) != before:
            self.reload()

    def _sheet(self) -> Sheet:
        shown = calendar.page(self._shown.unit, self._date, self._newest())
        windows = {day: each for day, each in self._windows.items() if day in shown}
        job, marked = self._shown, self._selection.range(self._date)
        return Sheet(job.job, job.unit, shown, windows, self._date, marked, is_active=not self._is_in_list)
