"""The keys for a run and its job, the same on every page that shows runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from opsconsole.authoring.run import OPEN
from opsconsole.service.snapshot import Run
from screens import actions, command_lines
from screens.command_lines import CommandLine
from screens.exports import Copied
from screens.keymap import bind
from screens.pages.page import Page
from screens.panels import pauses, questions, why
from screens.panels.plan import Gap
from screens.panels.why import Question

CHOOSE = "choose a row with the arrows or {next_panel} first"


class RunActionsPage(Page):
    """A page that selects a run and a job for these keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("trigger", "trigger", "trigger the job"),
        bind("backfill", "backfill", "backfill the job"),
        bind("cancel", "cancel", "cancel the run"),
        bind("retry", "retry", "retry failed items"),
        bind("pause", "pause", "pause the job"),
        bind("resume", "resume", "resume the job"),
        bind("why", "why", "why it ran or did not run"),
    ]

    def job(self) -> str | None:
        raise NotImplementedError

    def run_for(self, verb: str) -> Run | None:
        """The selected run; None when there is none, which is shown as a notice with the verb."""
        raise NotImplementedError

    def run_number(self, *, active: bool = False) -> int | None:
        """The number of the selected run; with `active`, of the one that can be cancelled."""
        view, job = self.view(), self.job() or ""
        run = view.active_run(job) if active else view.newest_run(job)
        return run.id if run is not None else None

    def shown_run(self, *, active: bool = False) -> Run | None:
        """The run with that number; None where the Snapshot does not have it."""
        number = self.run_number(active=active)
        return self.view().find_run(number) if number is not None else None

    def refused(self) -> frozenset[str]:
        """What the job and the run do not allow. A run that is not known here is opened, where the key can be used."""
        job, run, active, number = self.job(), self.shown_run(), self.shown_run(active=True), self.run_number()
        card = next((each for each in self.host.snapshot.jobs if each.name == job), None)
        is_paused = self.pause_key()[0] == "u" or (job is None and self._all_are_paused)
        refused = {
            "cancel": active is None or active.state not in OPEN,
            "retry": number is None or (run is not None and isinstance(questions.retry(run, ""), str)),
            "trigger": not self.host.snapshot.jobs,
            "why": job is None and self.cursor is None,
            "pause": job is None,
            "resume": not is_paused,
            "backfill": card is not None and not card.has_calendar,
        }
        return frozenset(each for each, is_refused in refused.items() if is_refused)

    def copied(self) -> Copied | None:
        """The number of the run, otherwise the name of the job."""
        number, job = self.run_number(), self.job()
        if number is not None:
            return Copied(str(number), f"the number of run {number}")
        return Copied(job, f"the name of {job}") if job is not None else None

    def command_lines(self) -> Sequence[CommandLine]:
        """The commands for the job and the run."""
        job, run, active = self.job(), self.run_number(), self.run_number(active=True)
        of_run = [command_lines.show_run(run), command_lines.retry(run)] if run is not None else []
        of_run += [command_lines.cancel(active)] if active is not None else []
        if job is None:
            return of_run
        of_job = [command_lines.trigger(job), command_lines.windows(job)]
        of_job += [command_lines.pause(job), command_lines.resume(job)]
        question = self.why_question()
        of_job += [command_lines.why(question.job, question.at, question.window)] if question and question.job else []
        return (*of_run, *of_job)

    def gap(self) -> Gap | None:
        """The windows that the row under the cursor reports as not up to date."""
        return None

    def find_or_open(self, number: int, verb: str) -> Run | None:
        """A run of the Snapshot; one that it does not have is opened, where the key can be pressed again."""
        run = self.view().find_run(number)
        if run is None:
            self.host.open_run(number)
            self.host.show_notice(f"press the key again on this page to {verb} the run")
        return run

    def why_question(self) -> Question | None:
        """What `w` explains; None when nothing is selected."""
        job = self.job()
        return why.of_job(self.view(), job) if job is not None else None

    def action_why(self) -> None:
        """Explains why the job ran or did not run."""
        question = self.why_question()
        if question is None:
            self.show_notice(self.keyed(CHOOSE))
        else:
            actions.why(self.host, question)

    def action_trigger(self) -> None:
        """Triggers the job, or the first one."""
        actions.trigger(self.host, self.job())

    async def action_backfill(self) -> None:
        """Opens the job's calendar, with a plan for the gap under the cursor; or the list of jobs."""
        await self.host.open_calendar(self.job(), self.gap())

    def action_cancel(self) -> None:
        run = self.run_for("cancel")
        if run is not None:
            actions.cancel(self.host, run)

    def action_retry(self) -> None:
        """Retries what failed in the run."""
        run = self.run_for("retry")
        if run is not None:
            actions.retry(self.host, run)

    def action_pause(self) -> None:
        """Pauses the job, its pack, or all jobs."""
        job = self.job()
        if job is None:
            self.show_notice(self.keyed(CHOOSE))
        else:
            actions.pause(self.host, job)

    def action_resume(self) -> None:
        """Resumes the job; without a job, all jobs if all are paused."""
        job = self.job()
        if job is None and self._all_are_paused:
            job = pauses.ALL
        if job is None:
            self.show_notice(self.keyed(CHOOSE))
        else:
            actions.resume(self.host, job)

    @property
    def _all_are_paused(self) -> bool:
        return pauses.of_all(self.host.snapshot.pauses, self.host.now()) is not None

    def pause_key(self) -> tuple[str, str]:
        """The footer's key: resume for a paused job, otherwise pause."""
        job = self.job()
        is_paused = job is not None and pauses.active(self.host.snapshot.pauses, job, self.host.now())
        return ("u", "resume") if is_paused else ("p", "pause")
