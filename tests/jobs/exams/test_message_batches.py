"""Message batches: handed over, remembered, collected, at half the price."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from jobs.exams.tables import exam_calls, exam_chunks
from opsconsole.core.clock import now
from tests.jobs.exams.claude import ClaudeServer, Fault
from tests.jobs.exams.fixtures import PARTS, School, faults, is_whole, tries_of_a_part

LATER = timedelta(minutes=5)
HANDED_OVER = "submitted in a message batch"
NOT_READY = "its message batch has not ended yet"


@pytest.fixture
def school(school: School) -> School:
    school.set(mode="batch")
    return school


def two(school: School) -> None:
    school.users("asha", "ben")
    school.request("asha")
    school.request("ben", "practice")


def later(school: School) -> None:
    school.now += LATER


def spent(school: School) -> list[Any]:
    return [call["cost_micros"] for call in school.rows(exam_calls)]


def test_exams_are_handed_over_and_collected_when_they_are_ready(school: School, claude: ClaudeServer) -> None:
    two(school)
    claude.script.batches_wait = True

    assert school.work_off().skipped == {HANDED_OVER: 2}
    assert school.work_off().skipped == {}, "nothing is asked before its time"
    later(school)
    assert school.work_off().skipped == {NOT_READY: 2}
    claude.finish_batches()
    later(school)
    result = school.work_off()

    assert (result.ok, result.metrics["exams"]) == (2, 2)
    assert all(is_whole(exam) for exam in school.exams())
    assert len(claude.log) == PARTS["diagnostic"] + PARTS["practice"]
    assert tries_of_a_part(claude.log) == 1
    assert len(claude.all_batches()) == 1
    for call in school.rows(exam_calls):
        full = call["input_tokens"] * 2 + call["output_tokens"] * 10 + call["cache_write_tokens"] * 2.5
        assert call["cost_micros"] == pytest.approx(full / 2 + call["cache_read_tokens"] * 0.05, abs=1)


@pytest.mark.parametrize("fault", [Fault.EXPIRED, Fault.ERRORED, Fault.NOT_JSON, Fault.MAX_TOKENS, Fault.SHORT])
def test_what_a_batch_did_not_bring_is_asked_for_in_another(school: School, claude: ClaudeServer, fault: Fault) -> None:
    two(school)
    faults(claude.script, None, fault)

    school.work_off()
    later(school)
    assert school.work_off().ok == 1
    later(school)
    assert school.work_off().ok == 1

    assert all(is_whole(exam) for exam in school.exams())
    assert len(claude.all_batches()) == 2
    assert len(claude.log) == PARTS["diagnostic"] + PARTS["practice"] + 1


def test_a_part_is_in_three_batches_at_most(school: School, claude: ClaudeServer) -> None:
    school.users("asha")
    request = school.request("asha")
    claude.script.otherwise = Fault.EXPIRED

    for _ in range(3):
        school.work_off()
        later(school)
    result = school.work_off()

    assert result.failed == [request]
    assert school.states() == {request: "failed"}
    assert tries_of_a_part(claude.log) == 3
    assert set(spent(school)) == {0}


def test_a_batch_is_found_again_that_was_handed_over_before_the_process_ended(
    school: School, claude: ClaudeServer
) -> None:
    two(school)
    school.now = now()  # the server stamps its batches by the real clock
    school.work_off()
    with school.data.writing() as db:
        db.execute(update(exam_calls).values(batch=None))

    later(school)
    school.work_off()
    later(school)
    result = school.work_off()

    assert result.ok == 2
    assert len(claude.all_batches()) == 1
    assert tries_of_a_part(claude.log) == 1


def test_a_batch_that_never_arrived_is_handed_over_again(school: School, claude: ClaudeServer) -> None:
    two(school)
    school.work_off()
    claude.forget_batches()
    with school.data.writing() as db:
        db.execute(update(exam_calls).values(batch=None))

    later(school)
    school.work_off()
    later(school)

    assert school.work_off().ok == 2
    assert len(claude.all_batches()) == 1


def test_a_batch_that_is_gone_is_handed_over_again(school: School, claude: ClaudeServer) -> None:
    two(school)
    school.work_off()
    claude.forget_batches()

    later(school)
    school.work_off()
    later(school)

    assert school.work_off().ok == 2


def test_collecting_that_was_cut_off_goes_on_where_it_ended(
    school: School, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(school)
    school.work_off()
    later(school)
    stored = 0

    from jobs.exams import drafts

    store_chunk = drafts.store_chunk

    def five(*given: Any) -> None:
        nonlocal stored
        stored += 1
        if stored > 5:
            raise KeyboardInterrupt
        store_chunk(*given)

    with monkeypatch.context() as cut:
        cut.setattr(drafts, "store_chunk", five)
        with pytest.raises(KeyboardInterrupt):
            school.work_off()
    assert len(school.rows(exam_chunks)) + PARTS["diagnostic"] * len(school.exams()) == 5

    school.work_off()
    later(school)
    school.work_off()
    later(school)
    school.work_off()

    assert len(school.exams()) == 2
    assert all(is_whole(exam) for exam in school.exams())
    # The answer that was being judged was paid for in vain, and no other.
    assert len(claude.log) == PARTS["diagnostic"] + PARTS["practice"] + 1


def test_a_wrong_key_leaves_everything_waiting(
    school: School, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(school)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "wrong")

    result = school.work_off()

    assert (result.broken, result.reason) == ("claude", "401 authentication_error")
    assert set(school.states().values()) == {"waiting"}
    assert set(spent(school)) == {0}


def test_submitted_batches_are_collected_after_the_mode_was_changed(school: School, claude: ClaudeServer) -> None:
    two(school)
    school.work_off()
    school.set(mode="messages")
    later(school)

    school.work_off()

    assert len(school.exams()) == 2
    assert tries_of_a_part(claude.log) == 1
