"""A page on which something can be done about a run and its job: the same keys everywhere."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from opsconsole.service.snapshot import Run
from screens import actions
from screens.pages.page import Page
from screens.panels import pauses


class RunActionsPage(Page):
    """Says which run and which job its keys are about, and what is said where there is none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "trigger", "trigger the job"),
        Binding("b", "backfill", "backfill the job"),
        Binding("x", "cancel", "cancel the run"),
        Binding("r", "retry", "retry what failed"),
        Binding("p", "pause", "pause the job"),
        Binding("u", "resume", "resume the job"),
    ]

    def job(self) -> str | None:
        """The job that the keys are about."""
        raise NotImplementedError

    def run_to(self, do: str) -> Run | None:
        """The run that the keys are about; None when there is none to do that to, which is said then."""
        raise NotImplementedError

    def action_trigger(self) -> None:
        """The job, or the first one."""
        actions.trigger(self.console_app, self.job())

    async def action_backfill(self) -> None:
        """The job's calendar, or all jobs."""
        await self.console_app.open_calendar(self.job())

    def action_cancel(self) -> None:
        """The run."""
        run = self.run_to("cancel")
        if run is not None:
            actions.cancel(self.console_app, run)

    def action_retry(self) -> None:
        """What failed in the run."""
        run = self.run_to("retry")
        if run is not None:
            actions.retry(self.console_app, run)

    def action_pause(self) -> None:
        """The job, its pack, or everything."""
        job = self.job()
        if job is None:
            self.say(CHOOSE)
        else:
            actions.pause(self.console_app, job)

    def action_resume(self) -> None:
        """The job; where none is chosen, everything, when everything is paused."""
        app = self.console_app
        job = self.job()
        if job is None and pauses.of_all(app.snapshot.pauses, app.now()):
            job = pauses.ALL
        if job is None:
            self.say(CHOOSE)
        else:
            actions.resume(app, job)

    def pause_key(self) -> tuple[str, str]:
        """What the footer offers: a job that is paused can go on."""
        job = self.job()
        held = job is not None and pauses.holding(self.console_app.snapshot.pauses, job, self.console_app.now())
        return ("u", "resume") if held else ("p", "pause")


CHOOSE = "choose a row with the arrows or tab first"
