"""The Dashboard: the page that the console opens with."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from opsconsole.authoring.run import OPEN
from opsconsole.service.snapshot import AlertCard, Finding, Run, Snapshot
from screens.exports import Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.alert_actions import AlertActionsPage
from screens.pages.run_actions import CHOOSE
from screens.panels import alerts, cursor, dashboard, health, running, tables, why
from screens.panels.view import Key, View
from screens.panels.why import Question
from screens.widgets.lines import Line


class Dashboard(AlertActionsPage):
    """Five panels of the Snapshot, and a cursor over their rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", "row above"),
        bind("down", "move(1)", "row below"),
        bind("right", "panel(1)", "next panel"),
        bind("next_panel", "panel(1)", "next panel"),
        bind("left", "panel(-1)", "previous panel"),
        bind("previous_panel", "panel(-1)", "previous panel"),
        bind("open", "open", "open the run"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._keys: list[Key] = []

    def show(self, snapshot: Snapshot) -> None:
        """Keeps the cursor on its row, wherever the row is now."""
        before, self._keys = self._keys, dashboard.keys(self.view())
        self.cursor = cursor.settled(self.cursor, self._keys, before)
        self.repaint()

    def presence_name(self) -> str:
        """This page."""
        return "dashboard"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """Of cancel and retry, of pause and resume, and of clear and acknowledge the one that fits the row; all of them
        work on every row.
        """
        number = self._run_number(active=True)
        run = self.view().find_run(number) if number is not None else None
        return (
            ("t", "trigger"),
            ("b", "backfill"),
            ("c", "clear") if self._finding() is None else ("a", "ack"),
            ("x", "cancel") if run is not None and run.state in OPEN else ("r", "retry"),
            self.pause_key(),
            ("?", "help"),
            ("^p", "find"),
            ("q", "quit"),
        )

    def content(self, view: View, cells: int, rows: int) -> list[Line]:
        """The panels."""
        return dashboard.dashboard(view, cells, rows)

    def action_move(self, step: int) -> None:
        """Moves the cursor up and down, through all panels."""
        self._go(cursor.moved(self.cursor, self._keys, step))

    def action_panel(self, step: int) -> None:
        """Moves the cursor to the first row of another panel."""
        self._go(cursor.next_panel(self.cursor, self._keys, step))

    def action_open(self) -> None:
        """Opens the run of the row under the cursor."""
        number = self._run_number()
        if number is None:
            self.show_notice(self._job_or_choose("has not run yet; t triggers it"))
        else:
            self.host.open_run(number)

    def job(self) -> str | None:
        """The job of the row under the cursor."""
        if self.cursor is None:
            return None
        panel, name = self.cursor
        if panel == running.PANEL:
            run = self.view().find_run(int(name))
            return run.job if run else None
        finding = self._finding()
        subject = finding.subject if finding is not None else name if panel != health.PANEL else None
        return subject if any(card.name == subject for card in self.host.snapshot.jobs) else None

    def run_for(self, verb: str) -> Run | None:
        """The run of the row under the cursor. On a job's row, its newest run, or the active one to cancel."""
        number = self._run_number(active=verb == "cancel")
        if number is None:
            self.show_notice(self._job_or_choose(f"has no run to {verb}"))
            return None
        return self.find_or_open(number, verb)

    def why_question(self) -> Question | None:
        """About the finding or run under the cursor, or the job."""
        finding = self._finding()
        if finding is not None:
            return why.of_finding(self.view(), finding)
        is_run = self.cursor is not None and self.cursor[0] == running.PANEL
        run = self.view().find_run(int(self.cursor[1])) if self.cursor is not None and is_run else None
        return why.of_run(self.view(), run) if run is not None else super().why_question()

    def run_number(self, *, active: bool = False) -> int | None:
        """The run of the row under the cursor; on a job's row, its newest or its active one."""
        return self._run_number(active=active)

    def selected_alert(self) -> AlertCard | None:
        """The alert of the finding under the cursor."""
        finding = self._finding()
        return None if finding is None else alerts.of_finding(self.host.snapshot, finding.key)

    def table(self) -> Table | None:
        """All jobs."""
        return tables.jobs(self.host.snapshot.jobs, self.host.snapshot.histories)

    def alert_for(self, verb: str) -> AlertCard | None:
        """The alert of the finding under the cursor."""
        finding = self._finding()
        if finding is None:
            self.show_notice(f"choose a problem to {verb} with the arrows or tab first")
            return None
        card = self.selected_alert()
        if card is None:
            self.show_notice("this is not an alert yet: a leader has to record it", "warn")
        return card

    def _job_or_choose(self, message: str) -> str:
        job = self.job()
        return f"{job} {message}" if job else CHOOSE

    def _go(self, to: Key | None) -> None:
        self.cursor = to
        self.repaint()

    def _finding(self) -> Finding | None:
        findings = self.host.snapshot.findings
        return next((finding for finding in findings if health.key(finding) == self.cursor), None)

    def _run_number(self, *, active: bool = False) -> int | None:
        """The run of the row under the cursor; on a job's row, its newest or its active one."""
        if self.cursor is not None and self.cursor[0] == running.PANEL:
            return int(self.cursor[1])
        finding = self._finding()
        if finding is not None and finding.run is not None:
            return finding.run.id
        view, job = self.view(), self.job() or ""
        run = view.active_run(job) if active else view.newest_run(job)
        return run.id if run else None
