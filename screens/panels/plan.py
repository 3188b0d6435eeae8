"""What is marked, what would be done about it, and what is asked before it is."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from opsconsole.core import humanize
from opsconsole.rules.backfill import STATES_FOR, Only, WindowState, WindowStatus
from opsconsole.rules.backfill_status import Backfill, StepView
from opsconsole.service import confirmations as guard
from opsconsole.service.backfills import WindowedJob
from screens.panels import calendar
from screens.panels.calendar import Stretch
from screens.panels.questions import CANCEL, Question
from screens.widgets.lines import Line, Piece, crop, ends, line, rule, tell, wrapped

REASONS = 3
WORDS = {
    Only.MISSING: "only what is missing",
    Only.STALE: "only what is stale",
    Only.FAILED: "only what failed, wholly or in part",
    Only.ALL: "all windows",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What shall be planned."""

    jobs: tuple[str, ...]
    stretch: Stretch
    only: Only


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan as the service keeps it."""

    draft: Draft
    about: Backfill
    steps: tuple[StepView, ...]
    warnings: tuple[str, ...]

    @property
    def overwritten(self) -> int:
        """The items of the windows whose data is written over."""
        return sum(view.step.items for view in self.steps if view.step.overwrites)


@dataclass(frozen=True, slots=True)
class Looking:
    """How far the making of a plan is: so many windows of a job have been looked at, of so many."""

    job: str = ""
    windows: int = 0
    of: int = 0


def followers(job: str, cards: Sequence[WindowedJob]) -> tuple[str, ...]:
    """The jobs that come after a job, or after one that does, and can be filled; in the order of `after`."""
    found = [job]
    for _ in cards:
        found += [card.job for card in cards if card.job not in found and any(name in found for name in card.after)]
    can = {card.job for card in cards if not card.newest_only}
    return tuple(name for name in found[1:] if name in can)


# --- the panel ----------------------------------------------------------------------------------------------------


def marked(
    draft: Draft,
    card: WindowedJob,
    seen: Mapping[date, WindowStatus],
    after: Sequence[str],
    cells: int,
    *,
    is_marked: bool,
    is_open: bool,
) -> list[Line]:
    """What is marked, or the window under the cursor; which windows are wanted; which jobs come after."""
    stands = calendar.dates(card.unit, draft.stretch)
    if not is_marked:
        told = "Nothing marked: space marks where a range begins"
    else:
        told = f"Marked {draft.stretch}{' …' if is_open else ''}: {humanize.count(len(stands), 'window')}"
        told += _states(stands, seen)
    wanted = STATES_FOR[draft.only]
    known = [seen[at].state in wanted for at in stands if at in seen]
    count = f": {sum(known):,} of {len(stands):,}" if is_marked and len(known) == len(stands) else ""
    others = ", ".join(only for only in Only if only is not draft.only)
    lines = [
        rule(told, cells),
        line(Piece(" wanted    ", "quiet"), f"{WORDS[draft.only]}{count}", Piece(f"   m {others}", "quiet")),
    ]
    if is_open:
        end = "arrows and space mark where it ends; esc unmarks"
    else:
        end = "enter plans it, and does nothing yet" if is_marked else "enter plans the window under the cursor"
    lines += [_after(draft, after, cells)] if after else []
    lines.append(line(Piece(f" {end}", "quiet")))
    return [crop(each, cells) for each in lines]


def looking(draft: Draft, so_far: Looking, cells: int) -> list[Line]:
    """How far the making of a plan is."""
    told = "the windows are being looked at"
    if so_far.of:
        told = f"{so_far.windows:,} of {humanize.count(so_far.of, 'window')} of {so_far.job} looked at"
    return [
        rule(f"Planning {draft.stretch}", cells),
        crop(line(" ", tell(told, "live")), cells),
        line(Piece(" esc leaves it", "quiet")),
    ]


def refused(sentence: str, cells: int, rows: int) -> list[Line]:
    """Why a plan could not be made or applied."""
    said = wrapped([f"✗ {sentence}"], cells - 2, "bad")[: rows - 2]
    return [
        rule("No plan", cells),
        *(line(" ", *each) for each in said),
        line(Piece(" enter plans it anew · esc leaves it", "quiet")),
    ]


def planned(plan: Planned, cells: int, rows: int, *, is_asked: bool) -> list[Line]:
    """What a plan would do, in at most `rows` lines. `is_asked` while nobody has carried the order out."""
    about = plan.about
    title = f"Plan {about.id}: {plan.draft.stretch}, {WORDS[plan.draft.only]}"
    lines = [_runs(plan), *_overwrites(plan), *_skips(plan)]
    lines += [_of_job(plan, job) for job in about.jobs] if len(about.jobs) > 1 else []
    for warning in plan.warnings:
        lines.append(line(" ", Piece("◐ ", "warn"), tell(warning, "warn")))
    end = "enter begins it" if about.to_run else "nothing to do: m wants others"
    last = line(Piece(f" {'it is asked for' if is_asked else f'{end} · esc drops it'}", "quiet"))
    if len(lines) > rows - 2:
        lines = [*lines[: rows - 3], line(Piece(f" and {len(lines) - rows + 3} lines more", "quiet"))]
    return [rule(title, cells), *(crop(each, cells) for each in lines), last]


def _states(stands: Sequence[date], seen: Mapping[date, WindowStatus]) -> str:
    """`, all missing`, `, 3 missing, 1 fresh`; nothing where they are not all known."""
    if not all(at in seen for at in stands):
        return ""
    counts = Counter(seen[at].state for at in stands)
    if len(counts) == 1 and len(stands) > 1:
        return f", all {next(iter(counts))}"
    return "".join(f", {counts[state]:,} {state}" for state in WindowState if counts[state])


def _after(draft: Draft, after: Sequence[str], cells: int) -> Line:
    is_added = len(draft.jobs) > 1
    names = tell(", ".join(after), "strong" if is_added else "quiet")
    key = "   + leaves it out " if is_added else "   + adds it "
    hint = key if len(after) == 1 else key.replace(" it ", " them ")
    return ends(line(Piece(" then      ", "quiet"), names), line(Piece(hint, "quiet")), cells)


def _runs(plan: Planned) -> Line:
    about = plan.about
    seconds = "time not known yet" if about.seconds is None else _about(about.seconds)
    nothing = "" if any(view.step.overwrites for view in plan.steps) else " · overwrites nothing"
    return line(
        Piece(" runs      ", "quiet"),
        Piece(humanize.count(about.to_run, "window"), "strong"),
        f" · {humanize.count(about.items, 'item')} · {seconds}{nothing}",
    )


def _overwrites(plan: Planned) -> list[Line]:
    over = sum(view.step.overwrites for view in plan.steps)
    told = f"{humanize.count(over, 'window')} that had data, {humanize.count(plan.overwritten, 'item')}"
    return [line(Piece(" overwrites ", "quiet"), Piece(told, "warn"))] if over else []


def _skips(plan: Planned) -> list[Line]:
    reasons = Counter(humanize.words(view.step.reason) for view in plan.steps if not view.step.runs)
    if not reasons:
        return []
    told = [f"{n:,} {why}" if len(reasons) > 1 else why for why, n in reasons.most_common(REASONS)]
    more = reasons.total() - sum(n for _, n in reasons.most_common(REASONS))
    return [
        line(
            Piece(" skips     ", "quiet"),
            Piece(humanize.count(reasons.total(), "window"), "strong"),
            tell(f": {', '.join(told)}{f', {more:,} for other reasons' if more else ''}"),
        )
    ]


def _about(seconds: float) -> str:
    return f"about {humanize.duration(max(1.0, seconds))}"


def _of_job(plan: Planned, job: str) -> Line:
    mine = [view.step for view in plan.steps if view.step.job == job]
    run = sum(step.runs for step in mine)
    return line("           ", tell(job, limit=40), Piece(f"  {run:,} run, {len(mine) - run:,} skipped", "quiet"))


# --- what is asked ------------------------------------------------------------------------------------------------


def question(plan: Planned, environment: str) -> Question:
    """Whether what is planned shall be done. The cursor stands on Cancel where something is overwritten."""
    about = plan.about
    many = humanize.count(about.to_run, "window")
    where = f" in {environment.upper() if guard.is_production(environment) else environment}" if environment else ""
    time = "" if about.seconds is None else f", {_about(about.seconds)}"
    over = sum(view.step.overwrites for view in plan.steps)
    written = f"{over:,} of them overwrite what is there, {humanize.count(plan.overwritten, 'item')}."
    sentences = (
        f"{', '.join(about.jobs)}, {plan.draft.stretch}{where}:",
        f"{many} run, {humanize.count(about.items, 'item')}{time}.",
        written if over else "Nothing is overwritten.",
        *(f"{warning}." for warning in plan.warnings),
        "",
        f"The same: {apply_command(plan)}",
    )
    return Question(f"Begin backfill {about.id}?", sentences, (f"Run {many}", CANCEL), chosen=1 if over else 0)


def word(plan: Planned, environment: str) -> str | None:
    """What has to be typed before it; None when a yes will do."""
    return guard.word_to_overwrite(plan.draft.jobs, plan.overwritten, environment)


def command(draft: Draft) -> str:
    """What makes and applies the same plan, typed at a prompt."""
    jobs = " ".join(shlex.quote(job) for job in draft.jobs)
    since, until = draft.stretch
    return f"opsconsole backfill run {jobs} --from {since} --to {until} --only {draft.only}"


def apply_command(plan: Planned) -> str:
    """What applies a plan, typed at a prompt."""
    return f"opsconsole backfill apply {plan.about.id}"
