"""Which scheduled time a row is about, and the answer in lines: pure functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.authoring.occurrence import OccurrenceState, Reason
from opsconsole.authoring.run import RunState, Trigger
from opsconsole.rules.admission import Wait, WaitReason
from opsconsole.rules.alert_changes import evidence
from opsconsole.rules.explain import Answer
from opsconsole.service.snapshot import Finding, FindingKind, Progress, Severity, Snapshot
from screens.panels import why
from screens.panels.view import View
from screens.panels.why import Question
from screens.widgets.lines import Line, width
from tests.screens import past_alerts, past_jobs, samples

JOB = "attempts.cache_day"
REPORT = "reporting.daily_report"
DUE = past_jobs.DUE


def view(snapshot: Snapshot = samples.TIDY) -> View:
    return View(snapshot, samples.NOW)


def text(lines: list[Line]) -> str:
    return "\n".join("".join(piece.text for piece in each).rstrip() for each in lines)


# --- which scheduled time -------------------------------------------------------------------------------------------


def test_a_job_that_is_well_is_explained_at_its_newest_scheduled_time() -> None:
    assert why.of_job(view(), "game.session_cleanup") == Question("game.session_cleanup")


def test_a_job_whose_newest_run_failed_is_explained_at_the_time_of_that_run() -> None:
    failed = samples.a_run(4900, "game.session_cleanup", RunState.FAILED, as_of=DUE, error="no such table")
    question = why.of_job(view(replace(samples.TIDY, recent=(failed,))), "game.session_cleanup")

    assert question == Question("game.session_cleanup", DUE, ("run 4900 failed: no such table",))


@pytest.mark.parametrize(
    ("trigger", "fact"),
    [
        (Trigger.HAND, "run 4900 was triggered by ben"),
        (Trigger.RETRY, "run 4900 retries run 4811 for ben"),
        (Trigger.BACKFILL, "run 4900 is part of a backfill by ben"),
    ],
)
def test_a_run_that_was_not_scheduled_says_who_requested_it(trigger: Trigger, fact: str) -> None:
    run = samples.a_run(4900, trigger=trigger, requested_by="ben", parent=4811)

    assert why.of_run(view(), run) == Question(JOB, None, (fact,))


def test_a_queued_run_has_what_it_waits_for() -> None:
    run = samples.a_run(4900, state=RunState.QUEUED, as_of=DUE)
    wait = Wait(WaitReason.AFTER, 4899, "attempts.sync", "2026-01-19")
    snapshot = replace(samples.TIDY, live=(Progress(run, "UTC", None, None, wait),))

    assert why.of_run(view(snapshot), run) == Question(JOB, DUE, ("run 4900 waits for attempts.sync",))
    assert why.of_job(view(snapshot), JOB).at == DUE


def test_an_overdue_job_is_explained_at_the_time_that_has_no_run() -> None:
    question = why.of_finding(view(), samples.OVERDUE)

    assert (question.job, question.at) == (REPORT, samples.OVERDUE.since)
    assert question.facts == ("reporting.daily_report is overdue: its run has not started",)


def test_a_problem_names_the_one_that_explains_it() -> None:
    data = Finding(
        Severity.CRITICAL, FindingKind.UNREACHABLE, "the data database", samples.ago(minutes=9), reason="refused"
    )
    finding = Finding(Severity.CRITICAL, FindingKind.OVERDUE, REPORT, samples.ago(minutes=5))
    snapshot = replace(samples.TIDY, findings=(data, finding))

    (first, *_) = why.of_finding(view(snapshot), finding).facts
    root = why.of_finding(view(snapshot), data)

    assert first.endswith("probably because the data database is unreachable: refused")
    assert root.job is None
    assert root.facts[0] == "the data database is unreachable: refused"
    assert root.facts[1].startswith(f"it explains that {REPORT} ")
    assert root.facts[-1] == "see docs/runbook.md#unreachable"


def test_an_alert_is_explained_like_its_finding_and_later_by_its_message() -> None:
    card = next(page.card for page in past_alerts.PAGES if page.card.alert.rule is FindingKind.OVERDUE)
    alert = card.alert
    finding = Finding(alert.severity, alert.rule, alert.subject, DUE)

    assert why.of_alert(view(replace(samples.TIDY, findings=(finding,))), card).at == DUE
    assert why.of_alert(view(), card) == Question(alert.job, alert.since, (alert.message,))


def test_a_resolved_alert_is_explained_by_its_newest_window_even_where_only_the_oldest_are_kept() -> None:
    card = next(page.card for page in past_alerts.PAGES if page.card.alert.rule is FindingKind.INCOMPLETE_WINDOWS)
    days = tuple(f"2025-{month:02}-{day:02}" for month in (10, 11, 12) for day in range(1, 28))
    finding = Finding(card.alert.severity, card.alert.rule, card.alert.subject, DUE, items=days)
    resolved = replace(card, alert=replace(card.alert, evidence=evidence(finding)))

    assert why.of_alert(view(), resolved).window == days[-1]
    assert len(resolved.alert.evidence["items"]) < len(days)


# --- the answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", OccurrenceState)
def test_every_outcome_has_a_symbol_and_a_word(state: OccurrenceState) -> None:
    answer = Answer(DUE, True, state, None, ("a reason",), ())
    shown = text(why.answer(past_jobs.an_explanation(answers=(answer,)), 66))

    assert why.STATES[state].word in shown
    assert "2026-01-18 23:50 IST · 18:20 UTC" in shown
    assert len({symbol.char for symbol in why.STATES.values()}) == len(OccurrenceState)


def test_a_time_that_is_no_scheduled_time_is_called_that() -> None:
    answer = Answer(DUE, False, None, None, ("it is not a scheduled time of '* * * * *' (UTC)",), ())

    assert "not a scheduled time" in text(why.answer(past_jobs.an_explanation(answers=(answer,)), 66)).splitlines()[0]


def test_notes_about_clock_changes_stand_first() -> None:
    explanation = past_jobs.an_explanation(notes=("02:30 does not exist on 2026-03-29 in Europe/Berlin",))

    assert text(why.answer(explanation, 66)).splitlines()[0].startswith("02:30 does not exist")


def test_a_job_without_a_schedule_has_no_times_beside_it() -> None:
    explanation = past_jobs.an_explanation(previous=None, next=None)
    last = past_jobs.an_explanation(next=None)

    assert text([why.neighbours(explanation, samples.NOW, 66)]) == "no scheduled times"
    assert text([why.neighbours(last, samples.NOW, 66)]).endswith("- →")


def test_hostile_explanations_stay_in_the_dialog() -> None:
    answer = Answer(DUE, True, OccurrenceState.SKIPPED, Reason.PAUSED, ("\x1b]52;c;x\x07 [/] \u202e" + "界" * 200,), ())
    lines = why.answer(past_jobs.an_explanation(answers=(answer,)), 40)

    assert max(width(each) for each in lines) <= 40
    assert not set("\x1b\x07\u202e") & set(text(lines))


def test_the_command_has_the_time_of_the_answer() -> None:
    found = why.command("a job", past_jobs.an_explanation())

    assert found is not None
    assert found.argv == ("why", "a job", "--at", (DUE + timedelta(0)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert why.command("a job", None) is None
