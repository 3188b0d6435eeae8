"""The sentences that interfaces make of values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from opsconsole.authoring.run import Selection, Stop, StopReason
from opsconsole.calendar.windows import Window
from opsconsole.rules.actions import Verb
from opsconsole.rules.admission import Wait, WaitReason
from opsconsole.rules.audit import AuditProblem, Seal, Verification
from opsconsole.rules.backfill import Step, StepReason, StepState
from opsconsole.rules.backfill_status import BackfillStop, BackfillStopReason
from opsconsole.service import wording
from opsconsole.service.outcomes import Outcome

AT = datetime(2025, 1, 19, 12, tzinfo=UTC)
SEAL = Seal(8, "ab" * 32)


@pytest.mark.parametrize(
    ("wait", "sentence"),
    [
        (Wait(WaitReason.SAME_WINDOW, 7, "a.b", "2025-01-19"), "run 7 of this job"),
        (Wait(WaitReason.PARALLEL_LIMIT, 7, "a.b", "2025-01-19"), "run 7 of this job, for 2025-01-19"),
        (Wait(WaitReason.EARLIER_RUN), "an earlier run of this job"),
        (Wait(WaitReason.EXCLUSIVE, 7, "a.c", "2025-01-19"), "a.c, which excludes it"),
        (Wait(WaitReason.AFTER, 7, "a.c", "2025-01-19"), "a.c"),
        (Wait(WaitReason.CAPACITY), "a free slot: the maximum number of runs is running"),
    ],
)
def test_what_a_run_waits_for(wait: Wait, sentence: str) -> None:
    assert wording.wait(wait) == sentence


@pytest.mark.parametrize(
    ("stop", "sentence"),
    [
        (Stop("asha", AT, AT), "cancelled by asha"),
        (Stop("asha", AT, AT, note="too slow"), "cancelled by asha: too slow"),
        (Stop("schedule", AT, AT, StopReason.REPLACED, run=9), "replaced by run 9"),
    ],
)
def test_why_a_run_stops(stop: Stop, sentence: str) -> None:
    assert wording.stop(stop) == sentence


@pytest.mark.parametrize(
    ("reason", "numbers", "sentence"),
    [
        (StepReason.FRESH, {}, "fresh"),
        (StepReason.STALE, {"stale": 1234}, "1,234 items are stale"),
        (StepReason.STALE, {"stale": 1}, "1 item is stale"),
        (StepReason.INCOMPLETE, {}, "data ends before the window does"),
        (StepReason.RUNNING, {"open_run": 7}, "run 7 is active"),
        (StepReason.NOT_DUE, {}, "not due yet"),
    ],
)
def test_why_a_window_is_run_or_skipped(reason: StepReason, numbers: dict[str, int], sentence: str) -> None:
    window = Window(AT, AT, "2025-01-19")
    step = Step("a.b", window, True, reason, Selection.ALL, 1, None, False, None, "spec", **numbers)

    assert wording.step_reason(step) == sentence


@pytest.mark.parametrize(
    ("reason", "stale", "sentence"),
    [
        (StepReason.MISSING, None, "was missing"),
        (StepReason.FAILED, None, "was failed"),
        (StepReason.STALE, 1234, "1,234 items were stale"),
        (StepReason.STALE, 1, "1 item was stale"),
        (StepReason.INCOMPLETE, None, "data ended before the window did"),
    ],
)
def test_a_window_that_is_done_no_longer_is_missing(reason: StepReason, stale: int | None, sentence: str) -> None:
    window = Window(AT, AT, "2025-01-19")
    step = Step("a.b", window, True, reason, Selection.ALL, 1, None, False, None, "spec", stale=stale)

    assert wording.step_reason(step, StepState.DONE) == sentence


@pytest.mark.parametrize(
    ("stop", "sentence"),
    [
        (BackfillStop(BackfillStopReason.PAUSED, "asha", "lunch"), "paused by asha: lunch"),
        (BackfillStop(BackfillStopReason.CANCELLED, "asha"), "cancelled by asha"),
        (BackfillStop(BackfillStopReason.WINDOW_FAILED, job="a.b", window="2025-01-19"), "a.b 2025-01-19 failed"),
    ],
)
def test_why_a_backfill_stopped(stop: BackfillStop, sentence: str) -> None:
    assert wording.backfill_stop(stop) == sentence


@pytest.mark.parametrize(
    ("verb", "outcome", "sentence"),
    [
        (Verb.TRIGGER, {"run": 7}, None),
        (Verb.RETRY, {"run": 7, "parent": 6}, None),
        (Verb.RETRY, {"runs": [7], "refused": 0}, "queued 1 run"),
        (Verb.RETRY, {"runs": [7, 8], "refused": 3}, "queued 2 runs, refused 3"),
        (Verb.CANCEL, {"run": 7, "job": "a.b", "force": True}, "run 7 of a.b ends now"),
        (Verb.PAUSE, {"target": "a", "until": None}, "paused a until it is resumed"),
        (Verb.PAUSE, {"target": "a", "until": AT.isoformat()}, "paused a until 2025-01-19 12:00 UTC"),
        (Verb.RESUME, {"target": "all"}, "resumed all"),
        (Verb.PLAN_BACKFILL, {"backfill": 3}, "planned backfill 3"),
        (Verb.APPLY_BACKFILL, {"backfill": 3, "windows": 1}, "started backfill 3: 1 window"),
        (Verb.PAUSE_BACKFILL, {"backfill": 3}, "paused backfill 3; running windows finish"),
        (Verb.RESUME_BACKFILL, {"backfill": 3, "windows": 1200}, "resumed backfill 3: 1,200 windows left"),
        (Verb.CANCEL_BACKFILL, {"backfill": 3, "windows": 2}, "cancelled backfill 3: 2 windows not started"),
        (Verb.CLEAR, {"cleared": 940, "families": {"a": 900, "b": 40}}, "cleared 940 keys of 2 families"),
        (Verb.CLEAR, {"cleared": 0, "families": {}}, "cleared 0 keys"),
        (Verb.REPLAY, {"events": 1}, "queued 1 event to be published again"),
    ],
)
def test_what_a_command_did(verb: Verb, outcome: dict[str, Any], sentence: str | None) -> None:
    assert wording.done(verb, outcome) == sentence


def test_a_refused_command_did_nothing_and_has_the_message_of_its_error() -> None:
    outcome = Outcome("resume", {"error": "not_paused", "message": "there is no pause of all jobs", "exit_code": 4})

    assert (outcome.done, outcome.error, outcome.refused, outcome.exit_code) == (
        None,
        "not_paused",
        "there is no pause of all jobs",
        4,
    )


def test_a_verification_without_an_anchor_states_its_limits() -> None:
    sentence = wording.audit_verification(Verification(8, SEAL), None)

    assert "consistent with each other" in sentence
    assert "does not show whether rows were removed from the end" in sentence


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (AuditProblem.ROW_CHANGED, "row 8 was changed"),
        (AuditProblem.PREVIOUS_ROW_MISSING, "the row before row 8 is missing or was changed"),
        (AuditProblem.ANCHOR_CHANGED, "row 8 does not have this seal"),
        (AuditProblem.ANCHOR_MISSING, "row 8 of this seal is missing"),
    ],
)
def test_a_verification_names_the_first_problem(problem: AuditProblem, words: str) -> None:
    assert words in wording.audit_verification(Verification(7, SEAL, problem, 8), SEAL)
