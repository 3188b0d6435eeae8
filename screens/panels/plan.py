"""The marked range, the plan of a backfill, and the question before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from opsconsole.core import humanize
from opsconsole.rules.backfill import (
    OLDEST_FIRST,
    STATES_FOR,
    Only,
    Order,
    StepReason,
    WindowState,
    WindowStatus,
    states_for,
)
from opsconsole.rules.backfill_status import Backfill, StepView
from opsconsole.service import confirmations, wording
from screens import command_lines
from screens.command_lines import CommandLine
from screens.panels import calendar
from screens.panels.calendar import DateRange
from screens.panels.questions import CANCEL, Question
from screens.widgets.lines import Drawing, Line, Piece, crop, ends, line, text, wrapped

if TYPE_CHECKING:
    from opsconsole.service.backfills import WindowedJob

REASONS = 3
NOT_FRESH = Only.MISSING | Only.STALE | Only.FAILED
CHOICES = (Only.MISSING, Only.STALE, Only.FAILED, NOT_FRESH, Only.ALL)
"""The choices that `m` steps through."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What to plan."""

    jobs: tuple[str, ...]
    range: DateRange
    only: Only
    order: Order = OLDEST_FIRST


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as the service stores it."""

    draft: Draft
    backfill: Backfill
    steps: tuple[StepView, ...]
    warnings: tuple[str, ...]

    @property
    def overwritten(self) -> int:
        """The number of items in windows whose data is overwritten."""
        return sum(view.step.items for view in self.steps if view.step.overwrites)


@dataclass(frozen=True, slots=True)
class Gap:
    """Windows of a job that are not up to date: from the oldest to the newest, and which of them to run."""

    range: DateRange
    only: Only


@dataclass(frozen=True, slots=True)
class PlanProgress:
    """How many windows of a job have been checked, out of how many."""

    job: str = ""
    windows: int = 0
    total: int = 0


def followers(job: str, calendars: Sequence[WindowedJob]) -> tuple[str, ...]:
    """The jobs that run after a job, directly or not, and can be backfilled; in the order of `after`."""
    found = [job]
    for _ in calendars:
        found += [each.job for each in calendars if each.job not in found and any(name in found for name in each.after)]
    can = {each.job for each in calendars if not each.newest_only}
    return tuple(name for name in found[1:] if name in can)


def gap(labels: Iterable[str], states: Mapping[str, int | float]) -> Gap | None:
    """The gap of windows with these labels, and numbers of windows by state. Of missing, stale and failed windows those
    are selected that are most; None without windows.
    """
    dates = sorted(calendar.date_of_label(label) for label in labels)
    if not dates:
        return None
    kinds = [only for only in Only if only is not Only.ALL]
    most = max(kinds, key=lambda only: sum(states.get(state.value, 0) for state in STATES_FOR[only]))
    return Gap(DateRange(dates[0], dates[-1]), most)


# --- the panel ----------------------------------------------------------------------------------------------------


def mark_lines(
    draft: Draft,
    shown: WindowedJob,
    windows: Mapping[date, WindowStatus],
    after: Sequence[str],
    cells: int,
    keys: Mapping[str, str],
    *,
    is_marked: bool,
    is_open: bool,
) -> Drawing:
    """The marked range or the window under the cursor, which of its windows are selected, and the jobs that follow.
    `keys` are those of the actions, by their ids.
    """
    dates = calendar.dates(shown.unit, draft.range)
    if not is_marked:
        title = f"Nothing marked: {keys['mark']} marks the start of a range"
    else:
        title = f"Marked {draft.range}{' …' if is_open else ''}: {humanize.count(len(dates), 'window')}"
        title += _states(dates, windows)
    selected = states_for(draft.only)
    matches = [windows[at].state in selected for at in dates if at in windows]
    count = f": {sum(matches):,} of {len(dates):,}" if is_marked and len(matches) == len(dates) else ""
    others = ", ".join(short(only) for only in CHOICES if only is not draft.only)
    choices = Piece(f"   {keys['only']} {others}", "quiet")
    lines = [line(Piece(" windows    ", "quiet"), f"{_only(draft.only)}{count}", choices)]
    lines += [_followers_line(draft, after, cells, keys)] if after else []
    lines += [_order_line(draft, cells, keys)] if draft.order != OLDEST_FIRST else []
    if is_open:
        end = f"arrows and {keys['mark']} mark the end; {keys['back']} unmarks"
    elif is_marked:
        end = f"{keys['plan']} creates the plan, and starts nothing yet"
    else:
        end = f"{keys['plan']} plans the window under the cursor"
    lines.append(line(Piece(f" {end}", "quiet")))
    return Drawing([crop(each, cells) for each in lines], _title(title, cells))


def progress_lines(draft: Draft, progress: PlanProgress, cells: int, keys: Mapping[str, str]) -> Drawing:
    """How far the plan is."""
    status = "checking windows"
    if progress.total:
        status = f"{progress.windows:,} of {humanize.count(progress.total, 'window')} of {progress.job} checked"
    lines = [crop(line(" ", text(status, "live")), cells), line(Piece(f" {keys['back']} discards it", "quiet"))]
    return Drawing(lines, _title(f"Planning {draft.range}", cells))


def error_lines(message: str, cells: int, rows: int, keys: Mapping[str, str]) -> Drawing:
    """Why a plan could not be created or applied."""
    sentences = wrapped([f"✗ {message}"], cells - 2, "bad")[: max(1, rows - 1)]
    hint = line(Piece(f" {keys['plan']} plans again · {keys['back']} discards it", "quiet"))
    return Drawing([*(line(" ", *each) for each in sentences), hint][:rows], _title("No plan", cells))


def plan_lines(plan: Plan, cells: int, rows: int, keys: Mapping[str, str], *, is_requested: bool) -> Drawing:
    """What a plan would do, in at most `rows` lines. `is_requested` until a leader has started it."""
    backfill = plan.backfill
    title = f"Plan {backfill.id}: {plan.draft.range}, {_only(plan.draft.only)}"
    lines = [_runs(plan), *_order(plan), *_overwrites(plan), *_skips(plan)]
    lines += [_of_job(plan, job) for job in backfill.jobs] if len(backfill.jobs) > 1 else []
    for warning in plan.warnings:
        lines.append(line(" ", Piece("! ", "warn"), text(warning, "warn")))
    starts, other = f"{keys['plan']} starts it", f"nothing to run: {keys['only']} selects other windows"
    end = f"{starts if backfill.to_run else other} · {keys['back']} discards it"
    last = line(Piece(f" {'requested' if is_requested else end}", "quiet"))
    if len(lines) > rows - 1 > 0:
        lines = [*lines[: rows - 2], line(Piece(f" and {len(lines) - rows + 2} more lines", "quiet"))]
    return Drawing([*(crop(each, cells) for each in lines), last][-max(1, rows) :], _title(title, cells))


def _title(title: str, cells: int) -> Line:
    return line(text(title, "title", limit=cells))


def _states(dates: Sequence[date], windows: Mapping[date, WindowStatus]) -> str:
    """`, all missing`, `, 3 missing, 1 fresh`; empty until all of them are loaded."""
    if not all(at in windows for at in dates):
        return ""
    counts = Counter(windows[at].state for at in dates)
    if len(counts) == 1 and len(dates) > 1:
        return f", all {next(iter(counts))}"
    return "".join(f", {counts[state]:,} {state}" for state in WindowState if counts[state])


def _followers_line(draft: Draft, after: Sequence[str], cells: int, keys: Mapping[str, str]) -> Line:
    is_included = len(draft.jobs) > 1
    names = text(", ".join(after), "strong" if is_included else "quiet")
    key = f"   {keys['add']} {'excludes' if is_included else 'includes'} {'it' if len(after) == 1 else 'them'} "
    return ends(line(Piece(" then       ", "quiet"), names), line(Piece(key, "quiet")), cells)


def short(only: Only) -> str:
    """A choice in a word or two."""
    return "not fresh" if only is NOT_FRESH else str(only)


def _only(only: Only) -> str:
    return wording.only(only) if Only.ALL in only else f"only {wording.only(only)}"


def _order_line(draft: Draft, cells: int, keys: Mapping[str, str]) -> Line:
    order = draft.order
    first = "newest first" if order.newest_first else "oldest first"
    most = "as many at once as each job allows"
    if order.at_once is not None:
        most = f"at most {humanize.count(order.at_once, 'window')} at once"
    change = line(Piece(f"   {keys['order']} other order  {keys['at_once']} at once ", "quiet"))
    return ends(line(Piece(" order      ", "quiet"), f"{first}, {most}"), change, cells)


def _order(plan: Plan) -> list[Line]:
    words = wording.order(plan.backfill.order)
    return [line(Piece(" order      ", "quiet"), words)] if words else []


def _runs(plan: Plan) -> Line:
    backfill = plan.backfill
    nothing = "" if any(view.step.overwrites for view in plan.steps) else " · overwrites nothing"
    return line(
        Piece(" runs       ", "quiet"),
        Piece(humanize.count(backfill.to_run, "window"), "strong"),
        f" · {humanize.count(backfill.items, 'item')}{_estimate(backfill)}{nothing}",
    )


def _overwrites(plan: Plan) -> list[Line]:
    windows = sum(view.step.overwrites for view in plan.steps)
    extent = f"{humanize.count(windows, 'window')} with data, {humanize.count(plan.overwritten, 'item')}"
    return [line(Piece(" overwrites ", "quiet"), Piece(extent, "warn"))] if windows else []


def _skips(plan: Plan) -> list[Line]:
    reasons = Counter(humanize.words(view.step.reason) for view in plan.steps if not view.step.runs)
    if not reasons:
        return []
    shown = [f"{n:,} {why}" if len(reasons) > 1 else why for why, n in reasons.most_common(REASONS)]
    more = reasons.total() - sum(n for _, n in reasons.most_common(REASONS))
    return [
        line(
            Piece(" skips      ", "quiet"),
            Piece(humanize.count(reasons.total(), "window"), "strong"),
            text(f": {', '.join(shown)}{f', {more:,} for other reasons' if more else ''}"),
        )
    ]


def _estimate(backfill: Backfill) -> str:
    if not backfill.to_run:
        return ""
    return " · duration unknown" if backfill.seconds is None else f" · {_about(backfill.seconds)}"


def _about(seconds: float) -> str:
    return f"about {humanize.duration(max(1, round(seconds)))}"


def _of_job(plan: Plan, job: str) -> Line:
    steps = [view.step for view in plan.steps if view.step.job == job]
    run = sum(step.runs for step in steps)
    return line("            ", text(job, limit=40), Piece(f"  {run:,} run, {len(steps) - run:,} skipped", "quiet"))


# --- the question -------------------------------------------------------------------------------------------------


def question(plan: Plan, environment: str) -> Question:
    """The question before a plan is applied. The cursor is on Cancel where data that is up to date is overwritten."""
    backfill = plan.backfill
    windows = humanize.count(backfill.to_run, "window")
    is_production = confirmations.is_production(environment)
    where = f" in {environment.upper() if is_production else environment}" if environment else ""
    time = "" if backfill.seconds is None else f", {_about(backfill.seconds)}"
    overwrites = sum(view.step.overwrites for view in plan.steps)
    which = ("It" if overwrites == 1 else "All of them") if overwrites == backfill.to_run else f"{overwrites:,} of them"
    verb = "overwrites" if overwrites == 1 else "overwrite"
    overwritten = f"{which} {verb} data, {humanize.count(plan.overwritten, 'item')}."
    sentences = (
        f"{', '.join(backfill.jobs)}, {plan.draft.range}{where}:",
        f"{windows} to run, {humanize.count(backfill.items, 'item')}{time}.",
        overwritten if overwrites else "Nothing is overwritten.",
        *(f"{warning}." for warning in plan.warnings),
    )
    buttons = (f"Run {windows}", CANCEL)
    is_lossy = any(view.step.overwrites and view.step.reason is StepReason.FRESH for view in plan.steps)
    title, chosen = f"Start backfill {backfill.id}?", 1 if is_lossy else 0
    return Question(title, sentences, buttons, chosen, (command_lines.apply_backfill(backfill.id),))


def word(plan: Plan, environment: str) -> str | None:
    """The word to type before it starts; None when a yes is enough."""
    return confirmations.word_to_overwrite(plan.draft.jobs, plan.overwritten, environment)


def run_command(draft: Draft) -> CommandLine:
    """The command line that creates and applies the same plan."""
    return command_lines.run_backfill(draft.jobs, *draft.range, draft.only, draft.order)
