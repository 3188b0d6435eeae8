"""Why a job ran or did not run at a scheduled time: which one a row is about, and the answer in lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from opsconsole.authoring.occurrence import OccurrenceState
from opsconsole.authoring.run import NEEDS_A_LOOK, Run, Trigger
from opsconsole.core import humanize
from opsconsole.rules import finding_text, runbook
from opsconsole.rules.backfill import WindowStatus
from opsconsole.rules.causes import causes
from opsconsole.rules.explain import Answer
from opsconsole.rules.findings import FindingKind
from opsconsole.service import wording
from opsconsole.service.occurrence_details import Explanation
from opsconsole.service.snapshot import AlertCard, Finding
from screens import command_lines
from screens.command_lines import CommandLine
from screens.panels.view import View
from screens.widgets import symbols
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, line, text, wrapped

EXPLAINED = 3
"""The problems that another one explains, as far as they are listed."""
SCHEDULED_SINCE = (FindingKind.OVERDUE, FindingKind.MISSED)
"""The findings that begin at a scheduled time."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to explain: a job at a scheduled time, None for its newest one; and what is known about it already. Without
    a job, it is about something that has no schedule. `window` is the label of a window whose scheduled time is meant.
    """

    job: str | None
    at: datetime | None = None
    facts: tuple[str, ...] = ()
    window: str | None = None


# --- which scheduled time a row is about ----------------------------------------------------------------------------


def of_job(view: View, job: str) -> Question:
    """About the worst problem of a job; without one, about its newest run if that failed, or else its newest scheduled
    time.
    """
    finding = next((each for each in view.snapshot.findings if each.subject == job), None)
    if finding is not None:
        return of_finding(view, finding)
    run = view.active_run(job) or view.newest_run(job)
    return (
        of_run(view, run) if run is not None and (run.state in NEEDS_A_LOOK or run.ended_at is None) else Question(job)
    )


def of_run(view: View, run: Run) -> Question:
    """About the scheduled time of a run; for a run that was not scheduled, who requested it."""
    return Question(run.job, _scheduled_time(run), tuple(_run_facts(view, run)))


def of_finding(view: View, finding: Finding) -> Question:
    """About the scheduled time with which a problem began, or that of the newest window that it is about; and which
    problem explains it, or which it explains.
    """
    sentence = _sentence(view, finding)
    explained = causes(view.snapshot.findings)
    by = [_sentence(view, each) for each in view.snapshot.findings if each.key == explained.get(finding.key)]
    others = [_sentence(view, each) for each in view.snapshot.findings if explained.get(each.key) == finding.key]
    if all(card.name != finding.subject for card in view.snapshot.jobs):
        more = [f"and {len(others) - EXPLAINED:,} more"] if len(others) > EXPLAINED else []
        shown = [f"it explains that {each}" for each in others[:EXPLAINED]]
        return Question(None, None, (sentence, *shown, *more, f"see {runbook.section(finding.kind, finding.subject)}"))
    sentence = f"{sentence}, probably because {by[0]}" if by else sentence
    if finding.run is not None:
        return Question(finding.subject, _scheduled_time(finding.run), (sentence, *_run_facts(view, finding.run)))
    if finding.kind is FindingKind.INCOMPLETE_WINDOWS and finding.items:
        return Question(finding.subject, None, (sentence,), max(finding.items))
    return Question(finding.subject, finding.since if finding.kind in SCHEDULED_SINCE else None, (sentence,))


def of_window(job: str, label: str) -> Question:
    """About the scheduled time that covers a window."""
    return Question(job, None, (f"{job} {label}",), label)


def of_alert(view: View, card: AlertCard) -> Question:
    """About what an alert reports."""
    alert = card.alert
    finding = next((each for each in view.snapshot.findings if each.key == alert.key), None)
    if finding is not None and alert.is_open:
        return of_finding(view, finding)
    windows = alert.evidence.get("items", ()) if alert.rule is FindingKind.INCOMPLETE_WINDOWS else ()
    if alert.job is not None and windows:
        newest = alert.evidence.get("newest") or max(map(str, windows))
        return Question(alert.job, None, (alert.message,), str(newest))
    run = view.find_run(alert.run) if alert.run is not None else None
    at = _scheduled_time(run) if run is not None else alert.since if alert.rule in SCHEDULED_SINCE else None
    return Question(alert.job, at, (alert.message,))


def _sentence(view: View, finding: Finding) -> str:
    return f"{finding_text.subject(finding)} {finding_text.sentence(finding, view.now)}"


def _scheduled_time(run: Run) -> datetime | None:
    return run.as_of if run.trigger is Trigger.SCHEDULE else None


def _run_facts(view: View, run: Run) -> Iterator[str]:
    progress = next((each for each in view.snapshot.live if each.run.id == run.id), None)
    by = {
        Trigger.SCHEDULE: f"run {run.id}",
        Trigger.HAND: f"run {run.id} was triggered by {run.requested_by}",
        Trigger.RETRY: f"run {run.id} retries run {run.parent} for {run.requested_by}",
        Trigger.BACKFILL: f"run {run.id} is part of a backfill by {run.requested_by}",
    }[run.trigger]
    if progress is not None and progress.waits is not None:
        joined = " and" if run.trigger is not Trigger.SCHEDULE else ""
        yield f"{by}{joined} waits for {wording.wait(progress.waits)}"
    elif run.trigger is not Trigger.SCHEDULE:
        yield by
    if run.error:
        yield f"run {run.id} {humanize.words(run.state)}: {run.error}"


# --- the answer -----------------------------------------------------------------------------------------------------

STATES = {
    OccurrenceState.DUE: symbols.Symbol("◷", "due", "live"),
    OccurrenceState.RAN: symbols.Symbol("✓", "ran", "ok"),
    OccurrenceState.LATE: symbols.Symbol("!", "ran late", "warn"),
    OccurrenceState.SKIPPED: symbols.Symbol("-", "skipped", "warn"),
    OccurrenceState.MISSED: symbols.Symbol("✗", "missed", "bad"),
}


def facts(question: Question, window: WindowStatus | None, cells: int) -> list[Line]:
    """What is known before the question is answered, and the state of its window once that is read."""
    lines = wrapped(question.facts, cells, "strong")
    if window is None:
        return lines
    symbol = symbols.WINDOW[window.state]
    state = line(f"{window.window.label}: ", Piece(f"{symbol.char} {symbol.word}".strip(), symbol.style))
    return [*lines, state, *wrapped([wording.window(window)], cells)]


def answer(explanation: Explanation, cells: int) -> list[Line]:
    """The explanation in sentences, and the rows that prove it."""
    lines = wrapped(explanation.notes, cells, "warn")
    for each in explanation.answers:
        if lines:
            lines.append(EMPTY)
        lines += [_moment(each, explanation.tz, cells), *_sentences(each, cells)]
    return lines


def neighbours(explanation: Explanation, now: datetime, cells: int) -> Line:
    """The scheduled times before and after."""
    if explanation.previous is None and explanation.next is None:
        return line(Piece("no scheduled times", "quiet"))
    before, after = explanation.previous, explanation.next
    start = line(Piece("← ", "key"), _time(before, explanation.tz, now))
    end = line(_time(after, explanation.tz, now), Piece(" →", "key"))
    return ends(start, end, cells)


def command(job: str, explanation: Explanation | None, window: str | None = None) -> CommandLine | None:
    """The command line that shows the same, about a window or a time, once there is an answer."""
    answers = explanation.answers if explanation is not None else ()
    if not answers:
        return None
    return command_lines.why(job, window=window) if window is not None else command_lines.why(job, answers[0].at)


def _moment(each: Answer, tz: str, cells: int) -> Line:
    local = humanize.local_time(each.at, tz)
    also = "" if tz == "UTC" else f" · {humanize.clock(each.at)}"
    at = line(Piece(local, "title"), Piece(also, "quiet"))
    if not each.is_scheduled:
        return ends(at, line(Piece("not a scheduled time", "quiet")), cells)
    symbol = STATES[each.state] if each.state is not None else None
    if symbol is None:
        return ends(at, line(Piece("a scheduled time", "quiet")), cells)
    why = f" ({humanize.words(each.reason)})" if each.reason is not None else ""
    return ends(at, line(Piece(f"{symbol.char} {symbol.word}{why}", symbol.style)), cells)


def _sentences(each: Answer, cells: int) -> Iterator[Line]:
    for sentence in each.explanation:
        for index, part in enumerate(wrapped([sentence], cells - 2)):
            yield line("· " if index == 0 else "  ", *part)
    if each.rows:
        rows = ", ".join(f"row {row.key} of {row.table}" for row in each.rows)
        yield crop(line("  ", text(rows, "quiet", 300)), cells)


def _time(at: datetime | None, tz: str, now: datetime) -> Piece:
    return Piece(humanize.date_and_time(at, now, tz) if at is not None else "-", "quiet")
