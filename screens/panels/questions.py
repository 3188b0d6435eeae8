"""What is asked before something starts or ends: questions with their buttons, made of values alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from opsconsole.authoring.run import RunState
from opsconsole.core import humanize
from opsconsole.core.errors import Refused
from opsconsole.rules import actions
from opsconsole.service.snapshot import Pause, Run
from screens.panels import pauses
from screens.panels.running import share

NO, CANCEL = "No", "Cancel"
CANCEL_RUN, BY_FORCE = "Cancel the run", "By force"
QUIT, WAIT, KEEP_WAITING, HAND_OVER, STOP, STAY = "Quit", "Wait", "Keep waiting", "Hand over", "Stop them", "Stay"
NAMED_RUNS = 4


@dataclass(frozen=True, slots=True)
class Question:
    """A title, sentences, and buttons; `chosen` is the one that the cursor stands on at first."""

    title: str
    sentences: tuple[str, ...]
    buttons: tuple[str, ...]
    chosen: int

    @property
    def default(self) -> str:
        """The button that enter presses."""
        return self.buttons[self.chosen]


def name(run: Run) -> str:
    """A run in a sentence."""
    return f"run {run.id} of {run.job}"


def retry(run: Run, environment: str) -> Question | str:
    """Whether what failed in a run shall be done again, or why that makes no sense."""
    undone = run.counts.failed + run.counts.not_reached
    try:
        actions.check_retry(run, everything=False, unfinished_items=undone > 0)
    except Refused as refused:
        return refused.sentence
    what = humanize.count(undone, "item") if undone else "every item"
    parts = [f"{run.counts.failed:,} failed"] if run.counts.failed else []
    parts += [f"{run.counts.not_reached:,} not reached"] if run.counts.not_reached else []
    why = f" ({', '.join(parts)})" if parts else ": it ended before they were counted"
    again = f"A new run does them again{_where(environment)}."
    sentences = (f"{run.job} {run.window.label}: {what}{why}.", again)
    return Question(f"Retry run {run.id}", sentences, (f"Retry {what}", CANCEL), chosen=0)


def cancel(run: Run, environment: str, now: datetime) -> Question | str:
    """Whether a run shall end before its time, or why that is settled already."""
    try:
        actions.check_cancel(run)
    except Refused as refused:
        return refused.sentence
    where = (f"{run.job} {run.window.label}{_where(environment)}:", f"{_how_far(run)}.", "")
    if run.stop is None:
        after = "What is done stays done, the batches in flight end first, and a retry does the rest."
        if run.state is RunState.QUEUED:
            after = "It will not begin; a retry does all of it."
        return Question(f"Cancel run {run.id}", (*where, after), (CANCEL_RUN, NO), chosen=1)
    if run.stop.force_at <= now:
        return f"{name(run)} is being ended by force already, for {run.stop.by}"
    wait = humanize.duration((run.stop.force_at - now).total_seconds())
    so_far = f"{run.stop.by} asked for it; it ends when its batches in flight are done, by force in {wait}."
    at_once = "By force they are stopped now; a retry does their items again."
    return Question(f"Run {run.id} is being cancelled already", (*where, so_far, at_once), (BY_FORCE, NO), chosen=1)


def resume(job: str, held: Sequence[Pause], now: datetime, tz: str) -> Question | None:
    """Whether more than a job shall go on, where it is paused with others; None when it is paused alone or not at all.
    `job` is `all` where no job is meant.
    """
    whole = list(dict.fromkeys(pause.target for pause in held))
    if whole in ([], [job]) and job != pauses.ALL:
        return None
    what = " and ".join(pauses.named(target) for target in whole)
    sentences = [f"{pauses.sentence(pause, job, now, tz)}." for pause in held]
    return Question(f"Resume {what}?", (*sentences, f"From then on {what} run as scheduled."), ("Resume", NO), chosen=0)


def leave(runs: Sequence[Run], environment: str, *, waiting: bool) -> Question:
    """What shall become of the runs that quitting would interrupt."""
    going = "1 run goes on" if len(runs) == 1 else f"{len(runs)} runs go on"
    shown = [f"· {name(run)} {run.window.label}{_share(run)}" for run in runs[:NAMED_RUNS]]
    more = [f"· and {len(runs) - NAMED_RUNS} more"] if len(runs) > NAMED_RUNS else []
    means = (
        f"{WAIT}: quits when nothing runs any more; the console stays usable.",
        f"{HAND_OVER}: a process without a screen goes on with them.",
        f"{STOP}: cancels them, then quits.",
    )
    buttons = (KEEP_WAITING if waiting else WAIT, HAND_OVER, STOP, STAY)
    here = f" ({environment})" if environment else ""
    told = (f"{going} in this process{here}:", *shown, *more, "", *means)
    return Question("Quit the console?", told, buttons, chosen=3)


def leave_unknown(sentence: str) -> Question:
    """Whether to quit though it cannot be said what that interrupts."""
    said = f"It is not known what runs here: {sentence}."
    after = "What runs is interrupted; the next leader takes it up where it stopped."
    return Question("Quit the console?", (said, after), (QUIT, STAY), chosen=1)


def awaited(runs: Sequence[Run]) -> tuple[str, str]:
    """What quitting waits for, at length and in a few words."""
    if len(runs) == 1:
        return f"quits when {name(runs[0])} has ended", f"quits after run {runs[0].id}"
    numbers = f"runs {', '.join(str(run.id) for run in runs)}" if len(runs) <= NAMED_RUNS else f"{len(runs)} runs"
    return f"quits when {numbers} have ended", f"quits after {len(runs)} runs"


def _where(environment: str) -> str:
    return f" in {environment}" if environment else ""


def _how_far(run: Run) -> str:
    if run.state is RunState.QUEUED:
        return "queued, nothing of it is done"
    counts = run.counts
    part = share(run)
    percent = f" ({int(part * 100)}%)" if part is not None else ""
    of = f"{counts.tried:,} of {counts.planned:,} items{'' if run.planning_done else ' so far'} done{percent}"
    return f"{of}, {counts.failed:,} failed" if counts.failed else of


def _share(run: Run) -> str:
    part = share(run)
    return "" if part is None else f", {int(part * 100)}% done"
