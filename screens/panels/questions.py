"""Questions before something starts or ends, with their buttons; made from values alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from opsconsole.authoring.run import RunState
from opsconsole.core import humanize
from opsconsole.core.errors import Refused
from opsconsole.rules import actions
from opsconsole.service.snapshot import Pause, Run
from screens import command_lines
from screens.command_lines import CommandLine
from screens.panels import pauses
from screens.panels.running import share

NO, CANCEL = "No", "Cancel"
CANCEL_RUN, BY_FORCE = "Cancel the run", "By force"
QUIT, WAIT, KEEP_WAITING, HAND_OVER, STOP, STAY = "Quit", "Wait", "Keep waiting", "Hand over", "Stop them", "Stay"
LISTED_RUNS = 4


@dataclass(frozen=True, slots=True)
class Question:
    """A title, sentences, and buttons; `chosen` is the button under the cursor at first. `commands` do the same as the
    first button, where command lines do.
    """

    title: str
    sentences: tuple[str, ...]
    buttons: tuple[str, ...]
    chosen: int
    commands: tuple[CommandLine, ...] = ()

    @property
    def default(self) -> str:
        """The button that enter presses."""
        return self.buttons[self.chosen]


def run_name(run: Run) -> str:
    """A run in a sentence."""
    return f"run {run.id} of {run.job}"


def retry(run: Run, environment: str) -> Question | str:
    """The question before a retry, or why the run cannot be retried."""
    undone = run.counts.failed + run.counts.not_reached
    try:
        actions.check_retry(run, everything=False, unfinished_items=undone)
    except Refused as error:
        return error.sentence
    what = humanize.count(undone, "item") if undone else "every item"
    parts = [f"{run.counts.failed:,} failed"] if run.counts.failed else []
    parts += [f"{run.counts.not_reached:,} not reached"] if run.counts.not_reached else []
    why = f" ({', '.join(parts)})" if parts else ": it ended before its items were counted"
    effect = f"A new run processes them again{_in(environment)}."
    sentences = (f"{run.job} {run.window.label}: {what}{why}.", effect)
    return Question(f"Retry run {run.id}", sentences, (f"Retry {what}", CANCEL), 0, (command_lines.retry(run.id),))


def cancel(run: Run, environment: str, now: datetime) -> Question | str:
    """The question before a cancel, or why the run cannot be cancelled."""
    try:
        actions.check_cancel(run)
    except Refused as error:
        return error.sentence
    start = (f"{run.job} {run.window.label}{_in(environment)}:", f"{_progress(run)}.", "")
    if run.stop is None:
        effect = "Finished items stay, batches in flight are completed, and a retry processes the rest."
        if run.state is RunState.QUEUED:
            effect = "It will not start; a retry processes all of it."
        return Question(f"Cancel run {run.id}", (*start, effect), (CANCEL_RUN, NO), 1, (command_lines.cancel(run.id),))
    if run.stop.force_at <= now:
        return f"{run_name(run)} is already being stopped by force, for {run.stop.by}"
    wait = humanize.duration(round((run.stop.force_at - now).total_seconds()))
    status = f"Requested by {run.stop.by}; it ends when its batches in flight are completed, by force in {wait}."
    effect = "By force stops them now; a retry processes their items again."
    title, command = f"Run {run.id} is already being cancelled", command_lines.cancel(run.id, force=True)
    return Question(title, (*start, status, effect), (BY_FORCE, NO), 1, (command,))


def resume(job: str, active: Sequence[Pause], now: datetime, zone_of: Callable[[str], str]) -> Question | None:
    """The question before more than a job is resumed: where it is paused with others. Otherwise None. `job` is `all`
    where no job is selected.
    """
    targets = list(dict.fromkeys(pause.target for pause in active))
    if targets in ([], [job]) and job != pauses.ALL:
        return None
    names = " and ".join(pauses.target_name(target) for target in targets)
    sentences = [f"{pauses.sentence(pause, job, now, zone_of(pause.target))}." for pause in active]
    effect, commands = f"From then on {names} run as scheduled.", tuple(map(command_lines.resume, targets))
    return Question(f"Resume {names}?", (*sentences, effect), ("Resume", NO), 0, commands)


def quit_with_runs(runs: Sequence[Run], environment: str, *, waiting: bool, can_hand_over: bool = True) -> Question:
    """The question before quitting interrupts runs."""
    count = "1 run is running" if len(runs) == 1 else f"{len(runs)} runs are running"
    listed = [f"· {run_name(run)} {run.window.label}{_share(run)}" for run in runs[:LISTED_RUNS]]
    more = [f"· and {len(runs) - LISTED_RUNS} more"] if len(runs) > LISTED_RUNS else []
    choices = {
        KEEP_WAITING if waiting else WAIT: f"{WAIT}: quits when no run is left; the console stays usable.",
        HAND_OVER: f"{HAND_OVER}: a process without a screen continues them.",
        STOP: f"{STOP}: cancels them, then quits.",
    }
    if not can_hand_over:
        del choices[HAND_OVER]
    buttons = (*choices, STAY)
    where = f" ({environment})" if environment else ""
    return Question(
        "Quit the console?",
        (f"{count} in this process{where}:", *listed, *more, "", *choices.values()),
        buttons,
        len(choices),
    )


def quit_with_unknown_runs(reason: str) -> Question:
    """The question before quitting when the runs of this process are unknown."""
    unknown = f"The runs of this process are unknown: {reason}."
    effect = "Runs are interrupted; the next leader resumes them."
    return Question("Quit the console?", (unknown, effect), (QUIT, STAY), chosen=1)


def quit_status(runs: Sequence[Run]) -> tuple[str, str]:
    """What quitting waits for, in a long and a short form."""
    if len(runs) == 1:
        return f"quits when {run_name(runs[0])} has ended", f"quits after run {runs[0].id}"
    numbers = f"runs {', '.join(str(run.id) for run in runs)}" if len(runs) <= LISTED_RUNS else f"{len(runs)} runs"
    return f"quits when {numbers} have ended", f"quits after {len(runs)} runs"


def _in(environment: str) -> str:
    return f" in {environment}" if environment else ""


def _progress(run: Run) -> str:
    if run.state is RunState.QUEUED:
        return "Queued, no item is done"
    counts = run.counts
    part = share(run)
    percent = f" ({int(part * 100)}%)" if part is not None else ""
    of = f"{counts.tried:,} of {counts.planned:,} items{'' if run.planning_done else ' so far'} done{percent}"
    return f"{of}, {counts.failed:,} failed" if counts.failed else of


def _share(run: Run) -> str:
    part = share(run)
    return "" if part is None else f", {int(part * 100)}% done"
