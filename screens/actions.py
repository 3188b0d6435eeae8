"""What the keys of a page ask for: a question where one is due, then one order to the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsconsole.service import confirmations as guard
from opsconsole.service.snapshot import Run
from screens.dialogs.clear import ClearDialog, Counted, TypeToConfirm
from screens.dialogs.dialog import Confirm
from screens.dialogs.pause import PauseDialog, PauseRequest
from screens.dialogs.trigger import TriggerDialog, TriggerRequest
from screens.panels import clear as clearing, pauses, questions
from screens.panels.questions import Question

if TYPE_CHECKING:
    from opsconsole.cache.clearing import ClearFilter, ClearProgress
    from screens.app import ConsoleApp

NO_FAMILY = "no pack that is loaded declares a family of cached keys"
NO_JOB = "there is no job to {}; name a pack under `packs` in the configuration"


def trigger(app: ConsoleApp, job: str | None) -> None:
    """Opens the dialog for a job, or for the first one."""
    if not app.snapshot.jobs:
        app.say(NO_JOB.format("trigger"), "warn")
        return

    def answered(order: TriggerRequest | None) -> None:
        if order is not None:
            app.trigger(*order)

    app.push_screen(TriggerDialog(app.snapshot.jobs, job), answered)


def retry(app: ConsoleApp, run: Run) -> None:
    """Asks whether what failed in a run shall be done again."""
    question = questions.retry(run, app.snapshot.environment)
    if isinstance(question, str):
        app.say(question, "warn")
        return

    def answered(pressed: str | None) -> None:
        if pressed == question.default:
            app.orders.give(f"retry of {questions.name(run)}", lambda: app.service.commands.retry(run.id))

    app.push_screen(Confirm(question), answered)


def cancel(app: ConsoleApp, run: Run) -> None:
    """Asks whether a run shall end before its time; by force only when it is being cancelled already."""
    question = questions.cancel(run, app.snapshot.environment, app.now())
    if isinstance(question, str):
        app.say(question, "warn")
        return

    def answered(pressed: str | None) -> None:
        name = questions.name(run)
        if pressed == questions.CANCEL_RUN:
            app.orders.give(f"cancel of {name}", lambda: app.service.commands.cancel(run.id))
        elif pressed == questions.BY_FORCE:
            app.orders.give(f"end by force of {name}", lambda: app.service.commands.cancel(run.id, force=True))

    app.push_screen(Confirm(question), answered)


def pause(app: ConsoleApp, job: str) -> None:
    """Asks what shall be paused, seen from a job's row, and for how long; `all` for everything."""
    if not app.snapshot.jobs:
        app.say(NO_JOB.format("pause"), "warn")
        return

    def answered(order: PauseRequest | None) -> None:
        if order is None:
            return
        until, note = pauses.until(order.length, app.now()), order.note
        name = f"pause of {pauses.named(order.target)} {order.words}"
        app.orders.give(name, lambda: app.service.commands.pause(order.target, until=until, note=note))

    app.push_screen(PauseDialog(pauses.targets(job, app.snapshot.jobs)), answered)


def resume(app: ConsoleApp, job: str) -> None:
    """Lets a job go on at once. Asks only where that is more than the job: where its pack or everything is paused."""
    now = app.now()
    held = pauses.holding(app.snapshot.pauses, job, now)
    question: Question | None = questions.resume(job, held, now, app.zone_of(job))
    if question is None:
        resume_only(app, job)
        return

    def answered(pressed: str | None) -> None:
        if pressed == question.default:
            for target in dict.fromkeys(pause.target for pause in held):
                resume_only(app, target)

    app.push_screen(Confirm(question), answered)


def resume_only(app: ConsoleApp, target: str) -> None:
    """Lets exactly that job, pack or `all` go on."""
    app.orders.give(f"resume of {pauses.named(target)}", lambda: app.service.commands.resume(target))


def clear(app: ConsoleApp) -> None:
    """Asks whose cached keys shall go, counts them, and asks once more; for a name to be typed where they are many or
    it is production.
    """
    families = app.service.queries.families()
    if not families:
        app.say(NO_FAMILY, "warn")
        return

    def counted(found: Counted | None) -> None:
        if found is not None:
            _confirm_clearing(app, *found)

    app.push_screen(ClearDialog(families), counted)


def _confirm_clearing(app: ConsoleApp, wanted: ClearFilter, swept: ClearProgress) -> None:
    environment = app.snapshot.environment
    question = clearing.question(wanted, swept, environment)
    word = guard.word_to_clear(wanted, swept.total, environment)

    def answered(pressed: str | None) -> None:
        if pressed == question.buttons[0]:
            app.orders.give(
                f"clearing of {wanted}", lambda: app.service.commands.clear_cache(wanted, counted=swept.total)
            )

    app.push_screen(Confirm(question) if word is None else TypeToConfirm(question, word), answered)
