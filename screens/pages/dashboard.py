"""The Dashboard: the page that the console opens with."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.authoring.run import OPEN
from opsconsole.service.snapshot import AlertCard, Finding, FindingKind, Run, Snapshot
from screens.exports import Table
from screens.host import Host
from screens.keymap import PANEL_BINDINGS, bind
from screens.pages.alert_actions import AlertActionsPage
from screens.pages.quiet import QuietPage
from screens.pages.row_details import RowDetails
from screens.pages.run_actions import CHOOSE
from screens.panels import (
    alerts,
    board,
    cursor,
    dashboard,
    fixes,
    health,
    plan,
    redis,
    running,
    tables,
    upcoming,
    why,
)
from screens.panels.dashboard import BOARD, LARGE, WITH_ROWS, PanelName
from screens.panels.facts import Facts
from screens.panels.plan import Gap
from screens.panels.view import Key, View
from screens.panels.why import Question
from screens.widgets.lines import Drawing
from screens.widgets.panel import Panel

CHOOSE_PROBLEM = "choose a problem to {verb} with the arrows or {next_panel} first"
USUAL_JOBS = 18
"""The first frame has room for this many jobs, so that the panels stay where they are when the jobs arrive."""


class Dashboard(QuietPage, AlertActionsPage):
    """Panels of the Snapshot, with a cursor over the rows of jobs, runs and findings. It starts on the worst finding
    and stays there, whichever that is, until it is moved.
    """

    WITH_REDIS: ClassVar[frozenset[str]] = frozenset({PanelName.REDIS})
    WITHOUT_CURSOR: ClassVar[frozenset[str]] = frozenset({PanelName.REDIS, PanelName.NEXT})
    BINDINGS: ClassVar[list[BindingType]] = [
        *PANEL_BINDINGS,
        bind("worst", "worst", "worst problem"),
        bind("open", "open", "open the row"),
        bind("filter", "find_runs", "find runs"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._keys: list[Key] = []
        self._is_moved = False
        self._settled: tuple[int, Facts] | None = None
        self._order: tuple[PanelName, ...] = ()
        self._details = RowDetails(host, self.repaint)

    def panels(self) -> ComposeResult:
        """All panels; styles.tcss shows those for which there is room."""
        panels = {
            PanelName.RUNNING: running.panel,
            PanelName.NEXT: upcoming.panel,
            PanelName.JOBS: dashboard.jobs,
            PanelName.DETAIL: self._detail,
            PanelName.LOG: self._log,
            PanelName.REDIS: redis.panel,
            PanelName.HEALTH: health.panel,
        }
        self._order = dashboard.order(self.app.size.width)
        for name in self._order:
            panel = Panel(panels[name], id=name, focusable=name in WITH_ROWS)
            if name == PanelName.JOBS:
                panel.need(board.HEADER_ROWS + USUAL_JOBS)
            yield panel

    def on_mount(self) -> None:
        """Shows the Snapshot that arrived before there were panels."""
        self._settled = None
        self.show(self.host.snapshot)

    def on_resize(self, event: events.Resize) -> None:
        """Puts the panels into the order of the new size, with their rows and details."""
        order = dashboard.order(event.size.width)
        if order != self._order:
            self._order = order
            container = self.query_one("#panels")
            for name in order:  # each one behind those before it
                panel, last = container.query_one(f"#{name}"), container.children[-1]
                if panel is not last:
                    container.move_child(panel, after=last)
        self.call_after_refresh(lambda: self.show(self.host.snapshot))  # the application has its new size by then

    def show(self, snapshot: Snapshot) -> None:
        """Keeps the cursor on its row, wherever the row is now."""
        columns = self.app.size.width
        if self._settled != (columns, self.facts(self.view())):
            self._settle()
            self._load()
            self._settled = columns, self.facts(self.view())
        self.follow()

    def presence_name(self) -> str:
        return "dashboard"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """Of cancel and retry, and of pause and resume the one that fits the row, and acknowledge for a problem."""
        number = self.run_number(active=True)
        run = self.view().find_run(number) if number is not None else None
        return (
            ("t", "trigger"),
            ("b", "backfill"),
            ("x", "cancel") if run is not None and run.state in OPEN else ("r", "retry"),
            self.pause_key(),
            *((("a", "ack"),) if self._finding() is not None else ()),
            ("w", "why"),
            ("?", "help"),
            ("^p", "find"),
            ("q", "quit"),
        )

    def verdict_keys(self) -> tuple[tuple[str, str], ...]:
        """The keys that act on the worst finding while the cursor is on it; otherwise the one that leads there."""
        worst = next(iter(health.shown(self.view())[0]), None)
        if worst is None:
            return ()
        finding = self._finding()
        if finding is None or finding.key != worst.key:
            return (("home", "go there"),)
        fix = (fixes.OF[worst.remedy].default,) if worst.remedy is not None else ()
        return (("enter", "open"), *fix, ("w", "why"))

    def action_move(self, step: int) -> None:
        """Moves the cursor up and down, through all panels; within the only one that is shown."""
        rows = [key for key in self._keys if self.maximized is None or key[0] == self.maximized.id]
        self._go(cursor.moved(self.cursor, rows, step))

    def action_panel(self, step: int) -> None:
        """Moves the cursor to the first row of another panel."""
        self._go(cursor.next_panel(self.cursor, self._keys, step))

    def action_worst(self) -> None:
        """Moves the cursor to the worst problem, and keeps it there."""
        self._is_moved = False
        self._settle()
        self.move_to(self.cursor)

    async def action_open(self) -> None:
        """Opens what is behind the row: a run, the calendar of incomplete windows, a pack's panels."""
        finding, number = self._finding(), self.run_number()
        if finding is not None and finding.kind is FindingKind.INCOMPLETE_WINDOWS:
            await self.host.open_calendar(self.job())
        elif finding is not None and finding.kind is FindingKind.CHECK:
            self.host.open_packs()
        elif number is not None:
            self.host.open_run(number)
        elif finding is not None and self.job() is None:
            self.show_notice(self.view().hint(f"{finding.subject} has no run to open", "why", "explains the problem"))
        else:
            self.show_notice(self._job_or_choose(self.view().hint("has not run yet", "trigger", "triggers it")))

    def clicked(self, row: Key) -> None:
        """Moves the cursor, which then stays there."""
        self._is_moved = True
        super().clicked(row)

    def move_to(self, row: Key | None) -> None:
        """Moves the cursor, and loads what is shown about its row."""
        super().move_to(row)
        self.call_after_refresh(self._load)  # reading it would delay the paint

    def job(self) -> str | None:
        """The job of the row under the cursor."""
        if self.cursor is None:
            return None
        panel, name = self.cursor
        if panel == PanelName.RUNNING:
            run = self.view().find_run(int(name))
            return run.job if run else None
        finding = self._finding()
        subject = finding.subject if finding is not None else name if panel != PanelName.HEALTH else None
        return subject if any(card.name == subject for card in self.host.snapshot.jobs) else None

    def run_for(self, verb: str) -> Run | None:
        """The run of the row under the cursor. On a job's row, its newest run, or the active one to cancel."""
        number = self.run_number(active=verb == "cancel")
        if number is None:
            self.show_notice(self._job_or_choose(f"has no run to {verb}"))
            return None
        return self.find_or_open(number, verb)

    def alert_for(self, verb: str) -> AlertCard | None:
        """The alert of the finding under the cursor."""
        finding = self._finding()
        if finding is None:
            self.show_notice(self.keyed(CHOOSE_PROBLEM, verb=verb))
            return None
        card = self.selected_alert()
        if card is None:
            self.show_notice("this is not an alert yet: a leader has to record it", "warn")
        return card

    def why_question(self) -> Question | None:
        """What is known about the finding or the run; for a job, about its newest scheduled time."""
        finding, view = self._finding(), self.view()
        if finding is not None:
            return why.of_finding(view, finding)
        run = view.find_run(int(self.cursor[1])) if self.cursor and self.cursor[0] == PanelName.RUNNING else None
        return why.of_run(view, run) if run is not None else super().why_question()

    def gap(self) -> Gap | None:
        """The windows of the finding under the cursor."""
        finding = self._finding()
        if finding is None or finding.kind is not FindingKind.INCOMPLETE_WINDOWS:
            return None
        return plan.gap(finding.items, finding.numbers)

    async def action_find_runs(self) -> None:
        """Opens the history of runs with its filter open."""
        await self.host.open_runs(None)

    def selected_alert(self) -> AlertCard | None:
        """The alert of the finding under the cursor."""
        finding = self._finding()
        return None if finding is None else alerts.of_finding(self.host.snapshot, finding.key)

    def table(self) -> Table | None:
        """All jobs."""
        return tables.jobs(self.host.snapshot.jobs, self.host.snapshot.histories)

    # --- panels -------------------------------------------------------------------------------------------------

    def _detail(self, view: View, cells: int, rows: int) -> Drawing:
        return self._details.about(view, self.job(), self._finding(), cells, rows)

    def _log(self, view: View, cells: int, rows: int) -> Drawing:
        return self._details.log(view, self.run_number(), cells, rows)

    def _load(self) -> None:
        """Loads what the panels show about the row under the cursor."""
        columns = self.app.size.width
        job, number = self.job() if columns >= BOARD else None, self.run_number() if columns >= LARGE else None
        self._details.request(self, self.view(), job, number)

    # --- state --------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        view, columns = self.view(), self.app.size.width
        before, self._keys = self._keys, dashboard.keys(view, columns)
        if self._is_moved:
            self.cursor = cursor.settled(self.cursor, self._keys, before)
        else:
            self.cursor = dashboard.worst(view, columns)
        self.focus_cursor()
        for panel in self.query(Panel):
            if panel.id == PanelName.JOBS and view.snapshot.jobs:
                panel.need(board.HEADER_ROWS + len(view.snapshot.jobs))

    def _go(self, to: Key | None) -> None:
        self._is_moved = True
        self.move_to(to)
        if self.maximized is not None and self.focused is not None:
            self.maximize(self.focused, container=False)

    def _job_or_choose(self, message: str) -> str:
        job = self.job()
        return f"{job} {message}" if job else self.keyed(CHOOSE)

    def _finding(self) -> Finding | None:
        """The finding of the row; on a job's row, the worst one about it."""
        if self.cursor is None or self.cursor[0] == PanelName.RUNNING:
            return None
        panel, name = self.cursor
        matches: Callable[[Finding], bool] = (
            (lambda each: each.subject == name)
            if panel == PanelName.JOBS
            else lambda each: health.key(each) == self.cursor
        )
        return next(filter(matches, self.host.snapshot.findings), None)

    def run_number(self, *, active: bool = False) -> int | None:
        """The run of the row under the cursor; on a job's row, its newest or its active one."""
        if self.cursor is not None and self.cursor[0] == PanelName.RUNNING:
            return int(self.cursor[1])
        view, job, finding = self.view(), self.job() or "", self._finding()
        live = view.active_run(job)
        if active and live is not None:
            return live.id
        if finding is not None and finding.run is not None and not active:
            return finding.run.id
        run = live if active else view.newest_run(job)
        return run.id if run else None
