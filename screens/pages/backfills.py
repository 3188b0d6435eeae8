"""The page of all jobs that have windows, and of all backfills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.core import humanize
from opsconsole.core.errors import NotBackfillable
from opsconsole.rules.backfill import check_backfillable
from opsconsole.rules.backfill_status import Backfill, StepView
from screens.exports import Table
from screens.host import Host
from screens.keymap import PANEL_BINDINGS, bind
from screens.pages.backfill import BackfillPage
from screens.pages.backfill_actions import KEYS, NEWEST, BackfillActionsPage
from screens.pages.calendar import CalendarScreen
from screens.panels import backfills, calendar, cursor, tables, windows
from screens.panels.plan import Gap
from screens.panels.view import Key, View, hint
from screens.panels.windows import WindowSummary
from screens.widgets.area import Area
from screens.widgets.lines import Drawing, Piece, line
from screens.widgets.panel import Panel

if TYPE_CHECKING:
    from opsconsole.service.backfills import WindowedJob


class BackfillsData(NamedTuple):
    """The windows of each job, the newest backfills, and the windows of the one under the cursor by its number."""

    summaries: Mapping[str, WindowSummary]
    backfills: Sequence[Backfill]
    steps: Mapping[int, Sequence[StepView]]


class BackfillScreen(BackfillActionsPage[BackfillsData]):
    """One line for each job, and the newest backfills below. Where there is room, also the windows of the row under the
    cursor: as a calendar, and as a list.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *PANEL_BINDINGS,
        bind("open", "open", "open the row"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        # Jobs that can be backfilled come first.
        self._calendars = sorted(host.service.backfills.windowed_jobs(), key=lambda each: each.newest_only)
        self._summaries: Mapping[str, WindowSummary] = {}
        self._steps: Mapping[int, Sequence[StepView]] = {}
        self.cursor = next(iter(windows.keys(self._calendars)), None)

    def presence_name(self) -> str:
        return "backfill"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """The keys for a backfill while the cursor is on one."""
        row_keys = KEYS if self.chosen() else (("t", "trigger"), ("w", "why"))
        return (
            ("enter", "open"),
            ("tab", "panel"),
            *row_keys,
            ("esc", "back"),
            ("?", "help"),
            ("^p", "find"),
            ("q", "quit"),
        )

    def panels(self) -> ComposeResult:
        """The jobs and the backfills, and the windows of the row under the cursor."""
        yield Panel(self._draw_jobs, id=windows.PANEL)
        yield Panel(self._draw_calendar, id=calendar.PANEL, focusable=False)
        with Area(id="parts"):
            yield Panel(self._draw_backfills, id=backfills.PANEL)
            yield Panel(self._draw_windows, id="windows", focusable=False)

    def repaint(self) -> None:
        """Draws the page again, with a row for each job and for an error."""
        for panel in self.query(Panel):
            if panel.id == windows.PANEL:
                panel.need(windows.HEADER_ROWS + max(1, len(self._calendars)) + len(self.error_lines()))
        super().repaint()

    def _draw_jobs(self, view: View, cells: int, rows: int) -> Drawing:
        errors = self.error_lines()
        shown = windows.rows(
            self._calendars,
            self._summaries,
            self.backfills,
            view.now,
            cells,
            rows - len(errors),
            self.cursor,
            has_failed=bool(errors),
        )
        more = line(Piece(f"{shown.hidden} more", "quiet")) if shown.hidden else ()
        return Drawing(
            [*errors, *shown.lines], windows.title(self._calendars), more, [*[None] * len(errors), *shown.rows]
        )

    def _draw_backfills(self, view: View, cells: int, rows: int) -> Drawing:
        title = line(Piece(backfills.title(self.backfills, "UTC"), "title"))
        if self.loaded_at is None:
            return Drawing(hint("unknown" if self.error_lines() else "loading").lines, title)
        shown = backfills.newest(self.backfills, view.now, cells, rows, cursor=self.cursor, tz="UTC", with_jobs=True)
        return Drawing(shown.lines, title, backfills.end(self.backfills, shown.hidden), shown.rows)

    def _draw_calendar(self, _view: View, cells: int, _rows: int) -> Drawing:
        shown, has_failed = self._shown(), bool(self.error_lines())
        return windows.calendar_of(shown, self._summary(shown), self.chosen(), cells, has_failed=has_failed)

    def _draw_windows(self, _view: View, cells: int, rows: int) -> Drawing:
        backfill, shown = self.chosen(), self._shown()
        if backfill is not None:
            return windows.of_backfill(backfill, self._steps.get(backfill.id), cells, rows)
        return windows.not_fresh(shown, self._summary(shown), cells, rows, has_failed=bool(self.error_lines()))

    def load(self) -> BackfillsData:
        """The windows of each job, the backfills, and the windows of the one under the cursor."""
        service, now = self.host.service.backfills, self.host.now()
        summaries = {}
        for each in self._calendars:
            if not each.newest_only:
                newest = calendar.date_of_window(each.unit, now.astimezone(humanize.zone(each.tz)).date())
                shown = calendar.page(each.unit, newest, newest)
                summaries[each.job] = windows.summarise(shown, service.windows(each.job, *shown))
        chosen = self.chosen()
        steps = {chosen.id: service.steps(chosen.id)} if chosen is not None else {}
        return BackfillsData(summaries, backfills.applied(service.newest(limit=NEWEST)), steps)

    def loaded(self, data: BackfillsData) -> None:
        """Keeps them; the cursor stays on its row."""
        before = self._keys()
        self._summaries, self.backfills, self._steps = data
        self.cursor = cursor.settled(self.cursor, self._keys(), before)
        self.focus_cursor()

    def job(self) -> str | None:
        """The job under the cursor."""
        return self.cursor[1] if self.cursor is not None and self.cursor[0] == windows.PANEL else None

    def open_calendar(self, job: str, gap: Gap | None = None) -> None:
        """Opens the calendar of a job, with a plan for a gap, and leaves the cursor on its row."""
        self.cursor = (windows.PANEL, job)
        found = next((each for each in self._calendars if each.job == job), None)
        try:
            check_backfillable(job, has_windows=found is not None, newest_only=found is not None and found.newest_only)
        except NotBackfillable as error:
            self.show_notice(error.sentence, "warn")
            return
        self.host.open_page(CalendarScreen(self.host, self._calendars, job, gap))

    def table(self) -> Table | None:
        """The newest backfills."""
        return tables.backfills(self.backfills)

    def move_to(self, row: Key | None) -> None:
        """Moves the cursor; the windows of a backfill are read when it is reached."""
        super().move_to(row)
        backfill = self.chosen()
        if backfill is not None and backfill.id not in self._steps:
            self.reload()

    def action_move(self, step: int) -> None:
        """Moves the cursor up and down, through both panels."""
        self.move_to(cursor.moved(self.cursor, self._keys(), step))

    def action_panel(self, step: int) -> None:
        """Moves the cursor to the jobs, or to the backfills."""
        self.move_to(cursor.next_panel(self.cursor, self._keys(), step))
        if self.maximized is not None and self.focused is not None:
            self.maximize(self.focused, container=False)

    def action_open(self) -> None:
        """Opens the calendar of the job, or the page of the backfill."""
        job, backfill = self.job(), self.chosen()
        if job is not None:
            self.open_calendar(job)
        elif backfill is not None:
            self.host.open_page(BackfillPage(self.host, backfill.id))

    def _shown(self) -> WindowedJob | None:
        """The job under the cursor, or the first one of the backfill."""
        backfill = self.chosen()
        name = self.job() if backfill is None else next(iter(backfill.jobs), None)
        return next((each for each in self._calendars if each.job == name), None)

    def _summary(self, shown: WindowedJob | None) -> WindowSummary | None:
        return self._summaries.get(shown.job) if shown is not None else None

    def _keys(self) -> list[Key]:
        return [*windows.keys(self._calendars), *(backfills.key(each) for each in self.backfills)]
