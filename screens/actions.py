"""What keys and palette commands do: ask for confirmation where it is needed, then send one command."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opsconsole.rules.backfill_status import Backfill
from opsconsole.service import confirmations
from opsconsole.service.snapshot import JobCard, Run
from screens import command_lines
from screens.dialogs.clear import ClearDialog, Counted
from screens.dialogs.cron import CronDialog, ScheduleRequest
from screens.dialogs.dialog import Confirm
from screens.dialogs.pause import PauseDialog
from screens.dialogs.schedule import ScheduleDialog
from screens.dialogs.text_dialog import TypeToConfirm
from screens.dialogs.trigger import TriggerDialog, TriggerRequest
from screens.dialogs.until import UntilRequest
from screens.dialogs.why import WhyDialog
from screens.host import Host, OnResult
from screens.panels import backfills, clear as clear_panel, pauses, plan as plan_panel, questions
from screens.panels.plan import Plan
from screens.panels.why import Question as WhyQuestion

NO_FAMILY = "no loaded pack declares a cache family"
NO_JOB = "no job to {}; add a pack to jobs.packs in the configuration"


def trigger(host: Host, job: str | None) -> None:
    """Opens the dialog for a job, or for the first one."""
    if not host.snapshot.jobs:
        host.show_notice(NO_JOB.format("trigger"), "warn")
        return

    def answered(request: TriggerRequest | None) -> None:
        if request is not None:
            send_trigger(host, *request)

    host.open_dialog(TriggerDialog(host, host.snapshot.jobs, job), answered)


def send_trigger(host: Host, job: str, date: str | None, params: Mapping[str, str] = command_lines.NO_PARAMS) -> None:
    """Triggers a job without a question."""
    host.send(f"{job} {date}" if date else job, lambda: host.service.commands.trigger(job, date, params=params))


def retry(host: Host, run: Run) -> None:
    """Retries what failed in a run, after a question."""
    question = questions.retry(run, host.snapshot.environment)
    if isinstance(question, str):
        host.show_notice(question, "warn")
        return

    def answered(button: str | None) -> None:
        if button == question.default:
            host.send(f"retry of {questions.run_name(run)}", lambda: host.service.commands.retry(run.id))

    host.open_dialog(Confirm(host, question), answered)


def cancel(host: Host, run: Run) -> None:
    """Cancels a run after a question; offers to stop it by force once it is being cancelled."""
    question = questions.cancel(run, host.snapshot.environment, host.now())
    if isinstance(question, str):
        host.show_notice(question, "warn")
        return

    def answered(button: str | None) -> None:
        name = questions.run_name(run)
        if button == questions.CANCEL_RUN:
            host.send(f"cancel of {name}", lambda: host.service.commands.cancel(run.id))
        elif button == questions.BY_FORCE:
            host.send(f"forced stop of {name}", lambda: host.service.commands.cancel(run.id, force=True))

    host.open_dialog(Confirm(host, question), answered)


def pause(host: Host, job: str) -> None:
    """Asks what to pause, starting from a job, and for how long; `all` offers all jobs only."""
    if not host.snapshot.jobs:
        host.show_notice(NO_JOB.format("pause"), "warn")
        return

    def answered(request: UntilRequest | None) -> None:
        if request is None:
            return
        until, target, note = pauses.until(request.duration, host.now()), request.target, request.note
        name = f"pause of {pauses.target_name(target)} {request.words}"
        host.send(name, lambda: host.service.commands.pause(target, until=until, note=note))

    host.open_dialog(PauseDialog(host, pauses.targets(job, host.snapshot.jobs)), answered)


def resume(host: Host, job: str) -> None:
    """Resumes a job. Asks only where that resumes more than the job: where its pack or all jobs are paused."""
    now = host.now()
    active = pauses.active(host.snapshot.pauses, job, now)
    question = questions.resume(job, active, now, host.zone_of)
    if question is None:
        resume_only(host, job)
        return
    default = question.default

    def answered(button: str | None) -> None:
        if button == default:
            for target in dict.fromkeys(pause.target for pause in active):
                resume_only(host, target)

    host.open_dialog(Confirm(host, question), answered)


def resume_only(host: Host, target: str) -> None:
    """Resumes exactly this job, this pack or `all`."""
    host.send(f"resume of {pauses.target_name(target)}", lambda: host.service.commands.resume(target))


def why(host: Host, question: WhyQuestion) -> None:
    """Explains why a job ran or did not run."""
    host.open_dialog(WhyDialog(host, question), lambda _: None)


def try_schedule(host: Host, card: JobCard | None = None) -> None:
    """Opens the dialog for cron expressions, with the schedule of a job."""
    host.open_dialog(CronDialog(host, card), lambda _: None)


def schedule(host: Host, card: JobCard | None) -> None:
    """Opens the dialog that changes the schedule of a job, or resets it."""
    if card is None:
        host.show_notice(NO_JOB.format("schedule"), "warn")
        return

    def answered(request: ScheduleRequest | None) -> None:
        if request is None:
            return
        job, cron, tz, note = request
        commands = host.service.commands
        if cron:
            host.send(f"schedule of {job}", lambda: commands.schedule(job, cron, tz, note=note))
        else:
            host.send(f"reset of the schedule of {job}", lambda: commands.reset_schedule(job, note=note))

    host.open_dialog(ScheduleDialog(host, card), answered)


def clear(host: Host, *, family: str | None = None, parts: Mapping[str, str] | None = None) -> None:
    """Opens the dialog that counts and clears cached keys; it starts with a family and parts of its keys."""
    families = host.service.cache.families()
    if not families:
        host.show_notice(NO_FAMILY, "warn")
        return

    def counted(answer: Counted | None) -> None:
        if answer is not None:
            _confirm_clear(host, answer)

    host.open_dialog(ClearDialog(host, families, family, parts or {}), counted)


def cancel_clearing(host: Host) -> None:
    """Cancels the clearing that is running."""
    host.send("cancel of the clearing", host.service.commands.cancel_clearing)


def _confirm_clear(host: Host, counted: Counted) -> None:
    environment, selected, total = host.snapshot.environment, counted.filter, counted.progress.total
    question = clear_panel.question(selected, counted.progress, environment)
    word = confirmations.word_to_clear(selected, total, environment)

    def answered(button: str | None) -> None:
        if button == question.buttons[0]:
            clear_keys = host.service.commands.clear_cache
            host.send(f"clearing of {selected}", lambda: clear_keys(selected, counted=total))

    if counted.is_confirmed:
        answered(question.buttons[0])
        return
    host.open_dialog(Confirm(host, question) if word is None else TypeToConfirm(host, question, word), answered)


# --- backfills ----------------------------------------------------------------------------------------------------


def apply_plan(host: Host, plan: Plan, on_request: Callable[[], None], on_result: OnResult) -> None:
    """Starts a planned backfill after a question. `on_request` is called when the operator has confirmed."""
    number, environment = plan.backfill.id, host.snapshot.environment
    question, word = plan_panel.question(plan, environment), plan_panel.word(plan, environment)

    def answered(button: str | None) -> None:
        if button == question.buttons[0]:
            on_request()
            host.send(f"backfill {number}", lambda: host.service.backfills.apply(number), on_result)

    if word is None:
        host.open_dialog(Confirm(host, question), answered)
    else:
        dialog = TypeToConfirm(host, question, word, consequence="run them", otherwise="nothing is run")
        host.open_dialog(dialog, answered)


def cancel_backfill(host: Host, backfill: Backfill) -> None:
    """Cancels a backfill after a question."""
    question = backfills.cancel(backfill, host.snapshot.environment)
    if isinstance(question, str):
        host.show_notice(question, "warn")
        return

    def answered(button: str | None) -> None:
        if button == backfills.CANCEL_BACKFILL:
            host.send(f"cancel of backfill {backfill.id}", lambda: host.service.backfills.cancel(backfill.id))

    host.open_dialog(Confirm(host, question), answered)


def pause_backfill(host: Host, backfill: Backfill) -> None:
    """Pauses a backfill: no further window starts."""
    host.send(f"pause of backfill {backfill.id}", lambda: host.service.backfills.pause(backfill.id))


def resume_backfill(host: Host, backfill: Backfill) -> None:
    """Resumes a backfill: runs what is not done, failed windows included."""
    host.send(f"resume of backfill {backfill.id}", lambda: host.service.backfills.resume(backfill.id))
