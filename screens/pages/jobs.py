"""The page of jobs: a list of them, and the details of the one under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.authoring.run import OPEN
from opsconsole.service.snapshot import JobCard, Run, Snapshot
from screens import actions
from screens.exports import Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.filtering import FilterPage
from screens.pages.polling import SLOW_SECONDS
from screens.pages.row_list import RowListPage
from screens.pages.run_actions import RunActionsPage
from screens.panels import job_detail, job_status, jobs, tables
from screens.panels.job_states import worst_first
from screens.panels.jobs import Segment
from screens.panels.view import Key, View
from screens.widgets.lines import Drawing, width
from screens.widgets.panel import Panel

if TYPE_CHECKING:
    from opsconsole.service.job_page import JobPage

FILTER_CELLS = 24
FRAME_CELLS = 8
"""What the border takes of the line with the segments and the filter."""
NO_JOB = "no job to {verb} in this list; {next_panel} shows another one"


class JobsScreen(FilterPage, RowListPage["JobPage | None", Segment], RunActionsPage):
    """Jobs of a segment with a cursor. What is loaded are the details of the job under it."""

    SEGMENTS = Segment
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", "job above"),
        bind("down", "move(1)", "job below"),
        bind("open", "open", "open the runs of the job"),
        bind("schedule", "schedule", "change the schedule"),
        bind("try_schedule", "try_schedule", "try a schedule"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._query = ""
        self._page: JobPage | None = None
        self._loaded_run: int | None = None
        self.settle()

    def show(self, snapshot: Snapshot) -> None:
        """Keeps the cursor on its job, wherever the row is now."""
        self.settle()
        if self._newest_number() != self._loaded_run:
            self.reload()
        self.repaint()

    def presence_name(self) -> str:
        return "jobs"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """Of cancel and retry, and of pause and resume the one that fits the job."""
        run = self.view().active_run(self.job() or "")
        return (
            ("t", "trigger"),
            ("b", "backfill"),
            ("x", "cancel") if run is not None and run.state in OPEN else ("r", "retry"),
            self.pause_key(),
            ("w", "why"),
            ("/", "filter"),
            ("*", "try cron"),
            ("esc", "back"),
            ("?", "help"),
        )

    def panels(self) -> ComposeResult:
        """The list, and the details below or beside it."""
        yield Panel(self._draw_list, id="jobs")
        yield Panel(self._draw_details, id="job")

    def load(self) -> JobPage | None:
        """The details of the job under the cursor."""
        job, number = self.job(), self._newest_number()
        page = self.host.service.queries.job_page(job) if job is not None else None
        self._loaded_run = number
        return page

    def loaded(self, data: JobPage | None) -> None:
        self._page = data

    def poll_seconds(self) -> float | None:
        """At once when the cursor has moved on."""
        job = self.job()
        return SLOW_SECONDS if job is None or self._details(job) is not None else 0.0

    def job(self) -> str | None:
        """The job under the cursor."""
        return self.cursor[1] if self.cursor is not None else None

    def table(self) -> Table | None:
        """The jobs that are listed."""
        listed = jobs.listed(worst_first(self.view()), self.segment, self._query)
        return tables.jobs([state.card for state in listed], self.host.snapshot.histories)

    def run_for(self, verb: str) -> Run | None:
        """The newest run of the job, or its active one to cancel."""
        job = self.job()
        if job is None:
            self.show_notice(self.keyed(NO_JOB, verb=verb))
            return None
        view = self.view()
        run = view.active_run(job) if verb == "cancel" else view.newest_run(job)
        if run is None:
            self.show_notice(f"{job} has no run to {verb}")
        return run

    def filter_changed(self) -> None:
        """Lists the jobs that match."""
        self._query = self.filter.value
        self.settle()
        self.reload()

    async def action_open(self) -> None:
        """Opens the runs of the job."""
        job = self.job()
        if job is None:
            self.show_notice(self.keyed(NO_JOB, verb="open"))
        elif self.view().newest_run(job) is None:
            self.show_notice(self.view().hint(f"{job} has not run yet", "trigger", "triggers it"))
        else:
            await self.host.open_runs(job)

    def action_maximise(self) -> None:
        """Gives the whole page to the list, then to the details; then shows both again."""
        if self.maximized is not None and self.maximized.id == "jobs":
            self.maximize(self.query_one("#job"), container=False)
        else:
            super().action_maximise()

    def action_schedule(self) -> None:
        """Opens the dialog that changes the schedule of the job."""
        actions.schedule(self.host, self._card())

    def action_try_schedule(self) -> None:
        """Opens the dialog for cron expressions with the schedule of the job."""
        actions.try_schedule(self.host, self._card())

    def _draw_list(self, view: View, cells: int, rows: int) -> Drawing:
        found, errors = worst_first(view), self.error_lines()
        listed, nothing = jobs.listed(found, self.segment, self._query), jobs.nothing(view, self.segment, self._query)
        lines, keys, hidden = jobs.rows(view, listed, cells, rows - len(errors) - 1, nothing)
        query = self.filter.line(FILTER_CELLS)
        room = cells - width(query) - FRAME_CELLS
        title, spots = jobs.title(found, self.segment, room), jobs.spots(found, room)
        before = [*errors, jobs.columns(cells)]
        return Drawing([*before, *lines], title, jobs.end(view, query, hidden), [*[None] * len(before), *keys], spots)

    def _draw_details(self, view: View, cells: int, rows: int) -> Drawing:
        status = job_status.of(view, self.job() or "")
        if status is None:
            return Drawing([])
        lines = job_detail.rows(view, status, self._details(status.card.name), cells, rows)
        return Drawing(lines, job_detail.title(status.card), job_detail.end(status.card))

    def listed_keys(self) -> Sequence[Key]:
        """The jobs of the segment that match."""
        return [state.key for state in jobs.listed(worst_first(self.view()), self.segment, self._query)]

    def _card(self) -> JobCard | None:
        return next((card for card in self.host.snapshot.jobs if job_status.key(card.name) == self.cursor), None)

    def _details(self, job: str) -> JobPage | None:
        """The details, once they are those of this job."""
        return self._page if self._page is not None and self._page.job.name == job else None

    def _newest_number(self) -> int | None:
        """The newest run of the job: when it ends or another one starts, the details have changed."""
        run = self.view().newest_run(self.job() or "")
        return run.id if run is not None else None
