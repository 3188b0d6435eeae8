"""The keys for backfills, the same on every page that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic

from textual.binding import BindingType

from opsconsole.core.errors import Refused
from opsconsole.rules.actions import (
    check_backfill_remainder,
    check_cancel_backfill,
    check_pause_backfill,
    check_resume_backfill,
)
from opsconsole.rules.backfill import UNDONE, StepState
from opsconsole.rules.backfill_status import ACTIVE, Backfill, BackfillState
from screens import actions, command_lines
from screens.command_lines import CommandLine
from screens.exports import Copied
from screens.host import Host
from screens.keymap import bind
from screens.pages.polling import FAST_SECONDS, SLOW_SECONDS, Data, PollingPage
from screens.panels import backfills, why
from screens.widgets import symbols
from screens.widgets.symbols import Symbol

NEWEST = 100
KEYS = (("x", "cancel"), ("p", "pause"), ("u", "resume"))
"""The footer's keys for a backfill."""
CHOOSE = "choose a backfill with {next_panel} and the arrows first"
CHOOSE_JOB = "choose a job with {next_panel} and the arrows first"


class BackfillActionsPage(PollingPage[Data], Generic[Data]):
    """A page that selects a backfill for these keys. It polls fast while a backfill is active."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "back", "back"),
        bind("trigger", "trigger", "trigger a job"),
        bind("cancel", "cancel", "cancel the backfill"),
        bind("pause", "pause", "pause the backfill"),
        bind("resume", "resume", "resume the backfill"),
        bind("why", "why", "why it ran or did not run"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.backfills: Sequence[Backfill] = ()

    def job(self) -> str | None:
        raise NotImplementedError

    def window(self) -> str | None:
        """The label of the window under the cursor, or a date in it."""
        return None

    def chosen(self) -> Backfill | None:
        """The backfill under the cursor."""
        return next((each for each in self.backfills if backfills.key(each) == self.cursor), None)

    def poll_seconds(self) -> float | None:
        """Fast while a backfill is active."""
        return FAST_SECONDS if any(each.state in ACTIVE for each in self.backfills) else SLOW_SECONDS

    def refused(self) -> frozenset[str]:
        """What the backfill does not allow, and what needs a job."""
        targets = {action: self._target(*states) for action, states in STATES.items()}
        refused = {action for action, target in targets.items() if target is None or _refusal(action, target)}
        return frozenset(refused | (set() if self.job() is not None else {"why"}))

    def copied(self) -> Copied | None:
        """The number of the backfill, otherwise the name of the job."""
        backfill, job = self.chosen(), self.job()
        if backfill is not None:
            return Copied(str(backfill.id), f"the number of backfill {backfill.id}")
        return Copied(job, f"the name of {job}") if job is not None else None

    def command_lines(self) -> Sequence[CommandLine]:
        """The commands for the backfill and the job."""
        chosen, job = self.chosen(), self.job()
        lines = [command_lines.show_backfill(chosen.id)] if chosen is not None else []
        for action, states in STATES.items():
            target = self._target(*states)
            lines += [COMMANDS[action](target.id)] if target is not None else []
        if job is not None:
            lines += [command_lines.trigger(job), command_lines.windows(job)]
            lines.append(command_lines.why(job, window=self.window()))
        return lines

    def legend(self) -> tuple[tuple[str, Symbol], ...]:
        """The symbols of windows and backfills."""
        states = [symbol for state, symbol in symbols.BACKFILL.items() if state is not BackfillState.PLANNED]
        outcomes = (*states, symbols.BACKFILL_PARTIAL, symbols.BACKFILL_FAILED)
        return (
            *(("window", symbol) for symbol in symbols.WINDOW.values()),
            *(("backfill", symbol) for symbol in outcomes),
        )

    def action_trigger(self) -> None:
        """Triggers the job, or the first one."""
        actions.trigger(self.host, self.job())

    def action_why(self) -> None:
        """Explains why the job ran or did not run for the window, or at its newest scheduled time."""
        job, window = self.job(), self.window()
        if job is None:
            self.show_notice(self.keyed(CHOOSE_JOB))
        else:
            actions.why(self.host, why.of_window(job, window) if window else why.of_job(self.view(), job))

    def action_cancel(self) -> None:
        """Cancels the backfill after a question."""
        backfill = self._target_of("cancel")
        if backfill is not None:
            actions.cancel_backfill(self.host, backfill)

    def action_pause(self) -> None:
        """Pauses the backfill: no further window starts."""
        backfill = self._target_of("pause")
        if backfill is not None:
            actions.pause_backfill(self.host, backfill)

    def action_resume(self) -> None:
        """Resumes the backfill, failed windows included."""
        backfill = self._target_of("resume")
        if backfill is not None:
            actions.resume_backfill(self.host, backfill)

    def _target_of(self, action: str) -> Backfill | None:
        """What a key acts on; a notice when that is not clear, or not allowed."""
        target = self._target(*STATES[action])
        refusal = self.keyed(CHOOSE) if target is None else _refusal(action, target)
        if refusal:
            self.show_notice(refusal, "warn" if target is not None else "")
        return None if refusal else target

    def _target(self, *states: BackfillState) -> Backfill | None:
        """The backfill under the cursor, otherwise the only one of the job in one of these states."""
        chosen, job = self.chosen(), self.job()
        if chosen is not None:
            return chosen
        found = [each for each in self.backfills if each.state in states and job in each.jobs]
        return found[0] if len(found) == 1 else None


def _refusal(action: str, backfill: Backfill) -> str:
    """Why a backfill does not allow an action; empty if it does."""
    try:
        CHECKS[action](backfill)
    except Refused as error:
        return error.sentence
    return ""


def _check_resume(backfill: Backfill) -> None:
    check_resume_backfill(backfill)
    remaining = sum(backfill.counts.get(state, 0) for state in (*UNDONE, StepState.RUNNING))
    check_backfill_remainder(backfill, remaining, ())


STATES = {"cancel": ACTIVE, "pause": (BackfillState.RUNNING,), "resume": (BackfillState.PAUSED,)}
"""The states of a backfill that each action is about where the cursor is on none."""
COMMANDS = {
    "cancel": command_lines.cancel_backfill,
    "pause": command_lines.pause_backfill,
    "resume": command_lines.resume_backfill,
}
CHECKS = {"cancel": check_cancel_backfill, "pause": check_pause_backfill, "resume": _check_resume}
