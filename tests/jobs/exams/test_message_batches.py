"""Message batches: submitted, recovered after crashes, collected, at half the price."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from jobs.exams.tables import exam_calls, exam_chunks
from opsconsole.core.clock import now
from opsconsole.core.errors import LeaseExpired
from tests.jobs.exams.claude import ClaudeServer, Fault
from tests.jobs.exams.fixtures import PARTS, ExamsFixture, faults, is_whole, max_tries_of_a_part
from tests.soak import postgresql_in_soak

pytestmark = postgresql_in_soak

LATER = timedelta(minutes=5)
SUBMITTED = "submitted in a message batch"
NOT_ENDED = "its message batch has not ended yet"


@pytest.fixture
def fixture(fixture: ExamsFixture) -> ExamsFixture:
    fixture.set(mode="batch")
    return fixture


def two(fixture: ExamsFixture) -> None:
    fixture.users("asha", "ben")
    fixture.request("asha")
    fixture.request("ben", "practice")


def later(fixture: ExamsFixture) -> None:
    fixture.now += LATER


def spent(fixture: ExamsFixture) -> list[Any]:
    return [call["cost_micros"] for call in fixture.rows(exam_calls)]


def test_batches_are_submitted_and_collected(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    two(fixture)
    claude.script.batches_wait = True

    assert fixture.work_off().skipped == {SUBMITTED: 2}
    assert fixture.work_off().skipped == {}, "nothing is polled before the interval ends"
    later(fixture)
    assert fixture.work_off().skipped == {NOT_ENDED: 2}
    claude.finish_batches()
    later(fixture)
    result = fixture.work_off()

    assert (result.ok, result.metrics["exams"]) == (2, 2)
    assert all(is_whole(exam) for exam in fixture.exams())
    assert len(claude.log) == PARTS["diagnostic"] + PARTS["practice"]
    assert max_tries_of_a_part(claude.log) == 1
    assert len(claude.all_batches()) == 1
    for call in fixture.rows(exam_calls):
        full = call["input_tokens"] * 2 + call["output_tokens"] * 10 + call["cache_write_tokens"] * 2.5
        assert call["cost_micros"] == pytest.approx(full / 2 + call["cache_read_tokens"] * 0.05, abs=1)


@pytest.mark.parametrize("fault", [Fault.EXPIRED, Fault.ERRORED, Fault.NOT_JSON, Fault.MAX_TOKENS, Fault.SHORT])
def test_parts_missing_from_a_batch_are_requested_in_another(
    fixture: ExamsFixture, claude: ClaudeServer, fault: Fault
) -> None:
    two(fixture)
    faults(claude.script, None, fault)

    fixture.work_off()
    later(fixture)
    assert fixture.work_off().ok == 1
    later(fixture)
    assert fixture.work_off().ok == 1

    assert all(is_whole(exam) for exam in fixture.exams())
    assert len(claude.all_batches()) == 2
    assert len(claude.log) == PARTS["diagnostic"] + PARTS["practice"] + 1


def test_a_part_is_in_at_most_three_batches(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha")
    request = fixture.request("asha")
    claude.script.otherwise = Fault.EXPIRED

    for _ in range(3):
        fixture.work_off()
        later(fixture)
    result = fixture.work_off()

    assert result.failed == [request]
    assert fixture.states() == {request: "failed"}
    assert max_tries_of_a_part(claude.log) == 3
    assert set(spent(fixture)) == {0}


def test_a_submitted_batch_is_recovered_after_a_crash(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    two(fixture)
    fixture.now = now()  # the server uses the real clock
    fixture.work_off()
    with fixture.data.writing() as db:
        db.execute(update(exam_calls).values(batch=None))

    later(fixture)
    fixture.work_off()
    later(fixture)
    result = fixture.work_off()

    assert result.ok == 2
    assert len(claude.all_batches()) == 1
    assert max_tries_of_a_part(claude.log) == 1


def test_a_batch_that_never_arrived_is_submitted_again(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    two(fixture)
    fixture.work_off()
    claude.forget_batches()
    with fixture.data.writing() as db:
        db.execute(update(exam_calls).values(batch=None))

    later(fixture)
    fixture.work_off()
    later(fixture)

    assert fixture.work_off().ok == 2
    assert len(claude.all_batches()) == 1


def test_a_deleted_batch_is_submitted_again(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    two(fixture)
    fixture.work_off()
    claude.forget_batches()

    later(fixture)
    fixture.work_off()
    later(fixture)

    assert fixture.work_off().ok == 2


def test_interrupted_collecting_continues(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(fixture)
    fixture.work_off()
    later(fixture)
    stored = 0

    from jobs.exams import drafts

    store_chunk = drafts.store_chunk

    def five(*given: Any) -> None:
        nonlocal stored
        stored += 1
        if stored > 5:
            raise LeaseExpired
        store_chunk(*given)

    with monkeypatch.context() as cut:
        cut.setattr(drafts, "store_chunk", five)
        with pytest.raises(LeaseExpired):
            fixture.work_off()
    assert len(fixture.rows(exam_chunks)) + PARTS["diagnostic"] * len(fixture.exams()) == 5

    fixture.work_off()
    later(fixture)
    fixture.work_off()
    later(fixture)
    fixture.work_off()

    assert len(fixture.exams()) == 2
    assert all(is_whole(exam) for exam in fixture.exams())
    # Only the completion being checked was paid for in vain.
    assert len(claude.log) == PARTS["diagnostic"] + PARTS["practice"] + 1


def test_an_invalid_api_key_leaves_all_requests_waiting(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(fixture)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "wrong")

    result = fixture.work_off()

    assert (result.broken, result.reason) == ("claude", "401 authentication_error")
    assert set(fixture.states().values()) == {"waiting"}
    assert set(spent(fixture)) == {0}


def test_submitted_batches_are_collected_after_a_change_of_mode(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    two(fixture)
    fixture.work_off()
    fixture.set(mode="messages")
    later(fixture)

    fixture.work_off()

    assert len(fixture.exams()) == 2
    assert max_tries_of_a_part(claude.log) == 1
