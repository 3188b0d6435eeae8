"""The page of one run, which follows it until it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size

from opsconsole.authoring.run import OPEN, Run
from opsconsole.service.history import FailedItems, Place
from opsconsole.service.queries import LOG_PAGE, LogLine
from opsconsole.service.run_details import RunPage
from opsconsole.service.snapshot import Progress
from screens import command_lines
from screens.command_lines import CommandLine
from screens.exports import Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.failed_items import FailedItemsList
from screens.pages.filtering import FilterPage
from screens.pages.polling import FAST_SECONDS, PollingPage
from screens.pages.run_actions import RunActionsPage
from screens.panels import run as run_panel, run_failures, run_grid, run_log, why
from screens.panels.run_failures import Items
from screens.panels.run_log import Log
from screens.panels.view import View, hint
from screens.panels.why import Question
from screens.widgets.area import Area
from screens.widgets.contained import contained
from screens.widgets.lines import Drawing, Line, Piece, line
from screens.widgets.panel import PLAIN, Panel

STEP = 10
FILTER_CELLS = 30
OTHER_ROWS = 4
"""The rows above and below the panels."""
TO_END = 1_000_000
"""A step to either end."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The run, the lines that its log has gained, and the items that failed from `start` on, if they were read."""

    page: RunPage
    lines: list[LogLine]
    items: FailedItems | None
    start: Place | None


