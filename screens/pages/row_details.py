"""What the Dashboard shows about the row under the cursor: its job, and the failures and log of its run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opsconsole.service.run_details import RunPage
from opsconsole.service.snapshot import Finding
from screens.host import Host
from screens.pages.loading import Loaded
from screens.panels import health, job_detail, job_status, run_tail
from screens.panels.view import View
from screens.threads import Loop
from screens.widgets.lines import Drawing, Piece, line

if TYPE_CHECKING:
    from opsconsole.service.job_page import JobPage  # it loads the database


class RowDetails:
    """Loads in a thread what is requested, and draws it; `on_change` is called when something was loaded."""

    def __init__(self, host: Host, on_change: Callable[[], None]) -> None:
        self._host = host
        self._job: Loaded[str, JobPage] = Loaded(self._read_job, on_change)
        self._run: Loaded[int, RunPage] = Loaded(self._read_run, on_change)

    def request(self, loop: Loop, view: View, job: str | None, number: int | None) -> None:
        """Loads the job and the run, unless nothing about them has changed since."""
        if job is not None:
            self._job.request(loop, job, (view.newest_run(job), view.active_run(job)))
        if number is not None:
            self._run.request(loop, number, view.find_run(number))

    def about(self, view: View, job: str | None, finding: Finding | None, cells: int, rows: int) -> Drawing:
        """The details of a job; of a finding about none, its sentence."""
        status = job_status.of(view, job or "")
        if status is None:
            lines = health.details(view, finding, cells) if finding is not None else []
            choose = line("   ", Piece(f"choose a row with the arrows or {view.keys['next_panel']}", "quiet"))
            return Drawing(lines or [choose], line(Piece("Details", "title")))
        lines = job_detail.rows(view, status, self._job.get(status.card.name), cells, rows)
        return Drawing(lines, job_detail.title(status.card), job_detail.end(status.card))

    def log(self, view: View, number: int | None, cells: int, rows: int) -> Drawing:
        """The failures and the log of a run."""
        if number is None:
            return run_tail.message("no run under the cursor", "Log")
        page = self._run.get(number)
        if page is None:
            return run_tail.message(self._run.error(number) or "loading", f"Run {number}")
        return run_tail.panel(view, page, cells, rows)

    def _read_job(self, job: str) -> JobPage:
        return self._host.service.queries.job_page(job)

    def _read_run(self, number: int) -> RunPage:
        return self._host.service.queries.run_page(number)
