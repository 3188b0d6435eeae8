"""The Dashboard: the screen that the console opens with."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from opsconsole.desk.values import Finding, Run, Snapshot
from screens.lines import Line
from screens.page import Page
from screens.rows import board, health, running
from screens.rows.view import Key, View


class Dashboard(Page):
    """Five panels of one Snapshot, and a cursor over their rows."""

    FOOTER = (
        ("t", "trigger"),
        ("r", "retry"),
        ("enter", "open"),
        ("tab", "panel"),
        ("↑↓", "move"),
        ("?", "help"),
        ("^p", "find"),
        ("q", "quit"),
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "row above"),
        Binding("down,j", "move(1)", "row below"),
        Binding("right,l,tab", "panel(1)", "next panel"),
        Binding("left,h,shift+tab", "panel(-1)", "panel before"),
        Binding("enter", "open", "open the run"),
        Binding("t", "trigger", "trigger the job"),
        Binding("r", "retry", "retry what failed"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._places: list[Key] = []

    def show(self, snapshot: Snapshot) -> None:
        """Keeps the cursor on its row, wherever that is now."""
        before, self._places = self._places, board.places(self._view())
        self.cursor = board.settled(self.cursor, self._places, before)
        self.repaint()

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

    def action_trigger(self) -> None:
        """The job of the row under the cursor, or the first one."""
        self.console_app.ask_trigger(self._job())

    def action_retry(self) -> None:
        """What failed in the run of the row under the cursor."""
        number = self._run()
        run = self.console_app.known_run(number) if number is not None else None
        if run is not None:
            self.console_app.ask_retry(run)
        elif number is not None:
            self.console_app.open_run(number)
            self.console_app.say("press r here to retry this run")
        else:
            self.say(self._nothing("has no run to retry"))

    def _nothing(self, what: str) -> str:
        job = self._job()
        return f"{job} {what}" if job else "choose a row with the arrows or tab first"

    def _go(self, cursor: Key | None) -> None:
        self.cursor = cursor
        self.repaint()

    def _view(self) -> View:
        return View(self.console_app.snapshot, self.console_app.now(), self.cursor)

    def _finding(self) -> Finding | None:
        found = self.console_app.snapshot.findings
        return next((finding for finding in found if health.key(finding) == self.cursor), None)

    def _job(self) -> str | None:
        """The job that the cursor is about."""
        if self.cursor is None:
            return None
        panel, name = self.cursor
        if panel == running.PANEL:
            run = self.console_app.known_run(int(name))
            return run.job if run else None
        finding = self._finding()
        return finding.subject if finding is not None else name if panel != health.PANEL else None

    def _run(self) -> int | None:
        """The run that the cursor is about; the newest one of a job."""
        if self.cursor is not None and self.cursor[0] == running.PANEL:
            return int(self.cursor[1])
        finding = self._finding()
        if finding is not None and finding.run is not None:
            return finding.run
        newest: Run | None = self.console_app.newest_run(self._job() or "")
        return newest.id if newest else None
