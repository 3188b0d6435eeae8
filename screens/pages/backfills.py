"""The page of all jobs that have windows, and of all backfills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.core import humanize
from opsconsole.core.errors import NotBackfillable, OpsconsoleError
from opsconsole.rules.backfill import check_backfillable
from opsconsole.rules.backfill_status import Backfill
from screens.exports import Table
from screens.host import Host
from screens.keymap import PANEL_BINDINGS, bind
from screens.pages.backfill import BackfillPage
from screens.pages.backfill_actions import KEYS, NEWEST, BackfillActionsPage
from screens.pages.calendar import CalendarScreen
from screens.panels import backfills, calendar, cursor, tables, windows
from screens.panels.calendar import DateRange
from screens.panels.plan import Gap
from screens.panels.view import Key, View, hint
from screens.panels.windows import Row, RowWindows, WindowSummary
from screens.threads import run_in_thread
from screens.widgets.area import Area
from screens.widgets.lines import Drawing, Piece, line
from screens.widgets.panel import Panel

if TYPE_CHECKING:
    from opsconsole.service.backfills import WindowedJob


class BackfillsData(NamedTuple):
    """The counts of each job's windows, and the newest backfills."""

    summaries: Mapping[str, WindowSummary]
    backfills: Sequence[Backfill]


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
        self._row_windows = RowWindows()
        self._is_reading_row = self._has_row_failed = False
        self.cursor = next(iter(windows.keys(self._calendars)), None)

    def presence_name(self) -> str:
        return "backfill"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """The keys for the backfill under the cursor, or for the job and the only one of its backfills."""
        job_keys = () if self.chosen() else (("t", "trigger"), ("w", "why"))
        return (
            ("enter", "open"),
            ("tab", "panel"),
            *KEYS,
            *job_keys,
            ("esc", "back"),
            ("?", "help"),
            ("^p", "find"),
            ("q", "quit"),
        )

    def panels(self) -> ComposeResult:
        """The jobs and the backfills, and the windows of the row under the cursor."""
        jobs = Panel(self._draw_jobs, id=windows.PANEL)
        jobs.need(self._rows_of_jobs())
        yield jobs
        yield Panel(self._draw_calendar, id=calendar.PANEL, focusable=False)
        with Area(id="parts"):
            yield Panel(self._draw_backfills, id=backfills.PANEL)
            yield Panel(self._draw_windows, id=windows.ROW_PANEL, focusable=False)

    def _finished(self, result: BackfillsData | OpsconsoleError) -> None:
        super()._finished(result)
        self.query_one(f"#{windows.PANEL}", Panel).need(self._rows_of_jobs())

    def _rows_of_jobs(self) -> int:
        """A row for each job, and for an error."""
        return windows.HEADER_ROWS + max(1, len(self._calendars)) + len(self.error_lines())

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
        return windows.calendar_of(self._shown(), self._row_windows, self.chosen(), cells, has_failed=self._is_unknown)

    def _draw_windows(self, _view: View, cells: int, rows: int) -> Drawing:
        backfill, has_failed = self.chosen(), self._is_unknown
        if backfill is not None:
            return windows.of_backfill(backfill, self._row_windows, cells, rows, has_failed=has_failed)
        return windows.not_fresh(self._shown(), self._row_windows, cells, rows, has_failed=has_failed)

    def load(self) -> BackfillsData:
        """The counts of each job's windows, and the backfills."""
        service = self.host.service.backfills
        summaries = {
            each.job: windows.summarise(service.windows(each.job, *self._range(each)))
            for each in self._calendars
            if not each.newest_only
        }
        return BackfillsData(summaries, backfills.applied(service.newest(limit=NEWEST)))

    def loaded(self, data: BackfillsData) -> None:
        """Keeps them; the cursor stays on its row."""
        before = self._keys()
        self._summaries, self.backfills = data
        self.cursor = cursor.settled(self.cursor, self._keys(), before)
        self.focus_cursor()
        self._read_row()

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
        """Moves the cursor, and reads the windows of its row."""
        super().move_to(row)
        if self._row() != self._row_windows.row:
            self._read_row()

    def on_resize(self, event: events.Resize) -> None:
        """There may be room for the windows of the row now."""
        self.call_after_refresh(self._read_row)

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

    # --- the windows of the row under the cursor --------------------------------------------------------------------

    def _row(self) -> Row:
        """Whose windows the panels show that are displayed: none where there is no room for them."""
        is_shown = {each.id: each.display for each in self.query(Panel)}
        shown, backfill = self._shown(), self.chosen()
        has_windows = shown is not None and not shown.newest_only and is_shown.get(calendar.PANEL)
        return Row(
            shown.job if shown is not None and has_windows else None,
            backfill.id if backfill is not None and is_shown.get(windows.ROW_PANEL) else None,
        )

    @property
    def _is_unknown(self) -> bool:
        """Whether what has not been read cannot be read."""
        return self._has_row_failed or bool(self.error_lines())

    def _read_row(self) -> None:
        """Reads what the panels of the row show."""
        row, shown = self._row(), self._shown()
        if self._is_reading_row or row == Row():
            return
        self._is_reading_row = True
        service = self.host.service.backfills

        def read() -> RowWindows:
            range_ = self._range(shown) if row.job is not None and shown is not None else None
            found = service.windows(row.job, *range_) if row.job is not None and range_ is not None else ()
            steps = service.steps(row.backfill) if row.backfill is not None else ()
            return RowWindows(row, range_, calendar.by_date(found), steps)

        def finished(result: RowWindows | OpsconsoleError) -> None:
            self._is_reading_row, self._has_row_failed = False, isinstance(result, OpsconsoleError)
            if not isinstance(result, OpsconsoleError):
                self._row_windows = result
            if self._row() != row:
                self._read_row()
            self.repaint()

        run_in_thread(self, read, finished)

    def _range(self, shown: WindowedJob) -> DateRange:
        """The newest page of the calendar of a job."""
        today = self.host.now().astimezone(humanize.zone(shown.tz)).date()
        newest = calendar.date_of_window(shown.unit, today)
        return calendar.page(shown.unit, newest, newest)

    def _keys(self) -> list[Key]:
        return [*windows.keys(self._calendars), *(backfills.key(each) for each in self.backfills)]
