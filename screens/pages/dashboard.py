"""The Dashboard: the screen that the console opens with."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from opsconsole.authoring.run import OPEN
from opsconsole.service.snapshot import Finding, Run, Snapshot
from screens.pages.run_actions import CHOOSE, RunActionsPage
from screens.panels import dashboard as board, health, running
from screens.panels.view import Key, View
from screens.widgets.lines import Line


class Dashboard(RunActionsPage):
    """Five panels of one Snapshot, and a cursor over their rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "row above"),
        Binding("down,j", "move(1)", "row below"),
        Binding("right,l,tab", "panel(1)", "next panel"),
        Binding("left,h,shift+tab", "panel(-1)", "panel before"),
        Binding("enter", "open", "open the run"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._places: list[Key] = []

    def show(self, snapshot: Snapshot) -> None:
        """Keeps the cursor on its row, wherever that is now."""
        before, self._places = self._places, board.places(self.view())
        self.cursor = board.settled(self.cursor, self._places, before)
        self.repaint()

    def called(self) -> str:
        """The first screen."""
        return "dashboard"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """The keys for what is wrong first; u where the job is paused, p elsewhere, x where a run goes on, r elsewhere:
        all of them work everywhere.
        """
        number = self._run(going=True)
        run = self.console_app.known_run(number) if number is not None else None
        return (
            ("t", "trigger"),
            ("b", "backfill"),
            ("c", "clear"),
            ("x", "cancel") if run is not None and run.state in OPEN else ("r", "retry"),
            self.pause_key(),
            ("?", "help"),
            ("^p", "find"),
            ("q", "quit"),
        )

    def body(self, view: View, cells: int, rows: int) -> list[Line]:
        """The panels."""
        return board.dashboard(view, cells, rows)

    def action_move(self, step: int) -> None:
        """Up and down, from panel to panel."""
        self._go(board.moved(self.cursor, self._places, step))

    def action_panel(self, step: int) -> None:
        """To another panel's first row."""
        self._go(board.next_panel(self.cursor, self._places, step))

    def action_open(self) -> None:
        """The run of the row under the cursor."""
        run = self._run()
        if run is None:
            self.say(self._nothing("has not run yet; t triggers it"))
        else:
            self.console_app.open_run(run)

    def job(self) -> str | None:
        """The job that the cursor is about."""
        if self.cursor is None:
            return None
        panel, name = self.cursor
        if panel == running.PANEL:
            run = self.console_app.known_run(int(name))
            return run.job if run else None
        finding = self._finding()
        subject = finding.subject if finding is not None else name if panel != health.PANEL else None
        return subject if any(card.name == subject for card in self.console_app.snapshot.jobs) else None

    def run_to(self, do: str) -> Run | None:
        """The run of the row under the cursor; of a job's row the newest one, or the one that can be cancelled."""
        app = self.console_app
        number = self._run(going=do == "cancel")
        if number is None:
            self.say(self._nothing(f"has no run to {do}"))
            return None
        run = app.known_run(number)
        if run is None:
            app.open_run(number)
            app.say(f"press the key here again to {do} this run")
        return run

    def _nothing(self, what: str) -> str:
        job = self.job()
        return f"{job} {what}" if job else CHOOSE

    def _go(self, cursor: Key | None) -> None:
        self.cursor = cursor
        self.repaint()

    def _finding(self) -> Finding | None:
        found = self.console_app.snapshot.findings
        return next((finding for finding in found if health.key(finding) == self.cursor), None)

    def _run(self, *, going: bool = False) -> int | None:
        """The run that the cursor is about; of a job the newest one, or one that is `going` on."""
        if self.cursor is not None and self.cursor[0] == running.PANEL:
            return int(self.cursor[1])
        finding = self._finding()
        if finding is not None and finding.run is not None:
            return finding.run.id
        app, job = self.console_app, self.job() or ""
        found = app.open_run_of(job) if going else app.newest_run(job)
        return found.id if found else None