class RunScreen(FilterPage, PollingPage[Loaded], RunActionsPage):
    """Batches, failures and log of a run. Tab changes between failures and log, which the arrows scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("follow", "follow", "hold or follow the log"),
        bind("filter", "filter", "search the log"),
        bind("next_panel", "part", "failures or log"),
        bind("previous_panel", "part", "failures or log"),
        bind("up", "scroll(-1)", "line above"),
        bind("down", "scroll(1)", "line below"),
        bind("page_up", f"scroll(-{STEP})", f"{STEP} lines up"),
        bind("page_down", f"scroll({STEP})", f"{STEP} lines down"),
        bind("first", f"scroll(-{TO_END})", "first line"),
        bind("last", f"scroll({TO_END})", "last line"),
    ]

    def __init__(self, host: Host, number: int) -> None:
        super().__init__(host)
        self.number = number
        self._data: RunPage | None = None
        self._lines: list[tuple[datetime, str]] = []
        self._last_line = 0
        self._has_more_lines = False
        self._held_at: int | None = None
        self._failed = FailedItemsList()

    def panels(self) -> ComposeResult:
        """The run, its batches, what failed, and its log."""
        yield Panel(self._draw_run, id="run", classes=PLAIN, focusable=False)
        yield Panel(self._draw_batches, id="batches", focusable=False)
        with Area(id="parts"):
            yield Panel(self._draw_failures, id="failures")
            yield Panel(self._draw_log, id="log")

    def on_mount(self) -> None:
        """The arrows scroll the log at first."""
        self.set_focus(self.query_one("#log"), scroll_visible=False)

    def wheel_action(self, step: int) -> str:
        return f"scroll({step})"

    def presence_name(self) -> str:
        """The run's number."""
        return f"run {self.number}"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """Cancel and hold for an open run, otherwise retry with the number of failed items."""
        run = self._run()
        failed = run.counts.failed + run.counts.not_reached if run else 0
        is_open = run is not None and run.state in OPEN
        run_keys = (
            (("x", "cancel"), ("f", "follow" if self._held_at is not None else "hold"))
            if is_open
            else (("r", f"retry {failed:,} failed" if failed else "retry"),)
        )
        is_paused = self.pause_key()[0] == "u"
        return (
            *run_keys,
            ("tab", "failures" if self._log_has_focus else "log"),
            ("/", "search"),
            ("w", "why"),
            *((self.pause_key(),) if is_paused else ()),
            ("e", "export"),
            ("=", "command"),
            ("?", "help"),
            ("esc", "back"),
        )

    # --- drawing ------------------------------------------------------------------------------------------------

    def repaint(self) -> None:
        """Gives the panels the height that they need now, then draws them."""
        if self.is_current and self.is_mounted:
            with contained("laying the page out", self.set_notice):
                self._fit()
        super().repaint()

    def watch_maximized(self) -> None:
        """A panel that takes the whole page has no height of its own."""
        self.repaint()

    def _fit(self) -> None:
        panels = {panel.id: panel for panel in self.query(Panel)}
        if not {"run", "batches", "failures"} <= panels.keys():
            return  # the page is being closed
        run, batches, failures = panels["run"], panels["batches"], panels["failures"]
        if self.maximized is not None:
            for panel in (batches, failures):
                panel.styles.clear_rule("height")
            return
        head = len(self._run_lines(self.view(), self.size.width))
        _set_height(run, str(max(1, head)))
        if self._data is not None:
            size = Size(self.size.width - batches.gutter.width, self.size.height - OTHER_ROWS - head)
            grid, most = _heights(self._data, self._failed.items, size, batches.gutter.height, self._log_has_focus)
            _set_height(batches, str(grid))
            _set_height(failures, "1fr" if self.has_class("-large") else str(most))

    def _draw_run(self, view: View, cells: int, _rows: int) -> Drawing:
        return Drawing(self._run_lines(view, cells))

    def _run_lines(self, view: View, cells: int) -> list[Line]:
        errors = self.error_lines()
        if self._data is not None:
            pauses = view.pauses_of(self._data.progress.run.job)
            progress = replace(self._data.progress, tz=view.shown_zone(self._data.progress.tz))
            page = replace(self._data, progress=progress)
            live = self._live()  # what a run waits for depends on other runs: only the Snapshot has it
            waits = live.waits if live is not None else None
            return [*errors, *run_panel.head(page, view.now, cells, pauses=pauses, waits=waits)]
        run = self._run()
        if run is None:
            return errors or [line(" ", Piece(f"Run {self.number:,}", "title"), Piece("  loading", "quiet"))]
        progress = self._live() or Progress(run, view.zone_of(run.job), None, None)
        return [*run_panel.header(progress, view.now, cells), *errors]

    def _not_loaded(self, title: str) -> Drawing:
        status = hint("unknown" if self.error_lines() else "loading")
        return Drawing(status.lines, line(Piece(title, "title")))

    def _draw_batches(self, _view: View, cells: int, rows: int) -> Drawing:
        page = self._data
        if page is None:
            return self._not_loaded("Batches")
        return Drawing(run_grid.rows(page, cells, rows), run_grid.title(page, cells, rows), run_grid.legend(page))

    def _draw_failures(self, view: View, cells: int, rows: int) -> Drawing:
        page = self._data
        if page is None:
            return self._not_loaded("Failures")
        lines = run_failures.rows(page, self._failed.items, cells, rows)
        return Drawing(lines, run_failures.title(page), run_failures.end(page, self._failed.items, rows, view.keys))

    def _draw_log(self, view: View, cells: int, rows: int) -> Drawing:
        if self._data is None:
            return self._not_loaded("Log")
        log = self._log()
        query = self.filter.line(min(FILTER_CELLS, cells // 3), "search")
        return Drawing(
            run_log.rows(log, cells, rows), line(Piece("Log", "title")), run_log.end(log, query, rows, view.keys)
        )

    # --- loading ------------------------------------------------------------------------------------------------

    def load(self) -> Loaded:
        """The run, what its log has gained, and the items that failed, if they may have changed."""
        service = self.host.service
        page = service.queries.run_page(self.number)
        lines = service.queries.log(self.number, after=self._last_line)
        start, items = self._failed.start, None
        if self._failed.is_due(page.progress.run.counts.failed):
            items = service.history.failed_items(self.number, after=start)
        return Loaded(page, lines, items, start)

    def loaded(self, data: Loaded) -> None:
        self._data = data.page
        new = [each for each in data.lines if each.number > self._last_line]
        self._lines += [(each.at, each.line) for each in new]
        self._last_line = new[-1].number if new else self._last_line
        self._has_more_lines = len(data.lines) == LOG_PAGE
        if data.items is not None:
            self._failed.keep(data.page, data.items, data.start, self._rows("failures"))

    def poll_seconds(self) -> float | None:
        """Until the run has ended and all of its log is read."""
        if self._data is None or self._has_more_lines or self._data.progress.run.state in OPEN:
            return FAST_SECONDS
        return None

    # --- keys ---------------------------------------------------------------------------------------------------

    def job(self) -> str | None:
        run = self._run()
        return run.job if run else None

    def run_for(self, verb: str) -> Run | None:
        run = self._run()
        if run is None:
            self.show_notice(f"nothing to {verb}: run {self.number} is not loaded")
        return run

    def run_number(self, *, active: bool = False) -> int | None:
        return self.number

    def shown_run(self, *, active: bool = False) -> Run | None:
        """This run, once it is loaded."""
        return self._run()

    def command_lines(self) -> Sequence[CommandLine]:
        """The commands for the run and its job, and for its log and its failed items."""
        of_run = command_lines.follow(self.number), command_lines.list_failed_items(self.number)
        return (*of_run, *super().command_lines())

    def table(self) -> Table:
        """Every item that failed; while the log has the focus, the log."""
        if self._log_has_focus:
            return run_log.table(self._log())
        return run_failures.table(self.host.service.history.all_failed_items(self.number))

    def filter_changed(self) -> None:
        """Shows the newest lines that contain the text."""
        self._held_at = None

    def action_follow(self) -> None:
        """Holds the log where it is, or follows its end again."""
        self._held_at = None if self._held_at is not None else len(run_log.matching(self._log()))
        self.repaint()

    def action_part(self) -> None:
        """Lets the arrows scroll the failures, or the log."""
        self.set_focus(self.query_one("#failures" if self._log_has_focus else "#log"), scroll_visible=False)
        self.repaint()

    def action_scroll(self, step: int) -> None:
        """Scrolls what has the focus; the log is held from then on."""
        if self._log_has_focus:
            self._scroll_log(step)
        elif self._data is not None and self._failed.scroll(self._data, step, self._rows("failures")):
            self.reload()
        self.repaint()

    def _scroll_log(self, step: int) -> None:
        log, rows = self._log(), self._rows("log")
        last = len(run_log.matching(log))
        self._held_at = max(min(rows, last), min(last, run_log.last_shown(log, rows) + step))
        if step == TO_END:
            self._held_at = None

    # --- what is shown ------------------------------------------------------------------------------------------

    def _rows(self, panel: str) -> int:
        return self.query_one(f"#{panel}", Panel).size.height

    @property
    def _log_has_focus(self) -> bool:
        return self.focused is None or self.focused.id == "log"

    def _log(self) -> Log:
        page = self._data
        if page is None:
            return Log((), "UTC", is_open=True)
        run = page.progress.run
        is_open = run.state in OPEN
        dropped = 0 if is_open or self._has_more_lines else max(0, run.log_lines - len(self._lines))
        tz, query = self.view().zone_of(run.job), self.filter.value.strip()
        return Log(self._lines, tz, is_open, query, self._held_at, dropped, run.job)

    def _run(self) -> Run | None:
        return self._data.progress.run if self._data else self.view().find_run(self.number)

    def _live(self) -> Progress | None:
        return next((each for each in self.host.snapshot.live if each.run.id == self.number), None)

    def why_question(self) -> Question | None:
        """Why this run exists."""
        run = self._run()
        return why.of_run(self.view(), run) if run is not None else None


def _heights(page: RunPage, items: Items, size: Size, border: int, log_has_focus: bool) -> tuple[int, int]:
    """The rows of the batches and of the failures, which take more of them while they have the focus."""
    grid = run_grid.height(page, size.width, max(1, (size.height + 4) // 5)) + border
    room = size.height - grid
    least = max(1, len(page.causes) + len(run_failures.recurring_items(page)))
    needed = least if log_has_focus else run_failures.length(page, items)
    return grid, max(1, min(needed, room // 3 if log_has_focus else room * 2 // 3)) + border


def _set_height(panel: Panel[View], height: str) -> None:
    if str(panel.styles.height) != height:
        panel.styles.height = height
